// SPDX-License-Identifier: MIT
// The rates of an optimizer of LibTorch's that stays where it is, for `fg::schedule(optimizer, schedule)`.
#pragma once

#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <tuple>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/schedulers/standalone_scheduler.hpp>
#include "parameters.hpp"

namespace fulgurite {

/// Learning rates and momenta of any `torch::optim::Optimizer`, by reference: it must outlive this. The momentum is that
/// of SGD and RMSprop and the beta1 of Adam and AdamW.
class TorchOptimizerView {
 public:
  explicit TorchOptimizerView(torch::optim::Optimizer& optimizer) : optimizer_(&optimizer) {}

  std::int64_t group_count() const { return static_cast<std::int64_t>(optimizer_->param_groups().size()); }
  double lr(std::int64_t group) const { return options(group).get_lr(); }
  /// Throws std::invalid_argument for a rate that no optimizer can be made with.
  void set_lr(std::int64_t group, double lr) { options(group).set_lr(detail::valid_lr("the optimizer", lr)); }

  /// 0 if the optimizer has none.
  double momentum(std::int64_t group) const {
    double momentum = 0.0;
    visit_momentum(group, [&](auto& of) {
      if constexpr (requires { of.betas(); }) {
        momentum = std::get<0>(of.betas());
      } else {
        momentum = of.momentum();
      }
    });
    return momentum;
  }
  /// Throws std::invalid_argument if the optimizer has none, and for one that it could not be made with.
  void set_momentum(std::int64_t group, double momentum) {
    const bool found = visit_momentum(group, [&](auto& of) {
      constexpr bool is_beta = requires { of.betas(); };
      if (!(momentum >= 0.0) || (is_beta && momentum >= 1.0)) {
        throw std::invalid_argument(
            "fulgurite: the optimizer needs a momentum of 0 or more (a beta below 1), and set_momentum was "
            "given " +
            detail::text_of(momentum));
      }
      if constexpr (is_beta) {
        of.betas({momentum, std::get<1>(of.betas())});
      } else {
        of.momentum(momentum);
      }
    });
    if (!found) {
      throw std::invalid_argument(
          "fulgurite: this schedule drives the momentum, but the optimizer has none: set .momentum_range = std::nullopt, "
          "or use an optimizer with momentum");
    }
  }

 private:
  torch::optim::OptimizerOptions& options(std::int64_t group) const {
    return optimizer_->param_groups().at(static_cast<std::size_t>(group)).options();
  }

  /// Calls `f` with the options that hold a momentum; false if none do.
  template <class F>
  bool visit_momentum(std::int64_t group, F f) const {
    auto& all = options(group);
    return visit_as<torch::optim::SGDOptions>(all, f) || visit_as<torch::optim::AdamOptions>(all, f) ||
           visit_as<torch::optim::AdamWOptions>(all, f) || visit_as<torch::optim::RMSpropOptions>(all, f);
  }
  template <class Options, class F>
  static bool visit_as(torch::optim::OptimizerOptions& all, F& f) {
    auto* options = dynamic_cast<Options*>(&all);
    if (options) f(*options);
    return options != nullptr;
  }

  torch::optim::Optimizer* optimizer_;
};

template <std::derived_from<torch::optim::Optimizer> O>
struct lr_view<O> {
  using type = TorchOptimizerView;
};

}  // namespace fulgurite
