// SPDX-License-Identifier: MIT
// Parameter groups: tensors with options of their own, checked once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/tensors/detail/empty_parameter_list.hpp>

namespace fulgurite {

/// Parameters that share options: `fg::SGD({{backbone, {.lr = 1e-3}}, {head, {.lr = 1e-2}}})`.
template <class Options>
struct ParameterGroup {
  std::vector<at::Tensor> parameters;
  Options options;
};

namespace detail {

/// A learning rate that a schedule or the program sets; throws std::invalid_argument for what no optimizer can be made with.
/// A schedule that ends in a difference of equal numbers may miss 0 by a rounding: that is 0.
inline double valid_lr(const char* optimizer, double lr) {
  if (lr >= 0.0) return lr;
  if (lr > -1e-12) return 0.0;
  throw std::invalid_argument("fulgurite: " + std::string(optimizer) +
                              " needs a learning rate of 0 or more, and was given " + text_of(lr));
}

/// Throws std::invalid_argument for groups that no optimizer can train. Parameters are numbered as in a state dict.
template <class Options>
void require_trainable(const std::vector<ParameterGroup<Options>>& groups, const char* optimizer) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument("fulgurite: " + std::string(optimizer) + " " + why);
  };
  std::unordered_map<const at::TensorImpl*, std::size_t> seen;
  std::size_t number = 0;
  const auto refuse_parameter = [&](const char* kind, const char* remedy) {
    refuse("was given " + std::string(kind) + " (number " + std::to_string(number) + ")" + remedy);
  };
  for (const auto& group : groups) {
    if (const char* problem = group.options.problem()) refuse(problem);
    for (const at::Tensor& parameter : group.parameters) {
      if (!parameter.defined()) refuse_parameter("an undefined parameter", "");
      if (!parameter.is_leaf()) {
        refuse_parameter("a tensor that an operator made", ": give it the parameters themselves");
      }
      if (!parameter.is_floating_point()) refuse_parameter("a parameter that is not floating-point", ": leave it out");
      if (!parameter.is_non_overlapping_and_dense()) {
        refuse_parameter("a parameter with gaps or overlaps in its memory", ": give it a clone()");
      }
      const auto [first, added] = seen.emplace(parameter.unsafeGetTensorImpl(), number);
      if (!added) {
        refuse("was given a parameter twice (numbers " + std::to_string(first->second) + " and " + std::to_string(number) +
               "): name it once, in one group");
      }
      ++number;
    }
  }
  if (seen.empty()) refuse(std::string("was given an empty parameter list: ") + empty_parameter_list);
}

}  // namespace detail

}  // namespace fulgurite
