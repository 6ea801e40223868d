// SPDX-License-Identifier: MIT
// The program that is trained, as both sides run it: its parameters and losses, what its hooks do at which call, and the
// journal of what they saw. Nothing of the library's order or rules is here.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "moves.hpp"
#include "support/toy.hpp"

namespace sequences {

/// What an acting hook throws.
struct Failure : std::runtime_error {
  Failure() : std::runtime_error("a hook failed") {}
};

// --- numbers -------------------------------------------------------------------------------------------------------

/// With what its optimizer keeps of it.
struct Parameter : toy::Weight {
  double velocity = 0.0;
  double rate = 1.0;
  bool requires_grad = true;
};

inline void update(Parameter& parameter) {
  parameter.velocity = 0.5 * parameter.velocity + parameter.gradient;
  parameter.value -= parameter.rate * parameter.velocity;
}

struct Loss {
  Parameter* parameters[2];
  double slopes[2];
  double number;

  double value() const { return number; }
  void backward(double scale) {
    for (int i = 0; i < 2; ++i) {
      if (parameters[i]->requires_grad) parameters[i]->gradient += scale * slopes[i];
    }
  }
};

/// Of the `which`-th of `count` optimizers: half the squared distance, and of two a part that both have a share in.
inline Loss loss_of(Parameter& first, Parameter& second, int count, int which, double batch, Deed deed) {
  Loss loss{{&first, &second}, {0.0, 0.0}, 0.0};
  const double distance = loss.parameters[which]->value - batch;
  loss.number = 0.5 * distance * distance;
  loss.slopes[which] = distance;
  if (count > 1) {
    loss.number += 0.25 * first.value * second.value;
    loss.slopes[0] += 0.25 * second.value;
    loss.slopes[1] += 0.25 * first.value;
  }
  if (deed == Deed::nan) loss.number = loss.slopes[which] = std::numeric_limits<double>::quiet_NaN();
  if (deed == Deed::infinity) loss.number = loss.slopes[which] = std::numeric_limits<double>::infinity();
  return loss;
}

/// Batch `index` of an epoch.
inline double batch_value(int data, std::int64_t epoch, std::int64_t index) {
  const auto mixed = (static_cast<std::uint64_t>(data) * 41 + static_cast<std::uint64_t>(epoch) * 17 +
                      static_cast<std::uint64_t>(index) * 5 + 3) *
                     2654435761u;
  return static_cast<double>((mixed >> 8) % 33) / 8.0 - 2.0;
}
/// How many examples it has.
inline double size_of(double batch) {
  return batch < 0.25 ? 4.0 : 2.0;
}
/// Of its loss.
inline double weight_of(double batch) {
  return batch < -0.5 ? 1.0 : batch < 0.5 ? 2.0 : 4.0;
}

inline double clipped_norm(double gradient, double max) {
  return gradient * std::min(1.0, max / std::abs(gradient));
}
inline double clipped_value(double gradient, double max) {
  return std::clamp(gradient, -max, max);
}
inline double largest_gradient(const Setup& setup) {
  return setup.clip == 0 ? 1e9 : 0.25 * setup.clip;
}

// --- what is compared ----------------------------------------------------------------------------------------------

/// Equal bit for bit; any NaN is a NaN.
inline bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

/// Numbers with names: "windows".
struct Numbers {
  std::vector<std::pair<const char*, double>> all;

  template <class Number>
  void add(const char* name, Number number) {
    all.emplace_back(name, static_cast<double>(number));
  }
  std::string difference(const Numbers& other) const {
    if (all.size() != other.all.size()) return "another number of values";
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (same(all[i].second, other.all[i].second)) continue;
      return std::string(all[i].first) + " " + std::to_string(all[i].second) + " and " + std::to_string(other.all[i].second);
    }
    return {};
  }
};

/// A call of a hook: of the model (host 0) or a callback, and what it saw.
struct Event {
  Hook hook;
  int host;
  int optimizer;
  Numbers seen;
};

/// What a logger was given.
struct Row {
  std::int64_t step, epoch;
  std::vector<std::pair<std::string, double>> values;
};

