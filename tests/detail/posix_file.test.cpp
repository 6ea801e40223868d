// SPDX-License-Identifier: MIT
#include <fulgurite/detail/posix_file.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using fg::detail::NewFile;

using fg::detail::system_calls;

void save(const fs::path& path, const std::string& text) {
  NewFile file(path.string());
  file.write(text.data(), text.size());
  file.put_in_place();
}

/// Larger than the buffer, so that it is written in several calls.
const std::string long_text(200'000, 'n');

/// A user who may not do everything, if the system lets us be one.
class Unprivileged {
 public:
  /// The folder becomes theirs.
  explicit Unprivileged(const fs::path& folder) : before_(geteuid()) {
    constexpr uid_t nobody = 65534;
    if (before_ == 0 && chown(folder.c_str(), nobody, static_cast<gid_t>(-1)) == 0) {
      became_ = seteuid(nobody) == 0 && faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
    }
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (seteuid(before_) != 0) std::abort();
  }
  explicit operator bool() const { return before_ != 0 || became_; }

 private:
  uid_t before_;
  bool became_ = false;
};

/// The mask of permissions that new files don't get, for a while.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { umask(before_); }

 private:
  mode_t before_;
};

/// A process that was killed while it wrote to `path`: it leaves what it had.
void killed_while_writing(const fs::path& path) {
  const pid_t child = fork();
  if (child == 0) {
    NewFile file(path.string());
    file.write(long_text.data(), long_text.size());
    raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("each system call of a save fails in turn: the old file or the new one, and nothing beside it") {
  const support::WithoutSync fast;
  for (const int error : {ENOSPC, EIO, EDQUOT, EINTR, EAGAIN}) {
    int failed = 0;
    std::vector<std::string> unimportant;
    for (bool was_called = true; was_called; ++failed) {
      const support::TemporaryFolder folder;
      const auto path = folder.path / "file";
      support::write_file(path, "old");
      support::Failure failure{failed + 1, error};
      std::string problem;
      was_called = failure.during([&] {
        try {
          save(path, long_text + "new");
        } catch (const fg::detail::FileError& refused) {
          problem = refused.what();
        }
      });
      INFO(failure.call << ", call " << failure.number << ": " << std::strerror(error) << "; " << problem);
      const auto text = support::text_of(path);
      if (problem.empty()) {
        CHECK(text == long_text + "new");
      } else {
        CHECK((text == "old" || (problem.starts_with("the new file is in its place") && text == long_text + "new")));
        CHECK_THAT(problem, ContainsSubstring(folder.path.string()) && ContainsSubstring(std::strerror(error)));
        CHECK(error != EINTR);   // a signal
        CHECK(error != EAGAIN);  // a short write
      }
      if (was_called && problem.empty()) unimportant.push_back(failure.call);
      CHECK(support::names_in(folder.path) == std::set<std::string>{"file"});
      save(path, "next");
      CHECK(support::text_of(path) == "next");
    }
    CHECK(failed > 10);
    // The lock that keeps others from tidying up, and the descriptors of lock and folder, through which nothing was written.
    if (error != EINTR && error != EAGAIN) CHECK(unimportant == std::vector<std::string>{"lock", "close", "close"});
  }
}

TEST_CASE("each system call that fails is told by what could not be done, and to which file or folder") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  support::write_file(path, "old");
  fs::permissions(path, fs::perms{0603});  // not those that a new file has
  const std::string beside = path.string() + ".fulgurite-";
  /// What `act` says if the call of that name fails, the first, second, … time that it is made.
  const auto said_by = [](const auto& act, std::string_view call, int time) -> std::string {
    const support::WatchedCalls calls([&](const char* name) { return name == call && --time == 0 ? EACCES : 0; });
    try {
      act();
    } catch (const fg::detail::FileError& error) {
      return error.what();
    }
    return "";
  };
  struct Row {
    const char* call;
    int time;
    std::string begin;
  };
  const Row rows[] = {
      {"open", 1, "cannot open the folder " + folder.path.string() + ": "},
      {"stat", 1, "cannot look at " + folder.path.string() + ": "},
      {"stat", 2, "cannot look at " + path.string() + ": "},
      {"open", 2, "cannot make " + beside},
      {"duplicate", 1, "cannot make " + beside},
      {"fstat", 1, "cannot look at " + beside},
      {"fchmod", 1, "cannot set the permissions of " + beside},
      {"write", 1, "cannot write " + beside},
      {"fsync", 1, "cannot sync " + beside},
      {"close", 1, "cannot close " + beside},
      {"rename", 1, "cannot rename " + beside},
      {"fsync", 2, "the new file is in its place, but a power cut could undo that: cannot sync " + folder.path.string() + ": "},
  };
  for (const Row& row : rows) {
    const std::string said = said_by([&] { save(path, "new"); }, row.call, row.time);
    CHECK_THAT(said, StartsWith(row.begin) && EndsWith(": Permission denied"));
    CHECK(support::text_of(path) == (row.time == 2 && row.call == std::string_view("fsync") ? "new" : "old"));
  }
  const auto made = folder.path / "made";
  const auto make = [&] { fg::detail::make_folders(made.string()); };
  CHECK(said_by(make, "stat", 1) == "cannot look at " + made.string() + ": Permission denied");
  CHECK(said_by(make, "mkdir", 1) == "cannot make the folder " + made.string() + ": Permission denied");
  CHECK(said_by(make, "fsync", 1) == "cannot sync the folder " + folder.path.string() + ": Permission denied");
  CHECK(said_by([&] { fg::detail::remove_file(path.string()); }, "unlink", 1) ==
        "cannot remove " + path.string() + ": Permission denied");
}

TEST_CASE("after a power cut at any system call there is the old file or the new one") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "made" / "file";
  std::optional<std::string> old, now;
  int states = 0;
  const support::UnsafeDisk* disk = nullptr;
  const support::UnsafeDisk watched([&] {
    disk->after_a_power_cut([&](const support::UnsafeDisk::Files& files) {
      ++states;
      const auto found = files.find(path.string());
      if (found == files.end()) {
        if (old) FAIL("it is lost");
      } else if (found->second != old && found->second != now) {
        FAIL("it has " << found->second.size() << " bytes");
      }
    });
  });
  disk = &watched;
  for (const std::string& text : {std::string("first"), long_text, std::string("third")}) {
    now = text;
    save(path, text);
    old = text;
    disk->after_a_power_cut([&](const support::UnsafeDisk::Files& files) { CHECK(files.at(path.string()) == text); });
  }
  CHECK(states > 100);
}

