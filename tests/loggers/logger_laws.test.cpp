// SPDX-License-Identifier: MIT
// Laws of all loggers that write files: what was logged is read back, whatever happened in between.
#include <fulgurite/loggers.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/families.hpp"
#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
namespace fs = std::filesystem;

namespace {

/// A row with what belongs to it.
struct Row {
  std::int64_t step, epoch;
  std::vector<std::pair<std::string, double>> values;

  friend bool operator==(const Row& a, const Row& b) {
    const auto bits = [](const Row& row) {
      std::map<std::string, std::uint64_t> all;
      for (const auto& [name, value] : row.values)
        all[name] = std::isnan(value) ? 0 : std::bit_cast<std::uint64_t>(value) + 1;
      return all;
    };
    return a.step == b.step && a.epoch == b.epoch && bits(a) == bits(b);
  }
};
using Rows = std::vector<Row>;

Rows first(const Rows& rows, std::size_t count) {
  return {rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count)};
}

double number_of(const std::string& text) {
  return std::strtod(text.c_str(), nullptr);
}

// --- a member: a logger, and how another program reads what it wrote ---

struct Csv {
  using Logger = fg::CsvLogger;
  static constexpr const char* header = "csv_logger";
  static constexpr int lines_before_rows = 1;

  static std::vector<std::vector<std::string>> table(const fs::path& path) {
    std::istringstream text(support::text_of(path));
    std::vector<std::vector<std::string>> all;
    while (const auto record = fg::detail::read_csv_record(text)) all.push_back(*record);
    return all;
  }
  static Rows rows(const fs::path& path) {
    const auto all = table(path);
    Rows read;
    for (std::size_t line = 1; line < all.size(); ++line) {
      REQUIRE(all[line].size() == all[0].size());
      Row row{std::stoll(all[line][0]), std::stoll(all[line][1]), {}};
      for (std::size_t at = 2; at < all[0].size(); ++at) {
        if (!all[line][at].empty()) row.values.emplace_back(all[0][at], number_of(all[line][at]));
      }
      read.push_back(std::move(row));
    }
    return read;
  }
  /// Texts as they are; the type of a value is lost.
  static std::map<std::string, std::string> hyperparameters(const fs::path& path) {
    std::map<std::string, std::string> read;
    const auto all = table(path.string() + ".hyperparameters.csv");
    for (std::size_t line = 1; line < all.size(); ++line) read[all[line].at(0)] = all[line].at(1);
    return read;
  }
};

struct JsonLines {
  using Logger = fg::JsonLinesLogger;
  static constexpr const char* header = "json_lines_logger";
  static constexpr int lines_before_rows = 0;

  /// Reads an object of texts, numbers, truth values and objects of these: no more is written.
  class Reader {
   public:
    using Values = std::vector<std::pair<std::string, std::string>>;
    explicit Reader(std::string_view text) : rest_(text) {}

    /// The values as texts, those of an inner object after its name and a slash.
    Values object() {
      Values values;
      expect('{');
      while (rest_.front() != '}') {
        if (!values.empty()) expect(',');
        std::string name = text();
        expect(':');
        if (rest_.front() == '{') {
          for (auto& [inner, value] : object()) values.emplace_back(name + "/" + inner, value);
        } else {
          values.emplace_back(std::move(name), rest_.front() == '"' ? text() : literal());
        }
      }
      expect('}');
      return values;
    }
    bool at_end() const { return rest_.empty(); }

   private:
    void expect(char c) {
      REQUIRE(!rest_.empty());
      REQUIRE(rest_.front() == c);
      rest_.remove_prefix(1);
    }
    std::string literal() {
      const auto end = rest_.find_first_of(",}");
      const std::string found(rest_.substr(0, end));
      rest_.remove_prefix(end);
      return found;
    }
    std::string text() {
      std::string found;
      for (expect('"'); rest_.front() != '"'; rest_.remove_prefix(1)) {
        if (rest_.front() != '\\') {
          found += rest_.front();
          continue;
        }
        rest_.remove_prefix(1);
        if (rest_.front() != 'u') {
          found += rest_.front();
          continue;
        }
        found += static_cast<char>(std::stoi(std::string(rest_.substr(1, 4)), nullptr, 16));
        rest_.remove_prefix(4);
      }
      expect('"');
      return found;
    }
    std::string_view rest_;
  };

