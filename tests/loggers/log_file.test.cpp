// SPDX-License-Identifier: MIT
#include <fulgurite/loggers/log_file.hpp>

#include <sys/types.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a number is written so that it can be read back") {
  CHECK(fg::detail::text_of(0.1) == "0.1");
  CHECK(fg::detail::text_of(3.0) == "3");
  CHECK(std::stod(fg::detail::text_of(1.0 / 3.0)) == 1.0 / 3.0);
  CHECK(fg::detail::text_of(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(fg::detail::json_number(0.5) == "0.5");
  CHECK(fg::detail::json_number(std::numeric_limits<double>::quiet_NaN()) == "\"nan\"");
}

TEST_CASE("a record of any texts reads as it was written") {
  const std::vector<std::string> fields{"plain", "a, b", "say \"a\"", "two\nlines", "", "\""};
  std::string text;
  for (const auto& field : fields) {
    if (!text.empty()) text += ',';
    text += fg::detail::csv_field(field);
  }
  std::istringstream input(text + "\nnext,1\n");
  CHECK(fg::detail::read_csv_record(input) == fields);
  CHECK(fg::detail::read_csv_record(input) == std::vector<std::string>{"next", "1"});
  CHECK_FALSE(fg::detail::read_csv_record(input));
}

TEST_CASE("a field that other programs would take for several, or for the end of a line, is in quotes") {
  CHECK(fg::detail::csv_field("a b") == "a b");
  for (const std::string separator : {",", "\r", "\n"}) {
    CHECK(fg::detail::csv_field("a" + separator + "b") == "\"a" + separator + "b\"");
  }
  CHECK(fg::detail::csv_field("a\"b") == "\"a\"\"b\"");
}

TEST_CASE("a text in JSON is escaped") {
  CHECK(fg::detail::json_text("a\"b\\c\n") == "\"a\\\"b\\\\c\\u000a\"");
  CHECK(fg::detail::json_text("\x01\x1f ") == "\"\\u0001\\u001f \"");
}

TEST_CASE("what becomes of a file that is there") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "deep" / "log.txt";
  CHECK_FALSE(fg::detail::begin_file(path, fg::ExistingFile::refuse));
  CHECK(std::filesystem::exists(path.parent_path()));
  std::ofstream(path) << "cut off";
  CHECK_THROWS_WITH(fg::detail::begin_file(path, fg::ExistingFile::refuse),
                    ContainsSubstring("log.txt is there already: choose another path"));
  CHECK_FALSE(fg::detail::begin_file(path, fg::ExistingFile::replace));
  CHECK(fg::detail::begin_file(path, fg::ExistingFile::append));
  CHECK(std::filesystem::file_size(path) == 8);  // a line of its own
  CHECK(fg::detail::begin_file(path, fg::ExistingFile::append));
  CHECK(std::filesystem::file_size(path) == 8);
}

TEST_CASE("a file that cannot be looked at is not taken for one that is not there") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "log.txt";
  support::write_file(path, "old\n");
  const auto refused_at = [&](std::string_view failing, int time, fg::ExistingFile existing) {
    int seen = 0;
    const support::WatchedCalls calls([&](std::string_view name) {
      return name == failing && ++seen == time ? EACCES : 0;
    });
    INFO(failing << ' ' << time);
    CHECK_THROWS_WITH(fg::detail::begin_file(path, existing),
                      ContainsSubstring("the log file " + path.string() + " cannot be written: ") &&
                          ContainsSubstring("Permission denied"));
  };
  refused_at("stat", 1, fg::ExistingFile::append);  // of its folder
  refused_at("stat", 2, fg::ExistingFile::append);
  refused_at("stat", 2, fg::ExistingFile::replace);
  refused_at("open", 1, fg::ExistingFile::append);
  refused_at("pread", 1, fg::ExistingFile::append);
  CHECK(support::text_of(path) == "old\n");
}

TEST_CASE("a file that was cut off in a line, and cannot get the end of it, is refused") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "log.txt";
  support::write_file(path, "cut off");
  const support::FullDisk full;
  CHECK_THROWS_WITH(fg::detail::begin_file(path, fg::ExistingFile::append),
                    "fulgurite: the log file " + path.string() + " cannot be written: No space left on device");
}

TEST_CASE("a file that is emptied while it is looked at gets no empty line") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "log.txt";
  support::write_file(path, "cut off");
  {
    const support::Replaced read(fg::detail::system_calls.pread,
                                 [](int, void*, std::size_t, off_t) -> ssize_t { return 0; });
    CHECK(fg::detail::begin_file(path, fg::ExistingFile::append));
  }
  CHECK(support::text_of(path) == "cut off");
}

TEST_CASE("a file of one byte is not lost, and a folder is said to be one") {
  const support::TemporaryFolder folder;
  support::write_file(folder.path / "log.txt", "\n");
  CHECK_THROWS_WITH(fg::detail::begin_file(folder.path / "log.txt", fg::ExistingFile::refuse),
                    ContainsSubstring("is there already"));
  fg::detail::LogFile log(folder.path);
  CHECK_FALSE(fg::detail::begin_file(folder.path, fg::ExistingFile::refuse));
  CHECK_THROWS_WITH(log.open(false),
                    "fulgurite: the log file " + folder.path.string() + " cannot be written: Is a directory");
}

TEST_CASE("the whole lines of a file are read in as many pieces as the system gives") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "log.txt";
  support::write_file(path, "one\ntwo\nthree\n");
  fg::detail::LogFile log(path);
  log.open(true);
  errno = ENOENT;  // of something else
  {
    const support::Replaced read(fg::detail::system_calls.pread, [](int file, void* data, std::size_t size, off_t at) {
      return ::pread(file, data, std::min(size, std::size_t{3}), at);
    });
    CHECK(log.text() == "one\ntwo\nthree\n");
  }
  support::write_file(path, "one\n");  // somebody shortens it
  CHECK(log.text() == "one\n");
  std::filesystem::remove(path);
  CHECK(log.text().empty());
}