TEST_CASE("a symbolic link stays one, and the file that it leads to is replaced") {
  const support::TemporaryFolder folder;
  fs::create_directory(folder.path / "deep");
  support::write_file(folder.path / "deep" / "file", "old");
  fs::create_symlink("deep/file", folder.path / "link");
  fs::create_symlink(folder.path / "link", folder.path / "link_to_link");
  save(folder.path / "link_to_link", "new");
  CHECK(fs::is_symlink(folder.path / "link"));
  CHECK(fs::is_symlink(folder.path / "link_to_link"));
  CHECK(support::text_of(folder.path / "deep" / "file") == "new");

  fs::create_symlink("deep/missing", folder.path / "dangling");
  save(folder.path / "dangling", "made");
  CHECK(support::text_of(folder.path / "deep" / "missing") == "made");

  fs::create_symlink("circle", folder.path / "circle");
  CHECK_THROWS_WITH(save(folder.path / "circle", "new"), ContainsSubstring("cannot follow the symbolic link"));
}

TEST_CASE("as many symbolic links are followed as the system follows") {
  const support::TemporaryFolder folder;
  const fs::path here = fs::canonical(folder.path);
  const auto link = [&](int number) { return here / ("link_" + std::to_string(number)); };
  support::write_file(here / "file", "old");
  fs::create_symlink("file", link(1));
  for (int number = 2; number <= 41; ++number) fs::create_symlink(link(number - 1).filename(), link(number));
  REQUIRE(support::text_of(link(40)) == "old");
  REQUIRE(support::text_of(link(41)).empty());
  save(link(40), "new");
  CHECK(support::text_of(here / "file") == "new");
  CHECK_THROWS_WITH(save(link(41), "newer"), ContainsSubstring("cannot follow the symbolic link"));
  CHECK(support::text_of(here / "file") == "new");
}

