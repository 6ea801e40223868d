// SPDX-License-Identifier: MIT
// A logger that writes comma-separated values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <ios>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fulgurite/logging/hyperparameters.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/policies/callback.hpp>
#include "log_file.hpp"

namespace fulgurite {

/// Writes a line for each row of metrics, with the columns `step`, `epoch` and one a metric; a value that a
/// row does not have is left empty. A metric that comes later adds a column to the whole file.
/// Hyper-parameters go beside it, into
/// `<path>.hyperparameters.csv`. Each row is in the file when the trainer goes on.
/// Rows for which a disk has no room are an error, and written once it has.
struct CsvLogger {
  using slot = slots::Callback;

  std::filesystem::path path = "metrics.csv";    ///< folders are made
  ExistingFile existing = ExistingFile::refuse;  ///< what becomes of a file that is there before

  struct Writer;
  std::shared_ptr<Writer> writer = nullptr;  ///< state, shared by copies: not to be set

  /// Throws std::runtime_error if the file is there and `existing` is refuse, or cannot be written.
  void setup();
  void log_metrics(const MetricsRow& row);
  void log_hyperparameters(const Hyperparameters& parameters) const {
    std::filesystem::path beside = path;
    beside += ".hyperparameters.csv";
    std::string text = "name,value\n";
    for (const Hyperparameter& parameter : parameters) {
      text += detail::csv_field(parameter.name) + ',' + detail::csv_field(detail::text_of(parameter.value)) + '\n';
    }
    detail::LogFile(beside).replace(text);
  }
};

/// The open file and its columns.
struct CsvLogger::Writer {
  std::filesystem::path path;
  static constexpr std::array<std::string_view, 2> own_columns{"step", "epoch"};
  std::vector<std::string> columns{own_columns.begin(), own_columns.end()};
  std::size_t columns_in_file = 0;
  detail::LogFile file;

  Writer(const std::filesystem::path& to, ExistingFile existing) : path(to), file(to) {
    if (!detail::begin_file(path, existing)) {
      widen();
      return;
    }
    file.open(true);
    std::istringstream before(file.text());
    columns = detail::read_csv_record(before).value_or(columns);
    columns_in_file = columns.size();
    const auto end = std::mismatch(own_columns.begin(), own_columns.end(), columns.begin(), columns.end()).first;
    if (end != own_columns.end()) {
      throw std::runtime_error("fulgurite: " + path.string() +
                               " does not begin with step,epoch: fg::CsvLogger appends to "
                               "what it wrote itself; choose another path");
    }
  }

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    try {
      if (columns.size() > columns_in_file) widen();  // for rows that wait
    } catch (const std::exception&) {  // it was said when the rows came
    }
  }

  void write(const MetricsRow& row) {
    const std::size_t known = columns.size();
    std::vector<std::string> fields(known);
    fields[0] = std::to_string(row.step);
    fields[1] = std::to_string(row.epoch);
    for (const auto& [name, value] : row.values) {
      const auto at =
          static_cast<std::size_t>(std::find(columns.begin() + 2, columns.end(), name) - columns.begin());
      if (at == columns.size()) {
        columns.emplace_back(name);
        fields.emplace_back();
      }
      fields[at] = detail::text_of(value);
    }
    file.waiting = widened(file.waiting, columns.size() - known) + detail::joined(fields);
    if (columns.size() > columns_in_file) {
      widen();
    } else {
      file.write();
    }
  }

 private:
  /// Writes the file anew with the columns that it lacks, and with the rows that wait.
  void widen() {
    std::string text;
    for (const std::string& column : columns) text += (text.empty() ? "" : ",") + detail::csv_field(column);
    text += '\n';
    if (columns_in_file > 0) {
      const std::string old = file.text();
      std::istringstream before(old);
      detail::read_csv_record(before);  // the old header, which may have line breaks in it
      if (const auto rows = before.tellg(); rows != std::streamoff{-1}) {
        text += widened(std::string_view(old).substr(static_cast<std::size_t>(rows)), columns.size() - columns_in_file);
      }
    }
    file.replace(text + file.waiting);
    columns_in_file = columns.size();
  }

  static std::string widened(std::string_view rows, std::size_t added) {
    const std::string commas(added, ',');
    std::string text;
    for (const char c : rows) {
      if (c == '\n') text += commas;
      text += c;
    }
    return text;
  }
};

inline void CsvLogger::setup() {
  if (!writer) writer = std::make_shared<Writer>(path, existing);
}
inline void CsvLogger::log_metrics(const MetricsRow& row) {
  setup();
  writer->write(row);
}

}  // namespace fulgurite
