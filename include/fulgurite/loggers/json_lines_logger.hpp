// SPDX-License-Identifier: MIT
// A logger that writes one JSON object a line.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fulgurite/logging/hyperparameters.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/policies/callback.hpp>
#include "log_file.hpp"

namespace fulgurite {

/// Writes `{"step":49,"epoch":0,"train_loss":0.25}` for each row of metrics,
/// `{"hyperparameters":{"lr":0.003}}` for hyper-parameters. A nan or an infinity, which JSON does not have,
/// is written as a text. Each line is in the file when the trainer goes on.
/// Lines for which a disk has no room are an error, and written once it has.
struct JsonLinesLogger {
  using slot = slots::Callback;
  static constexpr std::array<std::string_view, 3> own_columns{"step", "epoch", "hyperparameters"};

  std::filesystem::path path = "metrics.jsonl";  ///< folders are made
  ExistingFile existing = ExistingFile::refuse;  ///< what becomes of a file that is there before

  std::shared_ptr<detail::LogFile> file = nullptr;  ///< state, shared by copies: not to be set

  /// Throws std::runtime_error if the file is there and `existing` is refuse, or cannot be written.
  void setup() {
    if (file) return;
    const bool appends = detail::begin_file(path, existing);
    auto opened = std::make_shared<detail::LogFile>(path);
    opened->open(appends);
    file = std::move(opened);
  }

  void log_metrics(const MetricsRow& row) {
    std::string line = "{\"step\":" + std::to_string(row.step) + ",\"epoch\":" + std::to_string(row.epoch);
    for (const auto& [name, value] : row.values)
      line += ',' + detail::json_text(name) + ':' + detail::json_number(value);
    write(line + "}\n");
  }

  void log_hyperparameters(const Hyperparameters& parameters) {
    std::string line = "{\"hyperparameters\":{";
    for (const auto& [name, value] : parameters) {
      if (&name != &parameters.front().name) line += ',';
      line += detail::json_text(name) + ':';
      if (const double* number = std::get_if<double>(&value)) {
        line += detail::json_number(*number);
      } else {
        line += std::holds_alternative<std::string>(value) ? detail::json_text(std::get<std::string>(value))
                                                           : detail::text_of(value);
      }
    }
    write(line + "}}\n");
  }

 private:
  void write(const std::string& line) {
    setup();
    file->waiting += line;
    file->write();
  }
};

}  // namespace fulgurite
