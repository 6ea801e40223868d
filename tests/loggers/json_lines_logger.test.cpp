// SPDX-License-Identifier: MIT
#include <fulgurite/loggers/json_lines_logger.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("an object a line") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  const auto written = [&] { return support::text_of(path); };
  const std::vector<fg::MetricValue> values{{"loss", 0.25},
                                            {"a\"b", std::numeric_limits<double>::infinity()}};
  {
    fg::JsonLinesLogger logger{.path = path};
    logger.log_hyperparameters({{"lr", 0.5}, {"model", "mlp"}, {"n", 3}, {"on", false}, {"inf", HUGE_VAL}});
    auto copy = logger;
    copy.log_metrics({4, 1, values});
    CHECK(written() ==
          "{\"hyperparameters\":{\"lr\":0.5,\"model\":\"mlp\",\"n\":3,\"on\":false,\"inf\":\"inf\"}}\n"
          "{\"step\":4,\"epoch\":1,\"loss\":0.25,\"a\\\"b\":\"inf\"}\n");
  }
  fg::JsonLinesLogger refuses{.path = path};
  CHECK_THROWS_WITH(refuses.setup(), ContainsSubstring("is there already"));
  fg::JsonLinesLogger appends{.path = path, .existing = fg::ExistingFile::append};
  appends.log_metrics({5, 1, {}});
  CHECK(written().ends_with("\"inf\"}\n{\"step\":5,\"epoch\":1}\n"));
}

TEST_CASE("lines that a full disk does not take are said, and written once there is room") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  fg::JsonLinesLogger logger{.path = path};
  logger.log_metrics({1, 0, {}});
  {
    const support::FullDisk full;
    CHECK_THROWS_WITH(logger.log_metrics({2, 0, {}}),
                      ContainsSubstring("fulgurite: the log file " + path.string() + " cannot be written: No space left on device; "
                                        "its last line is kept in memory until it can be"));
    CHECK_THROWS_WITH(logger.log_metrics({3, 0, {}}), ContainsSubstring("its last 2 lines are kept in memory until they can be"));
  }
  CHECK(support::text_of(path) == "{\"step\":1,\"epoch\":0}\n");
  logger.log_metrics({4, 0, {}});
  CHECK(support::text_of(path) ==
        "{\"step\":1,\"epoch\":0}\n{\"step\":2,\"epoch\":0}\n{\"step\":3,\"epoch\":0}\n{\"step\":4,\"epoch\":0}\n");
}

TEST_CASE("lines that wait are written at the latest when the logger goes") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  {
    fg::JsonLinesLogger logger{.path = path};
    logger.setup();
    const support::FullDisk full;
    CHECK_THROWS(logger.log_metrics({1, 0, {}}));
    logger.file.reset();  // there is no room, which the line's error has said
  }
  CHECK(support::text_of(path).empty());
  {
    fg::JsonLinesLogger logger{.path = path};
    logger.setup();
    {
      const support::FullDisk full;
      CHECK_THROWS(logger.log_metrics({1, 0, {}}));
    }
  }
  CHECK(support::text_of(path) == "{\"step\":1,\"epoch\":0}\n");
}

TEST_CASE("a file in which only a part of a line found room ends with the line before, and loses nothing") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  for (const bool can_be_cut : {true, false}) {
    fg::JsonLinesLogger logger{.path = path, .existing = fg::ExistingFile::replace};
    logger.log_metrics({1, 0, {}});
    {
      int writes = 0;
      support::WatchedCalls* watched = nullptr;
      support::WatchedCalls calls([&](std::string_view name) {
        if (name == "ftruncate" && !can_be_cut) return EPERM;
        if (name == "write" && ++writes == 1) watched->write_half();
        return writes > 1 && name == "write" ? ENOSPC : 0;
      });
      watched = &calls;
      CHECK_THROWS_WITH(logger.log_metrics({2, 0, {}}), ContainsSubstring("its last line is kept in memory"));
    }
    const std::string first = "{\"step\":1,\"epoch\":0}\n";
    CHECK(support::text_of(path) == (can_be_cut ? first : first + "{\"step\":2,"));
    logger.log_metrics({3, 0, {}});
    CHECK(support::text_of(path) == first + "{\"step\":2,\"epoch\":0}\n{\"step\":3,\"epoch\":0}\n");
  }
}

TEST_CASE("the half of a line is not cut off if somebody else has written behind it") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  fg::JsonLinesLogger logger{.path = path};
  logger.setup();
  {
    const support::LittleRoom room(5);
    const support::WatchedCalls calls([&](std::string_view name) {
      if (name == "fstat") std::ofstream(path, std::ios::app) << "other\n";
      return 0;
    });
    CHECK_THROWS(logger.log_metrics({1, 0, {}}));
  }
  CHECK(support::text_of(path) == "{\"steother\n");
}

TEST_CASE("a file that cannot be opened is refused when the logger is set up") {
  const support::TemporaryFolder folder;
  fg::JsonLinesLogger logger{.path = folder.path / "metrics.jsonl"};
  const support::WatchedCalls calls([](std::string_view name) { return name == "open" ? EACCES : 0; });
  CHECK_THROWS_WITH(logger.setup(), "fulgurite: the log file " + logger.path.string() + " cannot be written: Permission denied");
}

TEST_CASE("each system call of a logger fails in turn: what it says is lost was not taken, and the rest is there") {
  for (const int error : {ENOSPC, EIO, EINTR, EAGAIN}) {
    int number = 0;
    for (bool was_called = true; was_called;) {
      const support::TemporaryFolder folder;
      const auto path = folder.path / "run" / "metrics.jsonl";
      fg::JsonLinesLogger logger{.path = path};
      support::Failure failure{++number, error};
      std::string problem, expected;
      was_called = failure.during([&] {
        for (int step = 0; step < 3; ++step) {
          const std::string line = "{\"step\":" + std::to_string(step) + ",\"epoch\":0}\n";
          try {
            logger.log_metrics({step, 0, {}});
            expected += line;
          } catch (const std::runtime_error& refused) {
            problem = refused.what();
            CHECK(problem.find(std::strerror(error)) != std::string::npos);
            if (problem.find("is kept") != std::string::npos) expected += line;
          }
        }
      });
      INFO(failure.call << ", call " << number << ": " << std::strerror(error) << "; " << problem);
      logger.file.reset();  // what waited for a line that never came
      CHECK(support::text_of(path) == expected);
      CHECK((error != EINTR || problem.empty()));
      CHECK((error != EAGAIN || problem.empty()));
    }
    CHECK(number > 8);
  }
}

TEST_CASE("a log goes to a device or through a symbolic link as well") {
  const support::TemporaryFolder folder;
  fg::JsonLinesLogger full{.path = "/dev/full"};
  CHECK_THROWS_WITH(full.log_metrics({1, 0, {}}), ContainsSubstring("/dev/full cannot be written: No space left on device"));
  std::filesystem::create_symlink("there.jsonl", folder.path / "link");
  fg::JsonLinesLogger linked{.path = folder.path / "link"};
  linked.log_metrics({1, 0, {}});
  CHECK(support::text_of(folder.path / "there.jsonl") == "{\"step\":1,\"epoch\":0}\n");
}
