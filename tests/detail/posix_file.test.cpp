// SPDX-License-Identifier: MIT
#include <fulgurite/detail/posix_file.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
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

void save(const fs::path& path, const std::string& text) {
  NewFile file(path.string());
  file.write(text.data(), text.size());
  file.put_in_place();
}

/// Larger than the buffer, so that it is written in several calls.
const std::string long_text(200'000, 'n');

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
  const mode_t before = umask(027);
  save(path, "new");
  CHECK(mode() == fs::perms{0640});
  fs::permissions(path, fs::perms{0606});
  save(path, "newer");
  CHECK(mode() == fs::perms{0606});
  umask(before);
  if (geteuid() == 0) return;  // who may write everything
  fs::permissions(path, fs::perms{0444});
  CHECK_THROWS_WITH(save(path, "newest"), ContainsSubstring("cannot replace") && ContainsSubstring("Permission denied"));
  CHECK(support::text_of(path) == "newer");
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
  CHECK_THROWS_WITH(fg::detail::make_folders((folder.path / "file" / "a").string()),
                    ContainsSubstring("cannot make the folder"));
  CHECK(fg::detail::folder_of("a") == ".");
  CHECK(fg::detail::folder_of("/a") == "/");
  CHECK(fg::detail::folder_of("a//b") == "a");
  CHECK(fg::detail::folder_of("/a/b/") == "/a/b");
}