  static std::vector<Reader::Values> lines(const fs::path& path) {
    std::istringstream text(support::text_of(path));
    std::vector<Reader::Values> read;
    for (std::string line; std::getline(text, line);) {
      Reader reader(line);
      read.push_back(reader.object());
      REQUIRE(reader.at_end());
    }
    return read;
  }
  static Rows rows(const fs::path& path) {
    Rows read;
    for (const auto& line : lines(path)) {
      REQUIRE(line.at(0).first == "step");
      REQUIRE(line.at(1).first == "epoch");
      Row row{std::stoll(line[0].second), std::stoll(line[1].second), {}};
      for (std::size_t at = 2; at < line.size(); ++at) row.values.emplace_back(line[at].first, number_of(line[at].second));
      read.push_back(std::move(row));
    }
    return read;
  }
  static std::map<std::string, std::string> hyperparameters(const fs::path& path) {
    std::map<std::string, std::string> read;
    for (const auto& line : lines(path)) {
      for (const auto& [name, value] : line) {
        if (name.starts_with("hyperparameters/")) read[name.substr(name.find('/') + 1)] = value;
      }
    }
    return read;
  }
};

// --- what is logged ---

/// Names and values that are hard to write, in rows of other names each.
Rows hard_rows() {
  constexpr auto limits = std::numeric_limits<double>();
  const std::vector<std::string> names{"loss",        "a, b", "say \"a\"", "two\nlines", "tab\tand\rreturn",
                                       "\xc3\xa4/\\", " ",    "'"};
  const std::vector<double> values{0.1,
                                   -0.0,
                                   1.0 / 3.0,
                                   limits.max(),
                                   limits.denorm_min(),
                                   limits.quiet_NaN(),
                                   limits.infinity(),
                                   -limits.infinity(),
                                   -1e-300,
                                   123456789.0,
                                   limits.epsilon()};
  Rows rows;
  std::size_t next = 0;
  for (std::int64_t step = 0; step < 14; ++step) {
    Row row{step == 13 ? std::numeric_limits<std::int64_t>::max() : step, step / 4, {}};
    const auto known = std::min<std::size_t>(names.size(), static_cast<std::size_t>(step) / 2 + 1);
    for (std::size_t at = 0; at < known; ++at) {
      if ((at + static_cast<std::size_t>(step)) % 3 == 2) continue;
      row.values.emplace_back(names[at], values[next++ % values.size()]);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void log(auto& logger, const Row& row) {
  std::vector<fg::MetricValue> values;
  for (const auto& [name, value] : row.values) values.push_back({name, value});
  logger.log_metrics({row.step, row.epoch, values});
}

/// What one run writes that is never disturbed.
template <class Member>
std::string undisturbed(const Rows& rows) {
  const support::TemporaryFolder folder;
  {
    typename Member::Logger logger{.path = folder.path / "log"};
    for (const Row& row : rows) log(logger, row);
  }
  return support::text_of(folder.path / "log");
}

}  // namespace

TEST_CASE("the laws are about all loggers that write files") {
  const std::set<std::string> known{Csv::header, JsonLines::header, "log_file"};
  CHECK(support::headers_in("loggers") == known);
}

TEMPLATE_TEST_CASE("every row is read back with its values, and stays as it was when later ones add names", "", Csv,
                   JsonLines) {
  const support::WithoutSync fast;
  const support::TemporaryFolder folder;
  const Rows rows = hard_rows();
  typename TestType::Logger logger{.path = folder.path / "log"};
  for (std::size_t count = 1; count <= rows.size(); ++count) {
    log(logger, rows[count - 1]);
    CHECK(TestType::rows(logger.path) == first(rows, count));  // it is there at once
  }
}

TEMPLATE_TEST_CASE("runs that append write what one run would have written, and so do copies of a logger", "", Csv,
                   JsonLines) {
  const support::WithoutSync fast;
  const Rows rows = hard_rows();
  const std::string expected = undisturbed<TestType>(rows);
  for (std::size_t stop = 0; stop <= rows.size(); ++stop) {
    INFO("stopped after " << stop << " rows");
    const support::TemporaryFolder folder;
    const auto path = folder.path / "log";
    {
      typename TestType::Logger logger{.path = path};
      for (std::size_t at = 0; at < stop; ++at) log(logger, rows[at]);
    }
    {
      typename TestType::Logger logger{.path = path, .existing = fg::ExistingFile::append};
      logger.setup();
      auto copy = logger;
      for (std::size_t at = stop; at < rows.size(); ++at) log(at % 2 == 0 ? logger : copy, rows[at]);
    }
    CHECK(support::text_of(path) == expected);
  }
}

TEMPLATE_TEST_CASE("rows that a disk refuses for a while are all there in the end, in their order", "", Csv, JsonLines) {
  const support::WithoutSync fast;
  const Rows rows = hard_rows();
  const std::string expected = undisturbed<TestType>(rows);
  for (std::size_t from = 0; from < rows.size(); ++from) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{4}}) {
      INFO("refused from row " << from << ", " << count << " of them");
      const support::TemporaryFolder folder;
      {
        typename TestType::Logger logger{.path = folder.path / "log"};
        logger.setup();
        for (std::size_t at = 0; at < rows.size(); ++at) {
          if (at < from || at >= from + count) {
            log(logger, rows[at]);
            continue;
          }
          const support::FullDisk full;
          CHECK_THROWS_AS(log(logger, rows[at]), std::runtime_error);
          CHECK(TestType::rows(logger.path) == first(rows, from));
        }
      }
      CHECK(support::text_of(folder.path / "log") == expected);
    }
  }
}

