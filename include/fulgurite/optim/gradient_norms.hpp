// SPDX-License-Identifier: MIT
// The norms of a model's gradients, to be logged.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/tensors/gradients.hpp>

namespace fulgurite {

/// The p-norm of each parameter's gradient, and of all together, as Lightning's `grad_norm` names them:
/// `grad_2.0_norm/net.0.weight`, `grad_2.0_norm_total`. Parameters without gradient are left out. The norms
/// stay where the gradients are: nothing is read. In on_before_optimizer_step gradients are complete and not
/// yet clipped:
///
///     void on_before_optimizer_step(auto& optimizer, auto& step) { step.log_dict(fg::gradient_norms(*this));
///     }
///
/// Throws std::invalid_argument if p is not above 0.
template <class Model>
std::vector<std::pair<std::string, at::Tensor>> gradient_norms(const Model& model, double p = 2.0) {
  if (!(p > 0.0)) {
    throw std::invalid_argument("fulgurite: gradient_norms takes a p above 0, or infinity, and was given " +
                                detail::text_of(p));
  }
  std::string number = detail::text_of(p);
  if (number.find_first_not_of("0123456789") == std::string::npos) number += ".0";  // as Python prints it
  const std::string prefix = "grad_" + number + "_norm";

  const c10::NoGradGuard no_grad;
  std::vector<std::pair<std::string, at::Tensor>> norms;
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : model.named_parameters()) {
    at::Tensor values = detail::gradient_values(parameter.value());
    if (!values.defined()) continue;
    gradients.push_back(std::move(values));
    norms.emplace_back(prefix + "/" + parameter.key(), at::Tensor());
  }
  if (gradients.empty()) return norms;
  std::vector<at::Tensor> values = detail::norms_of(gradients, p);
  at::Tensor total = detail::norm_of_norms(values, p);
  for (std::size_t i = 0; i < values.size(); ++i) norms[i].second = std::move(values[i]);
  norms.emplace_back(prefix + "_total", std::move(total));
  return norms;
}

}  // namespace fulgurite
