// SPDX-License-Identifier: MIT
// What a schedule that is under way has to remember, in a form that any file can hold.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fulgurite {

/// What becomes of a schedule whose values (a period, a factor) are not those that it was saved with.
enum class ScheduleValues {
  must_match,  ///< it is refused, with the value that differs
  taken_over,  ///< it gets those that it was saved with, the frequency of its interval too
};

/// Named numbers, with the names of PyTorch's state_dict (`last_epoch`, `base_lrs`, `_last_lr`, `best`, …). A single
/// number is a list of one; the parts of a sequence or chain have names like `_schedulers.0.last_epoch`.
class ScheduleState {
 public:
  struct Entry {
    std::string name;
    std::vector<double> values;

    friend bool operator==(const Entry&, const Entry&) = default;
  };

  void set(std::string name, std::vector<double> values) {
    for (Entry& entry : entries_) {
      if (entry.name == name) {
        entry.values = std::move(values);
        return;
      }
    }
    entries_.push_back({std::move(name), std::move(values)});
  }
  void set(std::string name, double value) { set(std::move(name), std::vector<double>{value}); }

  bool has(std::string_view name) const { return find(name) != nullptr; }

  /// Throws std::invalid_argument if there is no such list.
  const std::vector<double>& list(std::string_view name) const {
    if (const Entry* entry = find(name)) return entry->values;
    throw std::invalid_argument("fulgurite: this schedule state has no \"" + std::string(name) +
                                "\": it was saved by another kind of schedule");
  }

  /// Throws std::invalid_argument unless there is one number of that name.
  double number(std::string_view name) const {
    const auto& values = list(name);
    if (values.size() == 1) return values[0];
    throw std::invalid_argument("fulgurite: \"" + std::string(name) + "\" in this schedule state is not a single number");
  }

  /// Throws std::invalid_argument unless there is a list with one number a parameter group.
  const std::vector<double>& list(std::string_view name, std::size_t groups) const {
    const auto& values = list(name);
    if (values.size() == groups) return values;
    throw std::invalid_argument("fulgurite: this schedule state is of an optimizer with " + std::to_string(values.size()) +
                                " parameter groups, but this one has " + std::to_string(groups));
  }

  /// Takes another state in, each name after `prefix`.
  void nest(const std::string& prefix, const ScheduleState& part) {
    for (const Entry& entry : part.entries_) set(prefix + entry.name, entry.values);
  }
  /// The part whose names begin with `prefix`, without it.
  ScheduleState part(std::string_view prefix) const {
    ScheduleState found;
    for (const Entry& entry : entries_) {
      if (entry.name.starts_with(prefix)) found.set(entry.name.substr(prefix.size()), entry.values);
    }
    return found;
  }

  const std::vector<Entry>& entries() const& { return entries_; }
  std::vector<Entry> entries() && { return std::move(entries_); }

  friend bool operator==(const ScheduleState&, const ScheduleState&) = default;

 private:
  const Entry* find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (entry.name == name) return &entry;
    }
    return nullptr;
  }

  std::vector<Entry> entries_;
};

}  // namespace fulgurite
