// SPDX-License-Identifier: MIT
// A logger that writes comma-separated values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/callbacks/callback.hpp>
#include "hyperparameters.hpp"
#include "log_file.hpp"
#include "logger.hpp"

namespace fulgurite {

/// Writes a line for each row of metrics, with the columns `step`, `epoch` and one a metric; a value that a
/// row does not have is left empty. A metric that comes later adds a column to the whole file.
/// Hyper-parameters go beside it, into
/// `<path>.hyperparameters.csv`. Each row is in the file when the trainer goes on.
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
    detail::make_folder_of(beside);
    std::ofstream file(beside);
    file << "name,value\n";
    for (const Hyperparameter& parameter : parameters) {
      file << detail::csv_field(parameter.name) << ',' << detail::csv_field(detail::text_of(parameter.value))
           << '\n';
    }
    detail::require_written(file, beside);
  }
};

/// The open file and its columns.
struct CsvLogger::Writer {
  std::filesystem::path path;
  std::vector<std::string> columns{"step", "epoch"};
  std::ofstream file{};

  Writer(const std::filesystem::path& to, ExistingFile existing) : path(to) {
    if (detail::begin_file(path, existing)) {
      std::ifstream before(path);
      columns = detail::read_csv_record(before).value_or(columns);
      if (columns.size() < 2 || columns[0] != "step" || columns[1] != "epoch") {
        throw std::runtime_error("fulgurite: " + path.string() +
                                 " does not begin with step,epoch: fg::CsvLogger appends to "
                                 "what it wrote itself; choose another path");
      }
      before.close();
      file.open(path, std::ios::app);
    } else {
      file.open(path);
      file << header() << std::flush;
    }
    detail::require_written(file, path);
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
    if (columns.size() > known) widen(columns.size() - known);
    file << detail::joined(fields) << std::flush;
    detail::require_written(file, path);
  }

 private:
  std::string header() const {
    std::vector<std::string> fields;
    for (const std::string& column : columns) fields.push_back(detail::csv_field(column));
    return detail::joined(fields);
  }

  /// Writes the file anew with so many more columns, and puts it into its place when it is whole.
  void widen(std::size_t added) {
    file.close();
    std::filesystem::path whole = path;
    whole += ".new";
    {
      std::ifstream before(path);
      std::ofstream after(whole);
      after << header();
      detail::read_csv_record(before);  // the old header, which may have line breaks in it
      for (std::string line; std::getline(before, line);) after << line << std::string(added, ',') << '\n';
      after.flush();
      detail::require_written(after, whole);
    }
    std::filesystem::rename(whole, path);
    file.open(path, std::ios::app);
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
