// SPDX-License-Identifier: MIT
// Reading the traces: files, numbers that JSON cannot spell, options of which none may be left unread; and saying what differs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace parity {

using Json = nlohmann::json;

/// The first thing that is not as it must be.
struct Difference : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void differ(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << parts);
  throw Difference(out.str());
}

inline std::filesystem::path folder() { return std::filesystem::path(FULGURITE_SOURCE_DIR) / "tests" / "parity"; }

/// Each file is parsed once: Catch2 enters a test case anew for every section.
inline const Json& read_json(const std::filesystem::path& path) {
  static std::map<std::filesystem::path, Json> files;
  if (const auto found = files.find(path); found != files.end()) return found->second;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return files[path] = Json::parse(file);
}

/// The JSON files of a folder, by name. A folder without any is a mistake: the tests that walk it would pass.
inline std::vector<std::filesystem::path> json_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".json") found.push_back(entry.path());
  }
  if (found.empty()) throw std::runtime_error("no traces in " + directory.string());
  std::sort(found.begin(), found.end());
  return found;
}

inline double number(const Json& value) {
  if (!value.is_string()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw std::runtime_error("no number: " + text);
}

inline std::vector<double> numbers(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list) values.push_back(number(value));
  return values;
}

/// Named values. `done()` throws if one of them was never asked for: what a test does not know it must not skip.
class Arguments {
 public:
  explicit Arguments(const Json& values, std::set<std::string> ignored = {}) : values_(values), read_(std::move(ignored)) {
    if (values_.is_null()) values_ = Json::object();
  }

  /// Null if it is not there, or null there.
  const Json* find(const std::string& name) {
    read_.insert(name);
    const auto found = values_.find(name);
    return found == values_.end() || found->is_null() ? nullptr : &*found;
  }
  /// Throws if it is not there.
  const Json& at(const std::string& name) {
    const Json* value = find(name);
    if (!value) throw std::runtime_error("there is no \"" + name + "\"");
    return *value;
  }
  double get(const std::string& name, double otherwise) {
    const Json* value = find(name);
    return value ? number(*value) : otherwise;
  }
  std::int64_t get(const std::string& name, std::int64_t otherwise) {
    const Json* value = find(name);
    return value ? value->get<std::int64_t>() : otherwise;
  }
  bool get(const std::string& name, bool otherwise) {
    const Json* value = find(name);
    return value ? value->get<bool>() : otherwise;
  }
  std::string get(const std::string& name, const char* otherwise) {
    const Json* value = find(name);
    return value ? value->get<std::string>() : otherwise;
  }

  void done(const std::string& of) const {
    for (const auto& [name, value] : values_.items()) {
      if (!read_.contains(name)) throw std::runtime_error(of + ": nothing is known about \"" + name + "\"");
    }
  }

 private:
  Json values_;
  std::set<std::string> read_;
};

}  // namespace parity