TEMPLATE_TEST_CASE("wherever a disk gets full within rows, no half of a row stays that can be cut off, and no row is lost", "",
                   Csv, JsonLines) {
  const support::WithoutSync fast;
  const Rows rows{{0, 0, {{"loss", 0.5}}},  {1, 0, {{"loss", 0.25}}},             {2, 0, {{"loss", 0.125}}},
                  {3, 0, {{"loss", 1.5}}},  {4, 1, {{"loss", 2.5}, {"lr", 0.1}}}, {5, 1, {{"loss", 3.5}}}};
  const std::string expected = undisturbed<TestType>(rows);
  const std::size_t two = undisturbed<TestType>(first(rows, 3)).size() - undisturbed<TestType>(first(rows, 1)).size();
  for (std::size_t room = 0; room <= two + 1; ++room) {
    for (const int refused : {0, 1, 3}) {  // how often it cannot be cut off
      INFO("room for " << room << " bytes, not cut off " << refused << " times");
      const support::TemporaryFolder folder;
      const auto path = folder.path / "log";
      typename TestType::Logger logger{.path = path};
      log(logger, rows[0]);
      const std::string before = undisturbed<TestType>(first(rows, 4));
      const auto is_whole = [&] {
        const std::string text = support::text_of(path);
        return text.ends_with('\n') && before.starts_with(text);
      };
      const auto try_to_log = [&](const Row& row) {
        try {
          log(logger, row);
        } catch (const std::runtime_error&) {  // it is kept
        }
      };
      int cuts = 0;
      {
        const support::LittleRoom little(room);
        const support::WatchedCalls calls([&](std::string_view name) {
          return name == "ftruncate" && ++cuts <= refused ? EPERM : 0;
        });
        try_to_log(rows[1]);
        try_to_log(rows[2]);
      }
      if (refused == 0) CHECK(is_whole());
      {
        const support::LittleRoom little(3);
        const support::WatchedCalls calls([&](std::string_view name) {
          return name == "ftruncate" && ++cuts <= refused ? EPERM : 0;
        });
        try_to_log(rows[3]);
      }
      if (refused == 0 || cuts > refused) CHECK(is_whole());
      CHECK(before.starts_with(support::text_of(path)));
      log(logger, rows[4]);
      log(logger, rows[5]);
      CHECK(support::text_of(path) == expected);
    }
  }
}

