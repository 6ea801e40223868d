// SPDX-License-Identifier: MIT
#include <fulgurite/loggers/csv_logger.hpp>

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Table = std::vector<std::vector<std::string>>;

namespace {

Table read(const std::filesystem::path& path) {
  std::ifstream file(path);
  Table table;
  while (const auto record = fg::detail::read_csv_record(file)) table.push_back(*record);
  return table;
}

void log(fg::CsvLogger& logger, std::int64_t step, std::int64_t epoch,
         const std::vector<fg::MetricValue>& values) {
  logger.log_metrics({step, epoch, values});
}

}  // namespace

TEST_CASE("a row a line; a metric that comes later adds a column to all of them") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "run" / "metrics.csv";
  fg::CsvLogger logger{.path = path};
  log(logger, 4, 0, {{"loss", 0.1}});
  CHECK(read(path) == Table{{"step", "epoch", "loss"}, {"4", "0", "0.1"}});  // it is there at once
  log(logger, 9, 0, {{"lr, all", 1e-3}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
  auto copy = logger;  // as the trainer makes
  log(copy, 9, 1, {{"val_loss", 0.25}});
  CHECK(read(path) == Table{{"step", "epoch", "loss", "lr, all", "val_loss"},
                            {"4", "0", "0.1", "", ""},
                            {"9", "0", "nan", "0.001", ""},
                            {"9", "1", "", "", "0.25"}});
  CHECK(support::names_in(path.parent_path()) == std::set<std::string>{"metrics.csv"});
}

TEST_CASE("a file that is there is refused, replaced or appended to") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.csv";
  {
    fg::CsvLogger logger{.path = path};
    log(logger, 0, 0, {{"a", 1.0}});
  }
  fg::CsvLogger refuses{.path = path};
  CHECK_THROWS_WITH(refuses.setup(), "fulgurite: the log file " + path.string() +
                                         " is there already: choose another path, or set .existing to "
                                         "fg::ExistingFile::replace or fg::ExistingFile::append");
  {
    fg::CsvLogger appends{.path = path, .existing = fg::ExistingFile::append};
    errno = ENOENT;  // of something else
    log(appends, 1, 0, {{"b", 2.0}, {"a", 3.0}});
  }
  CHECK(read(path) == Table{{"step", "epoch", "a", "b"}, {"0", "0", "1", ""}, {"1", "0", "3", "2"}});
  fg::CsvLogger replaces{.path = path, .existing = fg::ExistingFile::replace};
  replaces.setup();
  CHECK(read(path) == Table{{"step", "epoch"}});
  {
    fg::CsvLogger appends{.path = path, .existing = fg::ExistingFile::append};  // to what has no metrics yet
    log(appends, 1, 0, {{"a", 3.0}});
  }
  CHECK(read(path) == Table{{"step", "epoch", "a"}, {"1", "0", "3"}});
  for (const char* header : {"something,else", "step,loss", "a,epoch", "step"}) {
    INFO(header);
    std::ofstream(path) << header << '\n';
    fg::CsvLogger other{.path = path, .existing = fg::ExistingFile::append};
    CHECK_THROWS_WITH(other.setup(), "fulgurite: " + path.string() +
                                         " does not begin with step,epoch: fg::CsvLogger appends to what it wrote "
                                         "itself; choose another path");
  }
}

TEST_CASE("a file whose header has a line break in it gets another column too") {
  const support::TemporaryFolder folder;
  fg::CsvLogger logger{.path = folder.path / "metrics.csv"};
  log(logger, 0, 0, {{"a\nb", 1.0}});
  log(logger, 1, 0, {{"c", 2.0}});
  CHECK(read(logger.path) == Table{{"step", "epoch", "a\nb", "c"}, {"0", "0", "1", ""}, {"1", "0", "", "2"}});
}

