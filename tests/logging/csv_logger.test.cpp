// SPDX-License-Identifier: MIT
#include <fulgurite/logging/csv_logger.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

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
  CHECK_FALSE(std::filesystem::exists(path.string() + ".new"));
}

TEST_CASE("a file that is there is refused, replaced or appended to") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.csv";
  {
    fg::CsvLogger logger{.path = path};
    log(logger, 0, 0, {{"a", 1.0}});
  }
  fg::CsvLogger refuses{.path = path};
  CHECK_THROWS_WITH(refuses.setup(), ContainsSubstring("metrics.csv is there already"));
  {
    fg::CsvLogger appends{.path = path, .existing = fg::ExistingFile::append};
    log(appends, 1, 0, {{"b", 2.0}, {"a", 3.0}});
  }
  CHECK(read(path) == Table{{"step", "epoch", "a", "b"}, {"0", "0", "1", ""}, {"1", "0", "3", "2"}});
  fg::CsvLogger replaces{.path = path, .existing = fg::ExistingFile::replace};
  replaces.setup();
  CHECK(read(path) == Table{{"step", "epoch"}});
  std::ofstream(path) << "something,else\n";
  fg::CsvLogger other{.path = path, .existing = fg::ExistingFile::append};
  CHECK_THROWS_WITH(other.setup(), ContainsSubstring("does not begin with step,epoch"));
}

TEST_CASE("a file that cannot be written is an error") {
  const support::TemporaryFolder folder;
  fg::CsvLogger logger{.path = folder.path};  // a folder
  CHECK_THROWS(logger.setup());
}

TEST_CASE("hyper-parameters go into a file beside it") {
  const support::TemporaryFolder folder;
  const fg::CsvLogger logger{.path = folder.path / "metrics.csv"};
  logger.log_hyperparameters({{"lr", 3e-3}, {"model", "a, b"}, {"deep", true}, {"layers", 3}});
  CHECK(read(folder.path / "metrics.csv.hyperparameters.csv") ==
        Table{{"name", "value"}, {"lr", "0.003"}, {"model", "a, b"}, {"deep", "true"}, {"layers", "3"}});
}