/// How a move ended.
struct Outcome {
  enum Kind { done, failure, non_finite, invalid_argument, logic_error } kind = done;
  std::int64_t epoch = 0, batch = 0;  // of a non-finite loss

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// All that is compared after a move.
struct Report {
  Outcome outcome;
  std::vector<Event> events;
  std::vector<Row> rows;
  Numbers state;
  std::map<std::string, double> metrics;
  Numbers files[file_count];
};

inline std::string difference(const Report& library, const Report& reference) {
  const auto between = [](const std::string& what, const std::string& a, const std::string& b) {
    return what + a + " and " + b;
  };
  for (std::size_t i = 0; i < library.events.size() || i < reference.events.size(); ++i) {
    const auto call = [&](const std::vector<Event>& events) {
      if (i >= events.size()) return std::string("none");
      return std::string(hook_names[static_cast<int>(events[i].hook)]) + " of host " + std::to_string(events[i].host) +
             (events[i].optimizer < 0 ? "" : " for optimizer " + std::to_string(events[i].optimizer));
    };
    const std::string name = call(library.events), other = call(reference.events);
    if (name != other) return between("call " + std::to_string(i + 1) + " of a hook is ", name, other);
    const std::string differs = library.events[i].seen.difference(reference.events[i].seen);
    if (!differs.empty()) return "call " + std::to_string(i + 1) + ", " + name + ", sees " + differs;
  }
  if (library.outcome != reference.outcome) {
    const auto number = [](const Outcome& of) {
      return std::to_string(of.kind) + " (" + std::to_string(of.epoch) + ", " + std::to_string(of.batch) + ")";
    };
    return between("the move ends with ", number(library.outcome), number(reference.outcome));
  }
  if (library.rows.size() != reference.rows.size()) {
    return between("rows: ", std::to_string(library.rows.size()), std::to_string(reference.rows.size()));
  }
  for (std::size_t i = 0; i < library.rows.size(); ++i) {
    const auto text = [](const Row& row) {
      std::string line = std::to_string(row.step) + ", " + std::to_string(row.epoch);
      for (const auto& [name, value] : row.values)
        line += ", " + name + " " + (std::isnan(value) ? "nan" : std::to_string(value));
      return line;
    };
    const Row &a = library.rows[i], &b = reference.rows[i];
    bool equal = a.step == b.step && a.epoch == b.epoch && a.values.size() == b.values.size();
    for (std::size_t j = 0; equal && j < a.values.size(); ++j) {
      equal = a.values[j].first == b.values[j].first && same(a.values[j].second, b.values[j].second);
    }
    if (!equal) return between("row " + std::to_string(i + 1) + " is ", text(a), text(b));
  }
  if (const std::string differs = library.state.difference(reference.state); !differs.empty())
    return "the state: " + differs;
  const auto& metrics = reference.metrics;
  for (const auto& [name, value] : metrics) {
    const auto found = library.metrics.find(name);
    if (found == library.metrics.end()) return "there is no metric " + name;
    if (!same(found->second, value))
      return between("metric " + name + ": ", std::to_string(found->second), std::to_string(value));
  }
  if (metrics.size() != library.metrics.size()) return "the library has more metrics";
  for (int file = 0; file < file_count; ++file) {
    const std::string differs = library.files[file].difference(reference.files[file]);
    if (!differs.empty()) return "file " + std::to_string(file) + ": " + differs;
  }
  return {};
}

// --- the script ----------------------------------------------------------------------------------------------------

/// Which deed comes with which call of a hook in a move.
class Script {
 public:
  void begin(const std::vector<Act>& acts) {
    acts_ = acts;
    calls_ = {};
  }
  /// The act of this call of the hook; one that does nothing if there is none.
  Act next(Hook hook) {
    const int call = ++calls_[static_cast<std::size_t>(hook)];
    for (const Act& act : acts_) {
      if (act.hook == static_cast<int>(hook) && act.call == call) return act;
    }
    return {};
  }

 private:
  std::vector<Act> acts_;
  std::array<int, hook_count> calls_{};
};

}  // namespace sequences
