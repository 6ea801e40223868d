// SPDX-License-Identifier: MIT
// A table of numbers, read strictly: a file that is not what it should be is refused, with the line to blame.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace fulgurite::data {

struct CsvOptions {
  std::optional<std::int64_t> columns = std::nullopt;  ///< expected; by default as many as the first row has
  std::optional<std::int64_t> rows = std::nullopt;     ///< expected; by default as many as there are
  char separator = ',';                                ///< between two cells
};

namespace detail {

class CsvReader {
 public:
  CsvReader(const std::filesystem::path& path, const CsvOptions& options)
      : name_(path.string()), separator_(options.separator), text_(contents(path)), rest_(text_) {
    if (text_.empty()) refuse("the file is empty");
    if (text_.starts_with("\xEF\xBB\xBF")) refuse("it begins with a byte order mark: save it as UTF-8 without one");
    columns_ = options.columns.value_or(count_cells(rest_.substr(0, rest_.find('\n'))));
    if (columns_ < 1) refuse("its first line is empty");
    rows_ = std::count(text_.begin(), text_.end(), '\n') + (text_.back() == '\n' ? 0 : 1);
  }

  at::Tensor read(std::optional<std::int64_t> expected_rows) {
    at::Tensor table = at::empty({rows_, columns_}, at::kFloat);
    auto* out = table.data_ptr<float>();
    while (!rest_.empty()) out = read_row(out);
    const std::int64_t expected = expected_rows.value_or(rows_);
    if (rows_ < expected) refuse("the file is cut short: " + counts(rows_, "rows", expected));
    if (rows_ > expected) refuse(counts(rows_, "rows", expected));
    return table;
  }

 private:
  float* read_row(float* out) {
    ++line_;
    const std::size_t length = rest_.find('\n');
    std::string_view row = rest_.substr(0, length);
    rest_.remove_prefix(length == std::string_view::npos ? rest_.size() : length + 1);
    if (row.ends_with('\r')) row.remove_suffix(1);

    const bool has_end = length != std::string_view::npos;
    const std::int64_t found = count_cells(row);
    if (!has_end && found < columns_) {
      refuse("the file is cut short: its last row has " + counts(found, "columns", columns_));
    }
    if (!has_end && row.ends_with(separator_)) {
      refuse("the file is cut short: its last row ends with a separator");
    }
    if (row.empty() && line_ > 1) refuse_line("it is empty: remove it");
    if (found != columns_) refuse_line(counts(found, "columns", columns_));

    for (std::int64_t column = 1; column <= columns_; ++column) {
      const std::string_view cell = row.substr(0, row.find(separator_));
      *out++ = read_cell(cell, column);
      row.remove_prefix(std::min(cell.size() + 1, row.size()));
    }
    return out;
  }

  float read_cell(std::string_view cell, std::int64_t column) const {
    float value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    const bool is_number = error == std::errc{} && end == cell.data() + cell.size() && std::isfinite(value);
    if (!is_number) {
      refuse_line("column " + std::to_string(column) + ": \"" + std::string(cell) + "\" is not a number" +
                  (error == std::errc::result_out_of_range ? " that a float32 can hold"
                   : line_ == 1 && column == 1             ? " (if this is a header, remove it)"
                                                           : ""));
    }
    return value;
  }

  static std::string counts(std::int64_t found, const char* what, std::int64_t expected) {
    return std::to_string(found) + ' ' + what + ", expected " + std::to_string(expected);
  }

  std::int64_t count_cells(std::string_view row) const {
    return row.empty() ? 0 : 1 + std::count(row.begin(), row.end(), separator_);
  }

  std::string contents(const std::filesystem::path& path) const {
    if (!std::filesystem::exists(path)) refuse("there is no such file");
    std::ifstream file(path, std::ios::binary);
    if (std::filesystem::is_directory(path) || !file) refuse("the file cannot be read");
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }

  [[noreturn]] void refuse(const std::string& problem) const {
    throw std::runtime_error("fulgurite: " + name_ + ": " + problem);
  }
  [[noreturn]] void refuse_line(const std::string& problem) const {
    refuse("line " + std::to_string(line_) + ": " + problem);
  }

  std::string name_;
  char separator_;
  std::string text_;
  std::string_view rest_;  // not read yet
  std::int64_t columns_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t line_ = 0;  // counted from 1
};

}  // namespace detail

/// Reads a file of numbers without header into a float32 tensor `[rows, columns]`.
///
///     auto table = fg::data::read_csv("digits.csv", {.columns = 65, .rows = 1797});
///
/// Lines end in "\n" or "\r\n"; cells are plain numbers, neither quoted nor padded, and finite.
/// Throws `std::runtime_error` with the file's name, and the line's number where there is one: no such file,
/// an empty file, a header or byte order mark, a row of another length, a cell that is not a number, another
/// number of rows, a file that is cut short.
inline at::Tensor read_csv(const std::filesystem::path& path, const CsvOptions& options = {}) {
  return detail::CsvReader(path, options).read(options.rows);
}

}  // namespace fulgurite::data
