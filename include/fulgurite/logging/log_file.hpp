// SPDX-License-Identifier: MIT
// What loggers that write files have in common: how a file begins, and how values are written.
#pragma once

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hyperparameters.hpp"

namespace fulgurite {

/// What a logger does with a file that is there when it begins.
enum class ExistingFile {
  refuse,   ///< throws: nothing is lost by accident
  replace,  ///< begins anew
  append,   ///< goes on behind it: for a resumed run
};

namespace detail {

inline void make_folder_of(const std::filesystem::path& path) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
}

/// Prepares a file to be written. Returns whether it is to be appended to.
inline bool begin_file(const std::filesystem::path& path, ExistingFile existing) {
  make_folder_of(path);
  const bool is_there = std::filesystem::exists(path) && std::filesystem::file_size(path) > 0;
  if (is_there && existing == ExistingFile::refuse) {
    throw std::runtime_error("fulgurite: the log file " + path.string() +
                             " is there already: choose another path, or set "
                             ".existing to fg::ExistingFile::replace or fg::ExistingFile::append");
  }
  if (!is_there || existing != ExistingFile::append) return false;
  std::ifstream before(path);
  before.seekg(-1, std::ios::end);
  if (before.get() != '\n')
    std::ofstream(path, std::ios::app) << '\n';  // the run before was cut off in a line
  return true;
}

inline void require_written(const std::ofstream& file, const std::filesystem::path& path) {
  if (!file) throw std::runtime_error("fulgurite: the log file " + path.string() + " cannot be written");
}

/// The shortest decimal that gives the same double back; "nan", "inf", "-inf".
inline std::string text_of(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
inline std::string text_of(const Hyperparameter::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value)) return text_of(*number);
  return std::to_string(std::get<std::int64_t>(value));
}

/// A text as a field of comma-separated values: in quotes where it needs them.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

inline std::string joined(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (&field == fields.data() ? "" : ",") + field;
  return line + '\n';
}

/// The fields of the next record; nothing at the end. A field in quotes may hold commas, quotes and line
/// breaks.
inline std::optional<std::vector<std::string>> read_csv_record(std::istream& input) {
  if (input.peek() == std::istream::traits_type::eof()) return std::nullopt;
  std::vector<std::string> fields(1);
  bool in_quotes = false;
  for (char c = 0; input.get(c);) {
    if (in_quotes && c == '"' && input.peek() == '"') {
      fields.back() += static_cast<char>(input.get());
    } else if (c == '"') {
      in_quotes = !in_quotes;
    } else if (c == ',' && !in_quotes) {
      fields.emplace_back();
    } else if (c == '\n' && !in_quotes) {
      break;
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

/// A text as JSON has it.
inline std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view digits = "0123456789abcdef";
      const auto code = static_cast<unsigned char>(c);
      quoted += "\\u00";
      quoted += {digits[code >> 4U], digits[code & 15U]};
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}
/// A number as JSON has it; JSON has no nan and no infinity, so those are texts.
inline std::string json_number(double value) {
  return std::isfinite(value) ? text_of(value) : json_text(text_of(value));
}

}  // namespace detail

}  // namespace fulgurite
