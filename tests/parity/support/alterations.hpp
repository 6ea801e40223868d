// SPDX-License-Identifier: MIT
// Traces with one field altered: a test that passes all the same does not look at that field. `unnoticed.txt` lists the fields
// that may change, with the reason.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"

namespace parity {

/// The words that traces use under one key, so that a word can become another one that is known.
using Vocabulary = std::map<std::string, std::set<std::string>>;

inline void add_words(Vocabulary& vocabulary, const Json& node, const std::string& key = "") {
  if (node.is_string()) vocabulary[key].insert(node.get<std::string>());
  if (node.is_array()) {
    for (const Json& element : node) add_words(vocabulary, element, key);
  }
  if (node.is_object()) {
    for (const auto& [name, value] : node.items()) add_words(vocabulary, value, name);
  }
}

/// Alters a trace one field at a time: a number is another one or none, a word is another one, a yes is a no, a part or an
/// element is left out or doubled, a part is there that nobody knows.
class Alterations {
 public:
  /// What is done with the altered trace; `where` names the field and what has happened to it.
  using Visit = std::function<void(const std::string& where, const Json& altered)>;

  Alterations(const Vocabulary& vocabulary, Visit visit, std::size_t few = 0)
      : vocabulary_(vocabulary), visit_(std::move(visit)), few_(few) {}

  /// By how much a number with a fraction is changed; a trace with loose tolerances needs more.
  double fraction = 1e-4;

  void of(const Json& file) {
    root_ = file;
    walk(root_, "", "");
  }

 private:
  /// All elements of an array, or its first, middle and last and a few others.
  std::vector<std::size_t> chosen(std::size_t size) {
    std::set<std::size_t> all;
    const bool every = few_ == 0 || size <= few_;
    for (std::size_t i = 0; every && i < size; ++i) all.insert(i);
    if (!every) {
      all = {0, size / 2, size - 1};
      while (all.size() < few_) all.insert(random_() % size);
    }
    return {all.begin(), all.end()};
  }

  void visit(const std::string& where, const std::string& what) { visit_(where + ": " + what, root_); }

  void replace(Json& node, const std::string& where, Json other) {
    const std::string what = "is " + other.dump().substr(0, 40);
    std::swap(node, other);
    visit(where, what);
    std::swap(node, other);
  }

  void walk(Json& node, const std::string& where, const std::string& key) {
    if (node.is_object()) return walk_object(node, where);
    if (node.is_array()) return walk_array(node, where, key);
    if (node.is_boolean()) return replace(node, where, !node.get<bool>());
    if (node.is_null()) return replace(node, where, 0);
    if (node.is_string()) return walk_text(node, where, key);
    if (node.is_number_integer()) {
      replace(node, where, node.get<std::int64_t>() + 1);
    } else {
      const auto value = node.get<double>();
      replace(node, where, value + fraction * std::max(1.0, std::abs(value)));
    }
    replace(node, where, nullptr);
  }

  void walk_object(Json& node, const std::string& where) {
    const Json whole = node;
    for (const auto& [name, value] : whole.items()) {
      node.erase(name);
      visit(where + "/" + name, "left out");
      node = whole;
    }
    node["juggle"] = 1;
    visit(where + "/juggle", "added");
    node = whole;
    for (auto& [name, value] : node.items()) walk(value, where + "/" + name, name);
  }

  void walk_array(Json& node, const std::string& where, const std::string& key) {
    if (node.empty()) {
      node.push_back(1);
      visit(where + "/0", "added");
      node.clear();
      return;
    }
    const auto size = node.size();
    for (const std::size_t i : std::set<std::size_t>{0, size / 2, size - 1}) {
      const auto at = static_cast<Json::difference_type>(i);
      Json element = node[i];
      node.erase(node.begin() + at);
      visit(where + "/" + std::to_string(i), "left out");
      node.insert(node.begin() + at, element);
      node.insert(node.begin() + at, element);
      visit(where + "/" + std::to_string(i), "doubled");
      node.erase(node.begin() + at);
    }
    for (const std::size_t i : chosen(size)) walk(node[i], where + "/" + std::to_string(i), key);
  }

  void walk_text(Json& node, const std::string& where, const std::string& key) {
    const auto text = node.get<std::string>();
    if (text.find(' ') == std::string::npos) {
      replace(node, where, text + "x");
      if (const auto known = vocabulary_.find(key); known != vocabulary_.end()) {
        for (const auto& other : known->second) {
          if (other != text) replace(node, where, other);
        }
      }
      return;
    }
    std::vector<std::string> words;
    std::istringstream in(text);
    for (std::string word; in >> word;) words.push_back(word);
    const auto with = [&](const std::vector<std::string>& changed, std::size_t at, const std::string& what) {
      std::string joined;
      for (const auto& word : changed) joined += (joined.empty() ? "" : " ") + word;
      node = joined;
      visit(where + "/" + std::to_string(at), words[at] + " " + what);
      node = text;
    };
    for (const std::size_t i : chosen(words.size())) {
      auto changed = words;
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      with(changed, i, "left out");
      changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), {words[i], words[i]});
      with(changed, i, "doubled");
      changed = words;
      changed[i] += "x";
      with(changed, i, "changed");
      if (i + 1 == words.size() || words[i] == words[i + 1]) continue;
      changed = words;
      std::swap(changed[i], changed[i + 1]);
      with(changed, i, "after " + words[i + 1]);
    }
  }

  const Vocabulary& vocabulary_;
  Visit visit_;
  std::size_t few_;
  Json root_;
  std::mt19937 random_{7};
};

/// The fields that may change: lines of `unnoticed.txt`, `pattern | reason`, where a `*` stands for anything.
class MayChange {
 public:
  MayChange() {
    std::ifstream file(folder() / "unnoticed.txt");
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line.starts_with("#")) continue;
      const auto bar = line.find(" | ");
      if (bar == std::string::npos || bar + 3 == line.size()) throw std::runtime_error("no reason: " + line);
      used_[line.substr(0, bar)] = false;
    }
  }

  bool contains(const std::string& where) {
    bool found = false;
    for (auto& [pattern, used] : used_) {
      if (!fits(pattern, where)) continue;
      used = found = true;
    }
    return found;
  }
  /// Lines below a folder that fitted nothing.
  std::vector<std::string> idle(const std::string& below) const {
    std::vector<std::string> patterns;
    for (const auto& [pattern, used] : used_) {
      if (!used && pattern.starts_with(below)) patterns.push_back(pattern);
    }
    return patterns;
  }

  static bool fits(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) return text.empty();
    if (pattern.front() != '*') {
      return !text.empty() && text.front() == pattern.front() && fits(pattern.substr(1), text.substr(1));
    }
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (fits(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }

 private:
  std::map<std::string, bool> used_;
};

/// Counts what is noticed, and keeps what is not and may not change.
struct Noticed {
  MayChange may_change;
  std::size_t noticed = 0, may = 0;
  std::vector<std::string> overlooked;

  template <class Look>
  void look(const std::string& where, Look&& look) {
    try {
      look();
    } catch (const std::exception&) {
      ++noticed;
      return;
    }
    if (may_change.contains(where)) {
      ++may;
    } else {
      overlooked.push_back(where);
    }
  }

  std::string report() const {
    std::string text = std::to_string(noticed) + " alterations noticed, " + std::to_string(may) + " that may pass, " +
                       std::to_string(overlooked.size()) + " overlooked\n";
    for (const auto& where : overlooked) text += "  " + where + '\n';
    return text;
  }
};

}  // namespace parity
