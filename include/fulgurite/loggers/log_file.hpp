// SPDX-License-Identifier: MIT
// What loggers that write files have in common: how a file begins, and how values are written.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/detail/posix_file.hpp>
#include <fulgurite/logging/hyperparameters.hpp>

namespace fulgurite {

/// What a logger does with a file that is there when it begins.
enum class ExistingFile {
  refuse,   ///< throws: nothing is lost by accident
  replace,  ///< begins anew
  append,   ///< goes on behind it: for a resumed run
};

namespace detail {

[[noreturn]] inline void refuse_log_file(const std::string& path, const std::string& why) {
  throw std::runtime_error("fulgurite: the log file " + path + " cannot be written: " + why);
}

/// Prepares a file to be written. Returns whether it is to be appended to.
inline bool begin_file(const std::filesystem::path& at, ExistingFile existing) {
  const std::string path = at.string();
  try {
    make_folders(folder_of(path));
    struct ::stat status {};
    if (uninterrupted(system_calls.stat, path.c_str(), &status) != 0 && errno != ENOENT) {
      refuse_log_file(path, reason(errno));
    }
    const bool is_there = S_ISREG(status.st_mode) && status.st_size > 0;
    if (is_there && existing == ExistingFile::refuse) {
      throw std::runtime_error("fulgurite: the log file " + path +
                               " is there already: choose another path, or set "
                               ".existing to fg::ExistingFile::replace or fg::ExistingFile::append");
    }
    if (!is_there || existing != ExistingFile::append) return false;
    const Descriptor file = opened(path, O_RDWR | O_APPEND);
    char last = '\n';
    if (!file ||
        uninterrupted(system_calls.pread, file.number(), static_cast<void*>(&last), std::size_t{1}, status.st_size - 1) <
            0 ||
        (last != '\n' && write_bytes(file.number(), "\n", 1) != 1)) {  // the run before was cut off in a line
      refuse_log_file(path, reason(errno));
    }
    return true;
  } catch (const FileError& error) {
    refuse_log_file(path, error.what());
  }
}

/// A file to which lines are appended. Lines that the disk does not take are kept, and written before the next ones.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& path) : path_(path.string()) {}
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() {
    if (!waiting.empty()) append();
  }

  std::string waiting;  ///< whole lines that are not in the file

  /// Throws std::runtime_error if the file cannot be opened.
  void open(bool appends) {
    if (const int error = opens(appends ? 0 : O_TRUNC)) refuse_log_file(path_, reason(error));
  }

  /// Writes the lines that wait. Throws std::runtime_error if the disk does not take them; the others wait on.
  void write() {
    if (const int error = append()) refuse(reason(error));
  }

  /// The whole lines in the file.
  std::string text() {
    const Descriptor file = opened(path_, O_RDONLY);
    if (!file && errno == ENOENT) return {};
    if (!file) refuse("it cannot be read: " + reason(errno));
    std::string bytes(static_cast<std::size_t>(whole_), '\0');
    std::size_t size = 0;
    for (ssize_t count = 1; count != 0; size += static_cast<std::size_t>(count)) {
      count = uninterrupted(system_calls.pread, file.number(), static_cast<void*>(bytes.data() + size), bytes.size() - size,
                            static_cast<off_t>(size));
      if (count < 0) refuse("it cannot be read: " + reason(errno));
    }
    bytes.resize(size);  // somebody may have shortened the file
    return bytes;
  }

  /// Replaces the file by one with this text, in which the lines that wait are. Throws std::runtime_error if that cannot be
  /// done.
  void replace(const std::string& text) {
    try {
      NewFile file(path_);
      file.write(text.data(), text.size());
      try {
        file.put_in_place();
      } catch (const FileError&) {
        if (!file.is_in_place()) throw;  // no log is promised to outlast a power cut
      }
    } catch (const FileError& error) {
      refuse(error.what());
    }
    waiting.clear();
    half_ = 0;
    whole_ = static_cast<off_t>(text.size());
    file_ = Descriptor();  // of the old file; the next line opens the new one
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    const auto lines = std::count(waiting.begin(), waiting.end(), '\n');
    refuse_log_file(
        path_, why + (lines == 0   ? ""
                      : lines == 1 ? "; its last line is kept in memory until it can be"
                                   : "; its last " + std::to_string(lines) + " lines are kept in memory until they can be"));
  }

  int opens(int flags) {
    Descriptor file = opened(path_, O_WRONLY | O_CREAT | O_APPEND | flags);
    struct ::stat status {};
    if (!file || uninterrupted(system_calls.fstat, file.number(), &status) != 0) return errno;
    file_ = std::move(file);
    whole_ = status.st_size;
    return 0;
  }

  /// Returns 0, or why lines still wait.
  int append() {
    if (!file_) {
      if (const int error = opens(0)) return error;
    }
    half_ += write_bytes(file_.number(), waiting.data() + half_, waiting.size() - half_);
    const int error = half_ == waiting.size() ? 0 : errno;
    const std::size_t lines = half_ == 0 ? 0 : waiting.rfind('\n', half_ - 1) + 1;
    waiting.erase(0, lines);
    whole_ += static_cast<off_t>(lines);
    half_ -= lines;
    // A reader would take the half of a number for a number.
    if (half_ > 0 && is_alone() && uninterrupted(system_calls.ftruncate, file_.number(), whole_) == 0) half_ = 0;
    return error;
  }

  /// Nothing else has written into the file.
  bool is_alone() const {
    struct ::stat status {};
    return uninterrupted(system_calls.fstat, file_.number(), &status) == 0 &&
           status.st_size == whole_ + static_cast<off_t>(half_);
  }

  std::string path_;
  Descriptor file_;
  off_t whole_ = 0;       // the file's size up to the last whole line
  std::size_t half_ = 0;  // of the first line that waits, the bytes that are in the file
};

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