TEST_CASE("a file that somebody removes or empties begins again with the next column") {
  const support::TemporaryFolder folder;
  fg::CsvLogger logger{.path = folder.path / "metrics.csv"};
  log(logger, 0, 0, {{"a", 1.0}});
  std::filesystem::remove(logger.path);
  log(logger, 1, 0, {{"b", 2.0}});
  CHECK(read(logger.path) == Table{{"step", "epoch", "a", "b"}, {"1", "0", "", "2"}});
  support::write_file(logger.path, "");
  log(logger, 2, 0, {{"c", 3.0}});
  CHECK(read(logger.path) == Table{{"step", "epoch", "a", "b", "c"}, {"2", "0", "", "", "3"}});
}

TEST_CASE("a file that cannot be written is an error") {
  const support::TemporaryFolder folder;
  fg::CsvLogger logger{.path = folder.path};  // a folder
  CHECK_THROWS(logger.setup());
}

TEST_CASE("hyper-parameters go into a file beside it") {
  const support::TemporaryFolder folder;
  const fg::CsvLogger logger{.path = folder.path / "run" / "metrics.csv"};
  logger.log_hyperparameters({{"lr", 3e-3}, {"model", "a, b"}, {"deep", true}, {"layers", 3}});
  CHECK(read(folder.path / "run" / "metrics.csv.hyperparameters.csv") ==
        Table{{"name", "value"}, {"lr", "0.003"}, {"model", "a, b"}, {"deep", "true"}, {"layers", "3"}});
}

TEST_CASE("rows that a full disk does not take are said, and written once there is room, with the columns of all") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.csv";
  fg::CsvLogger logger{.path = path};
  log(logger, 1, 0, {{"a", 1.0}});
  const Table before = read(path);
  {
    const support::FullDisk full;
    CHECK_THROWS_WITH(log(logger, 2, 0, {{"a", 2.0}}),
                      ContainsSubstring("fulgurite: the log file " + path.string() + " cannot be written: No space left on device; "
                                        "its last line is kept in memory until it can be"));
    CHECK_THROWS_WITH(log(logger, 3, 0, {{"b", 3.0}}),
                      ContainsSubstring("No space left on device; its last 2 lines are kept in memory until they can be"));
    CHECK_THROWS_WITH(log(logger, 4, 0, {{"a", 4.0}, {"c", 5.0}}), ContainsSubstring("its last 3 lines"));
    CHECK(read(path) == before);
    CHECK(support::names_in(folder.path) == std::set<std::string>{"metrics.csv"});
  }
  log(logger, 5, 1, {{"a", 6.0}});
  CHECK(read(path) == Table{{"step", "epoch", "a", "b", "c"},
                            {"1", "0", "1", "", ""},
                            {"2", "0", "2", "", ""},
                            {"3", "0", "", "3", ""},
                            {"4", "0", "4", "", "5"},
                            {"5", "1", "6", "", ""}});
}

TEST_CASE("rows with columns that the file lacks are written at the latest when the logger goes") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.csv";
  {
    fg::CsvLogger logger{.path = path};
    log(logger, 1, 0, {{"a", 1.0}});
    const support::FullDisk full;
    CHECK_THROWS(log(logger, 2, 0, {{"b", 2.0}}));
    logger.writer.reset();  // there is no room, which the row's error has said
  }
  CHECK(read(path) == Table{{"step", "epoch", "a"}, {"1", "0", "1"}});
  {
    fg::CsvLogger logger{.path = path, .existing = fg::ExistingFile::append};
    logger.setup();
    {
      const support::FullDisk full;
      CHECK_THROWS(log(logger, 2, 0, {{"b", 2.0}}));
    }
  }
  CHECK(read(path) == Table{{"step", "epoch", "a", "b"}, {"1", "0", "1", ""}, {"2", "0", "", "2"}});
}

