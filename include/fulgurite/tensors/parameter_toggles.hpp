// SPDX-License-Identifier: MIT
// Toggling: while one of several optimizers trains, the parameters of the others need no gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <unordered_map>
#include <vector>

namespace fulgurite {

/// Tells its parameters: `optimizer.for_each_parameter(f)`.
template <class O>
concept TellsParameters = requires(O& optimizer) { optimizer.for_each_parameter([](const at::Tensor&) {}); };

/// The parameters of several optimizers, found once, and which of them require gradients at the moment. A parameter may
/// belong to several optimizers; one that belongs to none is left alone, and so is one that was frozen by hand.
class ParameterToggles {
 public:
  /// Of optimizers that tell their parameters; the others own none here.
  template <class... Optimizers>
  explicit ParameterToggles(Optimizers&... optimizers) : owners_(sizeof...(optimizers)) {
    std::unordered_map<const at::TensorImpl*, std::size_t> places;
    std::size_t owner = 0;
    (add(optimizers, owner++, places), ...);
  }

  ParameterToggles(ParameterToggles&&) = default;
  ParameterToggles& operator=(ParameterToggles&&) = default;

  /// While it lives, only the parameters of one optimizer require gradients. Guards nest: an inner one turns the
  /// parameters of its own optimizer on again, and its end brings back what was before it.
  class [[nodiscard]] Guard {
   public:
    Guard(ParameterToggles& toggles, std::size_t optimizer) : toggles_(toggles), place_(toggles.begin(optimizer)) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { toggles_.end(place_); }

   private:
    ParameterToggles& toggles_;
    std::size_t place_;
  };

  Guard only(std::size_t optimizer) { return Guard(*this, optimizer); }

 private:
  struct Parameter {
    at::Tensor tensor;
    std::vector<bool> owned_by;  // one an optimizer
    bool trains = true;          // requires a gradient outside of all guards
  };

  template <class Optimizer>
  void add(Optimizer& optimizer, std::size_t owner, std::unordered_map<const at::TensorImpl*, std::size_t>& places) {
    if constexpr (TellsParameters<Optimizer>) {
      optimizer.for_each_parameter([&](const at::Tensor& tensor) {
        const auto [place, added] = places.emplace(tensor.unsafeGetTensorImpl(), parameters_.size());
        if (added) parameters_.push_back({tensor, std::vector<bool>(owners_)});
        parameters_[place->second].owned_by[owner] = true;
      });
    }
  }

  static void set(const at::Tensor& tensor, bool trains) {
    if (tensor.requires_grad() != trains) tensor.set_requires_grad(trains);
  }

  // `before_` is a stack: what was, for each parameter, before each guard that lives.
  std::size_t begin(std::size_t optimizer) {
    const std::size_t place = before_.size();
    for (Parameter& parameter : parameters_) {
      const bool trains = parameter.tensor.requires_grad();
      if (guards_ == 0) parameter.trains = trains;
      before_.push_back(trains);
      set(parameter.tensor, parameter.owned_by[optimizer] && parameter.trains);
    }
    ++guards_;
    return place;
  }

  void end(std::size_t place) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) set(parameters_[i].tensor, before_[place + i]);
    if (--guards_ == 0) before_.clear();
  }

  std::size_t owners_;
  std::vector<Parameter> parameters_;
  std::vector<bool> before_;
  std::size_t guards_ = 0;  // that live
};

}  // namespace fulgurite
