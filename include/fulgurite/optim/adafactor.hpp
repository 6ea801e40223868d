// SPDX-License-Identifier: MIT
// Adafactor: second moments of matrices from one row and one column.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Adafactor's two small numbers.
struct AdafactorEps {
  std::optional<double> first{};  ///< least root of a second moment, 0 or more; by default that of the number format
  double second = 1e-3;           ///< least size of a parameter when its step is scaled, 0 or more

  friend constexpr bool operator==(AdafactorEps, AdafactorEps) = default;

  friend c10::IValue to_ivalue(const AdafactorEps& eps) {
    return c10::ivalue::Tuple::create(detail::to_ivalue(eps.first), eps.second);
  }
  friend void from_ivalue(const c10::IValue& from, AdafactorEps& to) {
    const auto values = detail::elements(from);
    detail::from_ivalue(values.at(0), to.first);
    detail::from_ivalue(values.at(1), to.second);
  }
};

/// Options of `Adafactor`, with PyTorch's defaults.
struct AdafactorOptions {
  double lr = 1e-2;           ///< largest relative step, 0 or more; the paper has 0.01 and no other rate
  double beta2_decay = -0.8;  ///< power by which the second moment's weight of the new falls, 0 or less
  AdafactorEps eps{};         ///< keeps denominators and steps away from 0
  double d = 1.0;             ///< largest root mean square of an update, 1 or more
  double weight_decay = 0.0;  ///< weights shrink by lr times this each step, 0 or more
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(beta2_decay <= 0.0)) return "needs a beta2_decay of 0 or less";
    if (!(eps.second >= 0.0) || (eps.first && !(*eps.first >= 0.0))) return "needs eps of 0 or more";
    if (!(d >= 1.0)) return "needs a d of 1 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = AdafactorOptions;
    f("lr", &O::lr);
    f("beta2_decay", &O::beta2_decay);
    f("eps", &O::eps);
    f("d", &O::d);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.Adafactor (Shazeer and Stern, Adaptive Learning Rates with Sublinear Memory Cost, 2018).
class Adafactor : public detail::GroupedOptimizer<Adafactor, AdafactorOptions, 3> {
 public:
  static constexpr const char* name = "Adafactor";
  static constexpr std::array state_names{"row_var", "col_var", "variance"};
  static constexpr std::array<detail::Constant, 1> constants{{{"foreach"}}};
  static constexpr bool uniform = true;
  static constexpr bool elementwise = false;
  using GroupedOptimizer::GroupedOptimizer;

  static int kind_of(const at::Tensor& parameter) { return parameter.dim() > 1 ? 1 : 0; }
  static bool uses(const AdafactorOptions&, const at::Tensor& parameter, std::size_t k) {
    return (k < 2) == (parameter.dim() > 1);
  }
  static at::Tensor make_state(const AdafactorOptions&, const at::Tensor& parameter, std::size_t k) {
    if (k == 2) return at::zeros_like(parameter);
    auto shape = parameter.sizes().vec();
    shape.at(shape.size() - 1 - k) = 1;
    return at::zeros(shape, parameter.options());
  }

 private:
  friend GroupedOptimizer;

  void update(const AdafactorOptions& options, Part& part) {
    const double weight = std::pow(part.count, options.beta2_decay);  // of the new in the running means
    const double relative_step = std::min(options.lr, 1.0 / std::sqrt(part.count));
    const double eps = options.eps.first ? *options.eps.first : epsilon(part.dtype);
    penalise(part, options.maximize, 0.0);
    std::vector<double> steps = root_mean_squares(part.parameters);
    for (double& step : steps) step = std::max(options.eps.second, step) * relative_step;
    if (options.weight_decay != 0.0) at::_foreach_mul_(part.parameters, 1.0 - options.lr * options.weight_decay);

    std::vector<at::Tensor> updates;  // first the second moments
    if (part.kind == 1) {
      mix_in_means(part.states[0], part.gradients, -1, weight);
      mix_in_means(part.states[1], part.gradients, -2, weight);
      std::vector<at::Tensor> means;
      for (std::size_t i = 0; i < part.gradients.size(); ++i) {
        updates.push_back(at::matmul(part.states[0][i], part.states[1][i]));
        means.push_back(at::mean(part.states[0][i], -2, /*keepdim=*/true));
      }
      at::_foreach_clamp_min_(means, eps);
      at::_foreach_div_(updates, means);
      at::_foreach_clamp_min_(updates, eps * eps);
    } else {
      at::_foreach_lerp_(part.states[2], at::_foreach_mul(part.gradients, part.gradients), weight);
      updates = at::_foreach_clamp_min(part.states[2], eps * eps);
    }
    at::_foreach_sqrt_(updates);
    at::_foreach_reciprocal_(updates);
    at::_foreach_mul_(updates, part.gradients);
    const std::vector<double> sizes = root_mean_squares(updates);
    std::vector<at::Scalar> factors;
    for (std::size_t i = 0; i < sizes.size(); ++i) factors.emplace_back(-steps[i] / std::max(1.0, sizes[i] / options.d));
    at::_foreach_mul_(updates, factors);
    at::_foreach_add_(part.parameters, updates);
  }

  /// Running means of the squared gradients along a dimension. There is no multi-tensor operator for norms along one.
  static void mix_in_means(at::TensorList running, at::TensorList gradients, std::int64_t dim, double weight) {
    std::vector<at::Tensor> means;
    std::vector<at::Scalar> sizes;
    for (const at::Tensor& gradient : gradients) {
      means.push_back(at::linalg_vector_norm(gradient, 2, dim, /*keepdim=*/true));
      sizes.emplace_back(gradient.size(dim));
    }
    at::_foreach_mul_(means, means);
    at::_foreach_div_(means, sizes);
    at::_foreach_lerp_(running, means, weight);
  }

  /// One transfer to the host for all.
  static std::vector<double> root_mean_squares(at::TensorList tensors) {
    const at::Tensor norms = at::stack(at::_foreach_norm(tensors, 2)).to(at::kCPU, at::kDouble);
    std::vector<double> values(norms.const_data_ptr<double>(), norms.const_data_ptr<double>() + tensors.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] /= std::sqrt(static_cast<double>(tensors[i].numel()));
    return values;
  }

  static double epsilon(at::ScalarType dtype) {
    switch (dtype) {
      case at::kDouble: return std::numeric_limits<double>::epsilon();
      case at::kBFloat16: return 0x1p-7;
      case at::kHalf: return 0x1p-10;
      default: return std::numeric_limits<float>::epsilon();
    }
  }
};

}  // namespace fulgurite
