// SPDX-License-Identifier: MIT
// A table read strictly: every way in which a file can be wrong has its sentence.
#include <fulgurite/data/csv.hpp>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ATen/ops/tensor.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

namespace data = fulgurite::data;
namespace fs = std::filesystem;

namespace {

// A file with this text, until the end of the scope. CTest runs tests side by side, so each has a name of its
// own.
class File {
 public:
  File(const std::string& name, std::string_view text)
      : path_(fs::temp_directory_path() / ("fulgurite_csv_test_" + name + ".csv")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { fs::remove(path_); }

  const fs::path& path() const { return path_; }

  /// The message of an error about this file.
  std::string says(const std::string& problem) const {
    return "fulgurite: " + path_.string() + ": " + problem;
  }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("a table is read into a float32 tensor") {
  const auto* text = GENERATE("1,2.5,-3\n4e1,.5,6\n", "1,2.5,-3\n4e1,.5,6", "1,2.5,-3\r\n4e1,.5,6\r\n");
  const File file("table", text);
  const auto table = data::read_csv(file.path());
  CHECK(table.scalar_type() == at::kFloat);
  CHECK(table.equal(at::tensor({1.0F, 2.5F, -3.0F, 40.0F, 0.5F, 6.0F}).reshape({2, 3})));
  CHECK(data::read_csv(file.path(), {.columns = 3, .rows = 2}).equal(table));
}

TEST_CASE("one column, one row and another separator are read") {
  const File cell("cell", "7\n");
  CHECK(data::read_csv(cell.path()).equal(at::tensor({7.0F}).reshape({1, 1})));
  const File semicolons("semicolons", "1;2\n");
  CHECK(
      data::read_csv(semicolons.path(), {.separator = ';'}).equal(at::tensor({1.0F, 2.0F}).reshape({1, 2})));
}

TEST_CASE("a file that is not there or cannot be read is refused by name") {
  const auto nowhere = fs::temp_directory_path() / "fulgurite_no_such_file.csv";
  CHECK_THROWS_WITH(data::read_csv(nowhere), "fulgurite: " + nowhere.string() + ": there is no such file");
  CHECK_THROWS_WITH(data::read_csv(fs::temp_directory_path()),
                    "fulgurite: " + fs::temp_directory_path().string() + ": the file cannot be read");
  CHECK_THROWS_AS(data::read_csv(nowhere), std::runtime_error);
}

TEST_CASE("an empty file is refused by name") {
  const File file("empty", "");
  CHECK_THROWS_WITH(data::read_csv(file.path()), file.says("the file is empty"));
  const File blank("only_blank", "\n");
  CHECK_THROWS_WITH(data::read_csv(blank.path()), blank.says("its first line is empty"));
}

TEST_CASE("a row of another length is refused with its line") {
  const File short_row("short_row", "1,2,3\n4,5\n7,8,9\n");
  CHECK_THROWS_WITH(data::read_csv(short_row.path()), short_row.says("line 2: 2 columns, expected 3"));
  const File long_row("long_row", "1,2\n4,5,6\n");
  CHECK_THROWS_WITH(data::read_csv(long_row.path()), long_row.says("line 2: 3 columns, expected 2"));
  const File blank("blank", "1,2\n\n3,4\n");
  CHECK_THROWS_WITH(data::read_csv(blank.path()), blank.says("line 2: it is empty: remove it"));
  const File blank_end("blank_end", "1,2\n3,4\n\n");
  CHECK_THROWS_WITH(data::read_csv(blank_end.path()), blank_end.says("line 3: it is empty: remove it"));
  const File other("other", "1,2\n");
  CHECK_THROWS_WITH(data::read_csv(other.path(), {.columns = 65}),
                    other.says("line 1: 2 columns, expected 65"));
}

TEST_CASE("a cell that is not a number is refused with its line and column") {
  const auto* cell = GENERATE("x", "", " 5", "5 ", "5x", "+5", "nan", "inf", "\"5\"");
  const File file("cell_is_not", std::string("1,2\n3,") + cell + "\n");
  CHECK_THROWS_WITH(data::read_csv(file.path()),
                    file.says("line 2: column 2: \"" + std::string(cell) + "\" is not a number"));
}

TEST_CASE("a header and a byte order mark are refused as what they are") {
  const File header("header", "a,b\n1,2\n");
  CHECK_THROWS_WITH(data::read_csv(header.path()),
                    header.says("line 1: column 1: \"a\" is not a number (if this is a header, remove it)"));
  const File mark("mark", "\xEF\xBB\xBF" "1,2\n");
  CHECK_THROWS_WITH(data::read_csv(mark.path()), mark.says("it begins with a byte order mark: save it as UTF-8 without one"));
}

TEST_CASE("a number beyond float32 is refused") {
  const File file("beyond", "1e99,2\n");
  CHECK_THROWS_WITH(data::read_csv(file.path()),
                    file.says("line 1: column 1: \"1e99\" is not a number that a float32 can hold"));
}

TEST_CASE("a file that ends inside of a row is cut short") {
  const File inside("inside", "1,2,3\n4,5");
  CHECK_THROWS_WITH(data::read_csv(inside.path()),
                    inside.says("the file is cut short: its last row has 2 columns, expected 3"));
  const File after_comma("after_comma", "1,2,3\n4,5,");
  CHECK_THROWS_WITH(data::read_csv(after_comma.path()),
                    after_comma.says("the file is cut short: its last row ends with a separator"));
}

TEST_CASE("another number of rows than expected is refused") {
  const File file("rows", "1,2\n3,4\n");
  CHECK_THROWS_WITH(data::read_csv(file.path(), {.rows = 3}),
                    file.says("the file is cut short: 2 rows, expected 3"));
  CHECK_THROWS_WITH(data::read_csv(file.path(), {.rows = 1}), file.says("2 rows, expected 1"));
}
