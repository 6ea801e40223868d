// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <optional>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

using sequences::Deed;
using sequences::Hook;

struct Overriding {
  static constexpr sequences::Kind kind{
      .name = "overriding", .accumulates = true, .overrides = true, .plateau = true, .skips = true};

  struct Model : sequences::Model<1> {
    using sequences::Model<1>::Model;
    auto training_step(double batch, auto& step) {
      const auto [loss, skip] = compute(batch, step);
      return skip ? std::nullopt : std::optional(loss);
    }
    auto configure_optimizers() { return optimizer_on_plateau(0); }

    void optimizer_zero_grad(auto& optimizer, auto& step) {
      if (happen(Hook::optimizer_zero_grad, step, 0) != Deed::skip) optimizer.zero_grad();
    }
    void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
      const Deed deed = happen(Hook::optimizer_step, step, 0);
      if (deed == Deed::closure_only) {
        closure();
      } else if (deed != Deed::without_closure) {
        optimizer.step(closure);
        if (deed == Deed::step_twice) optimizer.step();
      }
    }
    void configure_gradient_clipping(auto& optimizer, auto& step) {
      happen(Hook::configure_gradient_clipping, step, 0);
      step.clip_gradients(optimizer, fg::ClipValue{.max = sequences::largest_gradient(program->setup)});
    }
    void lr_scheduler_step(auto& scheduler, auto& step) {
      if (happen(Hook::lr_scheduler_step, step, 0) != Deed::skip) scheduler.step();
    }
  };
  static auto make(Model& model, sequences::Program& program) {
    const sequences::Setup& setup = program.setup;
    return fg::Trainer{model, sequences::accumulation(setup), sequences::AnyInterval(setup.interval, setup.frequency),
                       sequences::AnyNonFinite{setup.non_finite}, sequences::Logger{.program = &program}};
  }
};

}  // namespace

TEST_CASE("in sequences of moves, a model that replaces parts of a step does what the reference does") {
  sequences::compare<Overriding>();
}