TEST_CASE("each system call of a CSV logger fails in turn: what it says is lost was not taken, and the rest is there") {
  const support::WithoutSync fast;
  for (const int error : {ENOSPC, EIO, EINTR, EAGAIN}) {
    int number = 0;
    for (bool was_called = true; was_called;) {
      const support::TemporaryFolder folder;
      const auto path = folder.path / "run" / "metrics.csv";
      fg::CsvLogger logger{.path = path};
      support::Failure failure{++number, error};
      std::string problem;
      std::set<std::string> steps;
      const std::vector<std::string> names{"a", "b, c", "a", "d"};
      was_called = failure.during([&] {
        for (int step = 0; step < 4; ++step) {
          try {
            log(logger, step, 0, {{names[static_cast<std::size_t>(step)], 0.5}});
            steps.insert(std::to_string(step));
          } catch (const std::runtime_error& refused) {
            problem = refused.what();
            CHECK_THAT(problem, ContainsSubstring(std::strerror(error)) && ContainsSubstring((folder.path / "run").string()));
            if (problem.find("kept") != std::string::npos) steps.insert(std::to_string(step));
          }
        }
      });
      INFO(failure.call << ", call " << number << ": " << std::strerror(error) << "; " << problem);
      CHECK((error == ENOSPC || error == EIO || problem.empty()));
      logger.writer.reset();  // what waited for a row that never came
      const auto table = read(path);
      REQUIRE(table.size() == steps.size() + 1);
      CHECK(table[0].size() >= 4);
      for (std::size_t row = 1; row < table.size(); ++row) {
        CHECK(table[row].size() == table[0].size());
        CHECK(steps.contains(table[row][0]));
      }
      CHECK(support::names_in(folder.path / "run") == std::set<std::string>{"metrics.csv"});
    }
    CHECK(number > 30);
  }
}

// A pipe, since a test that fails as root would replace a device of the machine.
TEST_CASE("a table cannot go to a device or a pipe, which it would replace when it gets another column") {
  const support::TemporaryFolder folder;
  const auto pipe = folder.path / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  fg::CsvLogger piped{.path = pipe};
  CHECK_THROWS_WITH(piped.setup(), ContainsSubstring("the log file " + pipe.string() + " cannot be written: " +
                                                     pipe.string() + " is a device, a pipe or a socket"));
  CHECK(std::filesystem::is_fifo(pipe));
  std::filesystem::create_symlink("there.csv", folder.path / "link");
  fg::CsvLogger linked{.path = folder.path / "link"};
  log(linked, 1, 0, {{"a", 1.0}});
  CHECK(std::filesystem::is_symlink(folder.path / "link"));
  CHECK(read(folder.path / "there.csv") == Table{{"step", "epoch", "a"}, {"1", "0", "1"}});
}

TEST_CASE("hyper-parameters for which there is no room are an error, and the old ones stay") {
  const support::TemporaryFolder folder;
  const fg::CsvLogger logger{.path = folder.path / "metrics.csv"};
  logger.log_hyperparameters({{"lr", 0.5}});
  {
    const support::FullDisk full;
    CHECK_THROWS_WITH(logger.log_hyperparameters({{"lr", 0.25}}),
                      ContainsSubstring("metrics.csv.hyperparameters.csv cannot be written: ") &&
                          ContainsSubstring("No space left on device"));
  }
  CHECK(read(folder.path / "metrics.csv.hyperparameters.csv") == Table{{"name", "value"}, {"lr", "0.5"}});
}

namespace {

/// Saves after its second batch.
struct SavesEarly : toy::Model {
  toy::Checkpoint file{};
  auto training_step(double batch, auto& step) {
    step.log("loss", batch);
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (!file.saved() && step.progress().batches == 2) toy::save(step, file);
  }
};

}  // namespace

TEST_CASE("a run that goes on from an older checkpoint appends the rows of the steps between below the first ones") {
  const support::TemporaryFolder folder;
  const fg::CsvLogger appends{.path = folder.path / "metrics.csv", .existing = fg::ExistingFile::append};
  SavesEarly first, second;
  {
    fg::Trainer trainer{first, appends, fg::LogEvery{1}, fg::MaxEpochs{1}};
    trainer.fit(toy::counting(4));
  }
  fg::Trainer resumed{second, appends, fg::LogEvery{1}, fg::MaxEpochs{1}};
  toy::load(resumed, first.file);
  resumed.fit(toy::counting(4));
  CHECK(read(appends.path) == Table{{"step", "epoch", "loss"}, {"0", "0", "1"}, {"1", "0", "2"}, {"2", "0", "3"}, {"3", "0", "4"},
                                    {"2", "0", "3"}, {"3", "0", "4"}});
}