TEMPLATE_TEST_CASE("a row costs one system call, and a logger that goes only closes its file", "", Csv, JsonLines) {
  const support::TemporaryFolder folder;
  typename TestType::Logger logger{.path = folder.path / "log"};
  log(logger, {0, 0, {{"loss", 0.5}}});
  log(logger, {1, 0, {{"loss", 0.5}}});  // a file that got a column is opened again
  std::vector<std::string> made;
  const support::WatchedCalls calls([&](const char* name) {
    made.emplace_back(name);
    return 0;
  });
  log(logger, {2, 0, {{"loss", 0.5}}});
  CHECK(made == std::vector<std::string>{"write"});
  logger = {};
  CHECK(made == std::vector<std::string>{"write", "close"});
}

TEMPLATE_TEST_CASE("a run that was cut off in a row loses no other, and one that appends adds its own", "", Csv, JsonLines) {
  const support::WithoutSync fast;
  const Rows rows{{0, 0, {{"loss", 0.125}, {"a, b", -1e-300}}}, {7, 1, {{"loss", 0.25}, {"a, b", 0.5}}}};
  const Row next{8, 1, {{"c", 2.0}, {"loss", 0.75}}};
  const std::string whole = undisturbed<TestType>(rows);
  const std::size_t row_begins = undisturbed<TestType>(first(rows, 1)).size();
  for (std::size_t size = row_begins; size <= whole.size(); ++size) {
    INFO("cut off after " << whole.substr(0, size));
    const support::TemporaryFolder folder;
    typename TestType::Logger logger{.path = folder.path / "log", .existing = fg::ExistingFile::append};
    support::write_file(logger.path, whole.substr(0, size));
    log(logger, next);
    if (size + 1 >= whole.size()) CHECK(TestType::rows(logger.path) == Rows{rows[0], rows[1], next});
    if (size > row_begins) {  // what is left of the row is on a line of its own
      std::istringstream text(support::text_of(logger.path));
      std::string without;
      int number = 0;
      for (std::string line; std::getline(text, line);) {
        if (++number != TestType::lines_before_rows + 2) without += line + '\n';
      }
      support::write_file(logger.path, without);
    }
    CHECK(TestType::rows(logger.path) == Rows{rows[0], next});
  }
}

TEMPLATE_TEST_CASE("hyper-parameters are read back with their names and values", "", Csv, JsonLines) {
  const support::TemporaryFolder folder;
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  const fg::Hyperparameters given{{"lr", 1.0 / 3.0},       {"a, b", "say \"a\""},  {"two\nlines", "tab\t, \r\n"},
                                  {"deep", true},          {"flat", false},        {"n", largest},
                                  {"least", -largest - 1}, {"empty", ""},          {"\xc3\xa4", "\\ \x01"},
                                  {"denormal", 5e-324},    {"none", std::nan("")}, {"never", -HUGE_VAL}};
  typename TestType::Logger logger{.path = folder.path / "log"};
  logger.setup();
  logger.log_hyperparameters(given);
  std::map<std::string, std::string> expected;
  for (const auto& [name, value] : given) expected[name] = fg::detail::text_of(value);
  CHECK(TestType::hyperparameters(logger.path) == expected);
  CHECK(std::bit_cast<std::uint64_t>(number_of(expected.at("lr"))) == std::bit_cast<std::uint64_t>(1.0 / 3.0));
  CHECK(number_of(expected.at("denormal")) == 5e-324);
}