// A pipe, since a test that fails as root would replace a device of the machine.
TEST_CASE("what is not a file is refused and left alone") {
  const support::TemporaryFolder folder;
  const auto pipe = folder.path / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(save(pipe, "new"), pipe.string() + " is a device, a pipe or a socket, which a file cannot replace");
  fs::create_symlink("pipe", folder.path / "link");
  CHECK_THROWS_WITH(save(folder.path / "link", "new"), ContainsSubstring("link is a device"));
  fs::create_directory(folder.path / "folder");
  CHECK_THROWS_WITH(save(folder.path / "folder", "new"), ContainsSubstring("folder is a folder"));
  CHECK_THROWS_WITH(save(folder.path / "folder" / "", "new"), ContainsSubstring("is a folder"));
  CHECK_THROWS_WITH(save("", "new"), ContainsSubstring("the path names no file"));
  CHECK_THROWS_WITH(save(pipe / "file", "new"), "cannot make the folder " + pipe.string() + ": File exists");
  CHECK(fs::is_fifo(pipe));
  CHECK(support::names_in(folder.path) == std::set<std::string>{"folder", "link", "pipe"});
}

TEST_CASE("permissions are those of any new file, or of the one that is replaced") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  const auto mode = [&] { return fs::status(path).permissions(); };
  {
    const Umask most(027);
    save(path, "new");
    CHECK(mode() == fs::perms{0640});
    fs::permissions(path, fs::perms{0606});
    save(path, "newer");
    CHECK(mode() == fs::perms{0606});
  }
  const Umask none(0);
  save(folder.path / "open", "new");
  CHECK(fs::status(folder.path / "open").permissions() == fs::perms{0666});
  fs::permissions(path, fs::perms{0444});
  if (const Unprivileged user(folder.path); user) {
    CHECK_THROWS_WITH(save(path, "newest"), "cannot replace " + path.string() + ": Permission denied");
    CHECK(support::text_of(path) == "newer");
  }
}

TEST_CASE("what replaces a private file can be read by no one else while it is written") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  const Umask usual(022);
  save(path, "old");
  fs::permissions(path, fs::perms{0600});
  std::vector<mode_t> modes;
  support::WatchedCalls::After after;
  after.opened = [&](const std::string&, int flags, int file) {
    struct ::stat status {};
    if ((flags & O_CREAT) != 0 && fstat(file, &status) == 0) modes.push_back(status.st_mode & 0777U);
  };
  {
    const support::WatchedCalls watched([](const char*) { return 0; }, after);
    save(path, "new");
  }
  CHECK(modes == std::vector<mode_t>{0600});
}

TEST_CASE("a file system without permissions is no hindrance if those of the file are the usual ones") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  const Umask usual(022);
  save(path, "old");
  const support::WatchedCalls watched([](std::string_view name) { return name == "fchmod" ? EPERM : 0; });
  save(path, "new");
  CHECK(support::text_of(path) == "new");
}

TEST_CASE("a file system that cannot sync is no hindrance") {
  const support::TemporaryFolder folder;
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    const support::WatchedCalls watched([&](std::string_view name) { return name == "fsync" ? error : 0; });
    save(folder.path / "file", std::to_string(error));
    CHECK(support::text_of(folder.path / "file") == std::to_string(error));
  }
}

TEST_CASE("where nothing can be locked a file is saved at the first try") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  int locks = 0;
  const support::WatchedCalls watched([&](std::string_view name) {
    return name == "lock" && ++locks < 5 ? ENOLCK : 0;
  });
  save(path, "new");
  CHECK(locks == 1);
  CHECK(support::text_of(path) == "new");
}

TEST_CASE("if its first name beside the place is taken, locked or gone, a file is written under another one") {
  for (const std::string_view what : {"taken", "locked", "gone"}) {
    INFO(what);
    const support::TemporaryFolder folder;
    const auto path = folder.path / "file";
    int opens = 0, locks = 0;
    {
      const support::WatchedCalls watched([&](std::string_view name) {
        if (name == "open") {
          ++opens;  // the folder; the file; the file under another name
          if (opens > 9) return EACCES;
          if (opens == 2 && what == "taken") return EEXIST;
        }
        if (name == "lock" && ++locks == 1) {
          if (what == "locked") return EWOULDBLOCK;
          if (what == "gone") {
            for (const auto& each : support::names_in(folder.path)) fs::remove(folder.path / each);
          }
        }
        return 0;
      });
      save(path, "new");
    }
    CHECK(opens == 3);
    CHECK(support::text_of(path) == "new");
    CHECK(support::names_in(folder.path) == std::set<std::string>{"file"});
  }
}

