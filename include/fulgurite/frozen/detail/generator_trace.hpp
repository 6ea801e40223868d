// SPDX-License-Identifier: MIT
// Whether the random generators of a step are moved by its operators alone, which a replay repeats, and by nothing else.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <ATen/core/MT19937RNGEngine.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fingerprint.hpp"

namespace fulgurite::detail {

/// The generator that a random operator was given; the default one if it was given none.
inline at::Generator generator_in(const std::vector<c10::IValue>& arguments) {
  for (const c10::IValue& argument : arguments) {
    if (argument.isGenerator() && argument.toGenerator().defined()) return argument.toGenerator();
  }
  return at::detail::getDefaultCPUGenerator();
}

/// What the generator will draw next.
inline at::Tensor state_of(const at::Generator& generator) {
  at::Generator same = generator;
  const std::lock_guard lock(same.mutex());
  return same.get_state();
}

inline void set_state_of(const at::Generator& generator, const at::Tensor& state) {
  at::Generator same = generator;
  const std::lock_guard lock(same.mutex());
  same.set_state(state);
}

/// Whether drawing numbers leads from one state to the other. Looks ahead for about forty million numbers.
inline bool is_ahead(at::mt19937 from, const at::mt19937_data_pod& to) {
  constexpr int most_blocks = 1 << 16;
  const bool none_drawn = to.next_ == 0;
  if (none_drawn) return from.data().next_ == 0 && from.data().state_ == to.state_;
  for (int block = 0; block < most_blocks; ++block) {
    const at::mt19937_data_pod data = from.data();
    if (data.state_ == to.state_) return to.left_ <= data.left_;
    for (int left = data.left_; left > 0; --left) static_cast<void>(from());
  }
  return false;
}

/// Follows generators through an eager step. The operators of other threads may draw from the default generator meanwhile:
/// it may only go forward. Any other is the step's own.
class GeneratorTrace {
 public:
  struct Moved {
    std::string generator;
    std::string operator_name;  // that draws from it; empty: none in particular
    std::string reason;
    bool is_default;            // so that another thread may have done it
  };

  GeneratorTrace() { begin(at::detail::getDefaultCPUGenerator(), ""); }

  /// The step begins, and `operator_name` is going to draw from `generator`.
  void begin(const at::Generator& generator, const std::string& operator_name) {
    if (!find(generator)) traced_.push_back({generator, operator_name, state_of(generator)});
  }
  void before_operator(const at::Generator& generator) {
    if (Traced* traced = find(generator)) compare(*traced);
  }
  void after_operator(const at::Generator& generator, const std::string& operator_name) {
    if (Traced* traced = find(generator)) {
      traced->state = state_of(generator);
    } else {
      begin(generator, operator_name);
    }
  }
  /// The step has ended.
  void end() {
    for (Traced& traced : traced_) compare(traced);
  }

  /// The first generator that something beside the operators has moved.
  const std::optional<Moved>& moved() const { return moved_; }

 private:
  struct Traced {
    at::Generator generator;
    std::string operator_name;
    at::Tensor state;  // that it was last left in
  };

  static bool is_default(const at::Generator& generator) { return generator == at::detail::getDefaultCPUGenerator(); }

  Traced* find(const at::Generator& generator) {
    for (Traced& traced : traced_) {
      if (traced.generator == generator) return &traced;
    }
    return nullptr;
  }

  void compare(Traced& traced) {
    if (moved_) return;
    const at::Tensor now = state_of(traced.generator);
    if (same_bits(now, traced.state)) return;
    if (!is_default(traced.generator)) {
      moved_ = Moved{"the state of the generator (seed " + std::to_string(traced.generator.current_seed()) + ") that " +
                         traced.operator_name + " is given",
                     traced.operator_name,
                     "something beside the operators of the step seeds it, sets it or draws from it (set_current_seed or "
                     "set_state within training_step, another thread), which a replay does not repeat: seed it in a hook, "
                     "and give each model a generator of its own",
                     false};
    } else if (!is_ahead(engine_in(traced.state), engine_in(now).data())) {
      moved_ =
          Moved{"the state of the random generator", "",
                "the default generator is seeded or set back while the step runs (torch::manual_seed or set_state within "
                "training_step, or in another thread), which a replay does not repeat: seed it before the training or in "
                "a hook",
                true};
    }
    traced.state = now;
  }

  /// The engine in the state of a CPU generator.
  static at::mt19937 engine_in(const at::Tensor& state) {
    at::Generator reader = at::detail::createCPUGenerator();
    set_state_of(reader, state);
    return reader.get<at::CPUGeneratorImpl>()->engine();
  }

  std::vector<Traced> traced_;
  std::optional<Moved> moved_;
};

}  // namespace fulgurite::detail
