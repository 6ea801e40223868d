// SPDX-License-Identifier: MIT
// The closure of fg::Frozen: the same as closure.hpp's, but forward and backward pass may be a replay. No hook of the model
// can stand between them, since it would not run in a replay (loop/checks.hpp refuses those).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "optimizer_index.hpp"

namespace fulgurite::detail {

template <class Engine, std::size_t Index, class Batch, class EngineStep, class Loss>
class FrozenClosure {
 public:
  FrozenClosure(Engine& engine, OptimizerIndex<Index>, const Batch& batch, EngineStep& step, std::optional<Loss>& result)
      : engine_(&engine), batch_(&batch), step_(&step), result_(&result) {}

  FrozenClosure(const FrozenClosure&) = delete;
  FrozenClosure& operator=(const FrozenClosure&) = delete;

  const std::optional<Loss>& operator()() {
    ran_ = true;
    auto& window = engine_->window(index, *step_);
    const bool first = window.at_first_batch();
    if (first) engine_->open_window(index);
    const double divisor = window.divisor();
    window.begin_batch();
    auto& optimizer = engine_->running(index).optimizer();
    *result_ = engine_->frozen(index).run(
        engine_->model(), optimizer, *step_, *batch_, {first, divisor}, [&](const Batch& batch) {
          Loss loss = [&] {
            [[maybe_unused]] auto guard = engine_->backend().forward_guard();
            return engine_->training_step(index, batch, *step_);
          }();
          if (first) optimizer.zero_grad();
          engine_->backend().check_loss(loss);
          engine_->backend().backward(loss, divisor);
          return loss;
        });
    if constexpr (requires { optimizer.mark_gradients_new(); }) {
      if (first) optimizer.mark_gradients_new();
    }
    window.add_batch();
    if constexpr (Engine::checks_finite) {
      const std::optional<double> value = engine_->backend().host_value(**result_);
      if (value && !std::isfinite(*value)) engine_->on_non_finite_replay(*value);
    }
    return *result_;
  }

  bool ran() const { return ran_; }

 private:
  static constexpr OptimizerIndex<Index> index{};

  Engine* engine_;
  const Batch* batch_;
  EngineStep* step_;
  std::optional<Loss>* result_;
  bool ran_ = false;
};

}  // namespace fulgurite::detail
