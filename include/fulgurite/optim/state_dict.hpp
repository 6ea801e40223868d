// SPDX-License-Identifier: MIT
// An optimizer's state in Python's layout, {"state": {0: {...}}, "param_groups": [{..., "params": [0]}]}, so that
// torch::pickle_save and torch.save write files that the other side reads.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/empty_like.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/tensors/ivalue.hpp>
#include <fulgurite/tensors/shape.hpp>
#include "betas.hpp"

namespace fulgurite::detail {

/// A key of Python's groups that is no option here.
struct Constant {
  const char* name;
  enum class Value { none, no, yes } value = Value::none;

  c10::IValue ivalue() const { return value == Value::none ? c10::IValue() : c10::IValue(value == Value::yes); }
};

inline c10::IValue to_ivalue(const Betas& value) { return c10::ivalue::Tuple::create(value.first, value.second); }
inline void from_ivalue(const c10::IValue& from, Betas& to) {
  std::array<double, 2> values{};
  from_ivalue(from, values);
  to = {values[0], values[1]};
}

// --- groups --------------------------------------------------------------------------------------------------------

/// "the optimizer cannot load this state: why".
[[noreturn]] inline void refuse_state(const char* optimizer, const std::string& why) {
  throw std::invalid_argument("fulgurite: " + std::string(optimizer) + " cannot load this state: " + why);
}

/// One group. `Options::for_each_field` knows Python's names; `first` numbers its first parameter.
template <class Options, std::size_t N>
c10::IValue group_to_ivalue(const Options& options, const std::array<Constant, N>& constants, std::int64_t first,
                            std::size_t parameters) {
  auto group = new_dict(c10::StringType::get());
  Options::for_each_field([&](const char* name, auto member) { group.insert(name, to_ivalue(options.*member)); });
  for (const Constant& constant : constants) group.insert(constant.name, constant.ivalue());
  auto numbers = new_list();
  for (std::size_t i = 0; i < parameters; ++i) numbers.push_back(first + static_cast<std::int64_t>(i));
  group.insert("params", numbers);
  return group;
}

/// A state dict, checked as far as its layout goes.
class SavedState {
 public:
  SavedState(const char* optimizer, const c10::IValue& state_dict) : optimizer_(optimizer) {
    const auto state = find(state_dict, "state");
    const auto groups = find(state_dict, "param_groups");
    if (!state || !groups || !state->isGenericDict() || !(groups->isList() || groups->isTuple())) {
      refuse("it has no \"state\" and \"param_groups\": pass what state_dict() returned");
    }
    state_ = *state;
    groups_ = elements(*groups);
  }

  [[noreturn]] void refuse(const std::string& why) const { refuse_state(optimizer_, why); }

  void require_groups(std::size_t count) const {
    if (groups_.size() != count) {
      refuse("it has " + std::to_string(groups_.size()) + " parameter group(s), and the optimizer has " +
             std::to_string(count) + ": make the optimizer with the groups that it had when the state was saved");
    }
  }

  /// Reads the options of group `index`, which must have `parameters` parameters. Returns their numbers in the state.
  /// A key that the file lacks leaves its option, as an older version of PyTorch wrote fewer.
  template <class Options>
  std::vector<std::int64_t> read_group(std::size_t index, std::size_t parameters, Options& options) const {
    const c10::IValue& group = groups_[index];
    const auto numbers = find(group, "params");
    if (!numbers) refuse("its group " + std::to_string(index) + " lists no \"params\"");
    if (!numbers->isList() && !numbers->isTuple()) {
      refuse("\"params\" of its group " + std::to_string(index) + " is not a list");
    }
    std::vector<std::int64_t> keys;
    for (const c10::IValue& key : elements(*numbers)) {
      if (!key.isInt()) refuse("its group " + std::to_string(index) + " lists \"params\" that are not numbers");
      keys.push_back(key.toInt());
    }
    if (keys.size() != parameters) {
      refuse("its group " + std::to_string(index) + " has " + std::to_string(keys.size()) +
             " parameter(s), and the optimizer's has " + std::to_string(parameters));
    }
    Options::for_each_field([&](const char* name, auto member) {
      const auto value = find(group, name);
      if (!value) return;
      try {
        from_ivalue(*value, options.*member);
      } catch (const std::exception&) {
        refuse("\"" + std::string(name) + "\" of its group " + std::to_string(index) + " is of another type");
      }
    });
    if (const char* problem = options.problem()) refuse("its group " + std::to_string(index) + " " + problem);
    return keys;
  }

  /// What was saved for a parameter; std::nullopt if it had no state.
  std::optional<c10::IValue> state_of(std::int64_t key) const {
    auto found = find(state_, key);
    return found && found->isGenericDict() && !found->toGenericDict().empty() ? found : std::nullopt;
  }

  /// An entry of a parameter's state, which must be there.
  c10::IValue entry(const c10::IValue& state, const char* key, std::int64_t parameter) const {
    auto found = find(state, key);
    if (!found) refuse("parameter " + std::to_string(parameter) + " has no \"" + key + "\"");
    return *found;
  }

  /// A copy of a saved tensor, laid out as `like`, whose shape it must have.
  at::Tensor tensor(const c10::IValue& state, const char* key, std::int64_t parameter, const at::Tensor& like) const {
    const c10::IValue value = entry(state, key, parameter);
    if (!value.isTensor()) {
      refuse("\"" + std::string(key) + "\" of parameter " + std::to_string(parameter) + " is not a tensor");
    }
    const at::Tensor& saved = value.toTensor();
    if (saved.sizes() != like.sizes()) {
      refuse("parameter " + std::to_string(parameter) + " needs a \"" + key + "\" of shape " + shape_of(like) +
             ", and the saved one has " + shape_of(saved) + ": load it into an optimizer of the same model");
    }
    return at::empty_like(like).copy_(saved);
  }

  /// A saved number, whether Python kept it as one or in a tensor.
  double number(const c10::IValue& state, const char* key, std::int64_t parameter) const {
    const c10::IValue value = entry(state, key, parameter);
    double number = 0.0;
    try {
      from_ivalue(value, number);
    } catch (const std::exception&) {
      refuse("\"" + std::string(key) + "\" of parameter " + std::to_string(parameter) + " is not a number");
    }
    return number;
  }

 private:
  const char* optimizer_;
  c10::IValue state_;
  std::vector<c10::IValue> groups_;
};

}  // namespace fulgurite::detail