TEST_CASE("what was written under a name that is given up is removed once") {
  const support::TemporaryFolder folder;
  int opens = 0, unlinks = 0;
  const support::WatchedCalls watched([&](std::string_view name) {
    if (name == "unlink") ++unlinks;
    if (name == "lock") return EWOULDBLOCK;
    return name == "open" && ++opens == 3 ? EACCES : 0;
  });
  CHECK_THROWS_WITH(save(folder.path / "file", "new"), StartsWith("cannot make ") && EndsWith(": Permission denied"));
  CHECK(unlinks == 1);
  CHECK(support::names_in(folder.path).empty());
}

TEST_CASE("without a descriptor left to look for what others have left, it is said that the file cannot be made") {
  const support::TemporaryFolder folder;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = dup(0);
  REQUIRE(next >= 0);
  close(next);
  const rlimit one_more{static_cast<rlim_t>(next) + 1, before.rlim_max};  // for the folder
  std::string said;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &one_more) == 0);
  try {
    save(folder.path / "file", "new");
  } catch (const fg::detail::FileError& error) {
    said = error.what();
  }
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK_THAT(said, StartsWith("cannot make ") && EndsWith(": Too many open files"));
}

TEST_CASE("small pieces are gathered into writes of less than 64 KiB, in their order among larger ones") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  constexpr std::size_t most = 65536;
  std::vector<std::size_t> sizes;
  std::string text;
  support::WatchedCalls::After after;
  after.written = [&](int, const std::string& bytes) { sizes.push_back(bytes.size()); };
  {
    const support::WatchedCalls watched([](const char*) { return 0; }, after);
    NewFile file(path.string());
    char letter = 'a';
    const auto write = [&](std::size_t size) {
      const std::string bytes(size, letter++);
      text += bytes;
      file.write(bytes.data(), bytes.size());
    };
    for (const std::size_t size : {std::size_t{3}, std::size_t{4}, most}) write(size);
    CHECK(sizes == std::vector<std::size_t>{7, most});
    for (const std::size_t size : {most, std::size_t{5}, most - 5, std::size_t{6}}) write(size);
    CHECK(sizes == std::vector<std::size_t>{7, most, most, 5, most - 5});
    write(3 * most);
    CHECK(sizes == std::vector<std::size_t>{7, most, most, 5, most - 5, 6, 3 * most});
    write(1);
    file.put_in_place();
  }
  CHECK(support::text_of(path) == text);
  CHECK(sizes.back() == 1);
}

TEST_CASE("a file that takes nothing, and says no error, is an input/output error") {
  static int writes;
  writes = 0;
  const support::Replaced write(system_calls.write, [](int, const void*, std::size_t) -> ssize_t {
    errno = ENOSPC;
    return ++writes == 1 ? 0 : -1;
  });
  CHECK(fg::detail::write_bytes(1, "text", 4) == 0);
  CHECK(errno == EIO);
}

TEST_CASE("a descriptor of any number is closed once, by the last who owns it") {
  static std::vector<int> closed;
  closed.clear();
  const support::Replaced close(system_calls.close, [](int file) {
    closed.push_back(file);
    return 0;
  });
  {
    const fg::detail::Descriptor none;
    CHECK_FALSE(none);
    fg::detail::Descriptor zero(0);
    CHECK(zero);
    const fg::detail::Descriptor owner(std::move(zero));
    CHECK_FALSE(zero);  // NOLINT: moved from
    CHECK(owner.number() == 0);
    CHECK(closed.empty());
  }
  CHECK(closed == std::vector<int>{0});
}

TEST_CASE("what killed processes left is removed by the next save; what is being written is not") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file", other = folder.path / "other";
  killed_while_writing(other);
  killed_while_writing(path);
  REQUIRE(support::names_in(folder.path).size() == 1);
  support::write_file(folder.path / "file.part", "of somebody else");
  support::write_file(folder.path / "file.fulgurite-mine.part", "of somebody else");
  {
    NewFile open(path.string());
    save(other, "new");
    // A file of another process is protected as well as one of this process: the lock decides.
    CHECK(support::names_in(folder.path).size() == 4);
    open.write("x", 1);
    open.put_in_place();
  }
  CHECK(support::names_in(folder.path) == std::set<std::string>{"file", "other", "file.part", "file.fulgurite-mine.part"});
  CHECK(support::text_of(path) == "x");
}

