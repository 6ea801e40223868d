// SPDX-License-Identifier: MIT
// Muon: a momentum made orthogonal, for the matrices of hidden layers.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// How Muon's rate depends on a matrix' shape, rows by columns.
enum class MuonRate {
  original,         ///< lr * sqrt(max(1, rows / columns)) (Jordan, 2024)
  match_rms_adamw,  ///< lr * 0.2 * sqrt(max(rows, columns)), for AdamW's rate and decay (Liu et al., 2025)
};

inline c10::IValue to_ivalue(MuonRate rate) { return rate == MuonRate::original ? "original" : "match_rms_adamw"; }
inline void from_ivalue(const c10::IValue& from, MuonRate& to) {
  const std::string rate = from.isNone() ? "original" : from.toStringRef();
  if (rate != "original" && rate != "match_rms_adamw") throw std::invalid_argument(rate);
  to = rate == "original" ? MuonRate::original : MuonRate::match_rms_adamw;
}

/// Options of `Muon`, with PyTorch's defaults.
struct MuonOptions {
  double lr = 1e-3;            ///< learning rate, 0 or more
  double weight_decay = 0.1;   ///< weights shrink by lr times this each step, 0 or more
  double momentum = 0.95;      ///< decay rate of the gradient's running mean, 0 or more
  bool nesterov = true;        ///< looks ahead
  double eps = 1e-7;           ///< least norm that a matrix is divided by
  std::int64_t ns_steps = 5;   ///< Newton-Schulz iterations, below 100
  MuonRate adjust_lr_fn{};     ///< how the rate depends on a matrix' shape
  std::array<double, 3> ns_coefficients{3.4445, -4.7750, 2.0315};  ///< of the iteration's polynomial

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(momentum >= 0.0)) return "needs a momentum of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    if (ns_steps < 0 || ns_steps >= 100) return "needs ns_steps of 0 to 99";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = MuonOptions;
    f("lr", &O::lr);
    f("weight_decay", &O::weight_decay);
    f("momentum", &O::momentum);
    f("nesterov", &O::nesterov);
    f("ns_coefficients", &O::ns_coefficients);
    f("eps", &O::eps);
    f("ns_steps", &O::ns_steps);
    f("adjust_lr_fn", &O::adjust_lr_fn);
  }
};

/// torch.optim.Muon (Jordan, Muon: An optimizer for hidden layers in neural networks, 2024). It takes matrices only.
class Muon : public detail::GroupedOptimizer<Muon, MuonOptions, 1> {
 public:
  static constexpr const char* name = "Muon";
  static constexpr std::array state_names{"momentum_buffer"};
  static constexpr std::array<detail::Constant, 0> constants{};
  static constexpr bool counts_steps = false;
  static constexpr bool elementwise = false;
  using GroupedOptimizer::GroupedOptimizer;

  static std::string problem_with(const at::Tensor& parameter) {
    if (parameter.dim() == 2) return {};
    return "of shape " + detail::shape_of(parameter) +
           ", and it trains matrices only: give biases, embeddings and the like to fg::AdamW";
  }

 private:
  friend GroupedOptimizer;

  void update(const MuonOptions& options, Part& part) {
    auto& [buffers] = part.states;
    at::_foreach_lerp_(buffers, part.gradients, 1.0 - options.momentum);
    if (options.nesterov) part.gradients = at::_foreach_lerp(part.gradients, buffers, options.momentum);
    const at::TensorList directions = options.nesterov ? at::TensorList(part.gradients) : at::TensorList(buffers);
    at::_foreach_mul_(part.parameters, 1.0 - options.lr * options.weight_decay);
    for (std::size_t i = 0; i < part.parameters.size(); ++i) {  // each its own matrix products
      const at::Tensor& parameter = part.parameters[i];
      parameter.add_(orthogonal(directions[i], options), -rate(options, parameter));
    }
  }

  /// Near the closest matrix with orthonormal rows or columns: singular values between about 0.5 and 1.5.
  static at::Tensor orthogonal(const at::Tensor& matrix, const MuonOptions& options) {
    const bool tall = matrix.size(0) > matrix.size(1);
    const auto [a, b, c] = options.ns_coefficients;
    at::Tensor x = matrix.to(at::kBFloat16, /*non_blocking=*/false, /*copy=*/true);
    if (tall) x = x.t();
    x.div_(x.norm().clamp_min(options.eps));
    for (std::int64_t i = 0; i < options.ns_steps; ++i) {
      const at::Tensor gram = at::mm(x, x.t());
      x = at::addmm(x, at::addmm(gram, gram, gram, b, c), x, a);
    }
    return tall ? x.t() : x;
  }

  static double rate(const MuonOptions& options, const at::Tensor& parameter) {
    const auto rows = static_cast<double>(parameter.size(0));
    const auto columns = static_cast<double>(parameter.size(1));
    return options.adjust_lr_fn == MuonRate::original ? options.lr * std::sqrt(std::max(1.0, rows / columns))
                                                      : options.lr * (0.2 * std::sqrt(std::max(rows, columns)));
  }
};

}  // namespace fulgurite