TEST_CASE("only files of the names that are written to are taken for what a killed process left") {
  const support::TemporaryFolder folder;
  const std::set<std::string> others{"download-7-2024.part", "file.fulgurite-12-3.save", "file.fulgurite-.part",
                                     "file.fulgurite-1a.part", "1-2.part"};
  for (const auto& name : others) support::write_file(folder.path / name, "of somebody else");
  support::write_file(folder.path / "file.fulgurite-1-2.part", "left");
  const auto pipe = folder.path / "file.fulgurite-3-4.part";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const fg::detail::Descriptor reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK));  // so that it can be opened to be written
  REQUIRE(reader);
  save(folder.path / "new", "new");
  auto expected = others;
  expected.insert({"new", pipe.filename().string()});
  CHECK(support::names_in(folder.path) == expected);
}

TEST_CASE("a name as long as a folder allows can be saved") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / std::string(255, 'n');
  save(path, "new");
  save(path, "newer");
  CHECK(support::text_of(path) == "newer");
  CHECK(support::names_in(folder.path).size() == 1);
}

TEST_CASE("threads and processes that save to one path never leave a torn file") {
  const support::WithoutSync fast;
  const support::TemporaryFolder folder;
  const auto path = folder.path / "file";
  save(path, std::string(100'000, 'a'));
  const auto save_often = [&](char letter) {
    for (int i = 0; i < 40; ++i) save(path, std::string(100'000, letter));
  };
  std::vector<pid_t> children;
  for (const char letter : {'b', 'c'}) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    try {
      save_often(letter);
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  std::vector<std::thread> threads;
  for (const char letter : {'d', 'e'}) threads.emplace_back([&, letter] { save_often(letter); });
  for (int i = 0; i < 300; ++i) {
    const auto text = support::text_of(path);
    REQUIRE(text.size() == 100'000);
    REQUIRE(text.find_first_not_of(text[0]) == std::string::npos);
  }
  for (auto& thread : threads) thread.join();
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  CHECK(support::names_in(folder.path) == std::set<std::string>{"file"});
}

TEST_CASE("the folder of a file is made, also where a symbolic link leads to") {
  const support::TemporaryFolder folder;
  save(folder.path / "a" / "b" / "file", "new");
  CHECK(support::text_of(folder.path / "a" / "b" / "file") == "new");
  fs::create_symlink("other/file", folder.path / "link");
  save(folder.path / "link", "new");
  CHECK(support::text_of(folder.path / "other" / "file") == "new");
}

TEST_CASE("folders are made with those above them") {
  const support::TemporaryFolder folder;
  fg::detail::make_folders((folder.path / "a" / "b" / "").string());
  fg::detail::make_folders((folder.path / "a" / "b").string());
  CHECK(fs::is_directory(folder.path / "a" / "b"));
  support::write_file(folder.path / "file", "");
  for (const auto& path : {folder.path / "file", folder.path / "file" / "a"}) {
    CHECK_THROWS_WITH(fg::detail::make_folders(path.string()),
                      "cannot make the folder " + (folder.path / "file").string() + ": File exists");
  }
  {
    const Umask none(0);
    fg::detail::make_folders((folder.path / "c").string());
    CHECK(fs::status(folder.path / "c").permissions() == fs::perms{0777});
  }
  fg::detail::make_folders("");  // of a path without one
  CHECK(fg::detail::folder_of("a") == ".");
  CHECK(fg::detail::folder_of("/a") == "/");
  CHECK(fg::detail::folder_of("a//b") == "a");
  CHECK(fg::detail::folder_of("/a/b/") == "/a/b");
}

TEST_CASE("a folder that someone else makes at the same time is there") {
  const support::TemporaryFolder folder;
  const support::Replaced mkdir(system_calls.mkdir, [](const char* path, mode_t mode) {
    ::mkdir(path, mode);
    errno = EEXIST;
    return -1;
  });
  fg::detail::make_folders((folder.path / "a" / "b").string());
  CHECK(fs::is_directory(folder.path / "a" / "b"));
}

TEST_CASE("if not even the root folder is found, folders above it are not looked for") {
  const support::WatchedCalls watched([](std::string_view name) { return name == "stat" ? ENOENT : 0; });
  CHECK_THROWS_WITH(fg::detail::make_folders("/a/b"), "cannot make the folder /: File exists");
}

TEST_CASE("a file is removed, and one that is not there needs no removing") {
  const support::TemporaryFolder folder;
  support::write_file(folder.path / "file", "");
  errno = 0;
  fg::detail::remove_file((folder.path / "file").string());
  CHECK(support::names_in(folder.path).empty());
  fg::detail::remove_file((folder.path / "file").string());
}
