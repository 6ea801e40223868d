// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

using sequences::Deed;
using sequences::Hook;

struct Manual {
  static constexpr sequences::Kind kind{.name = "manual", .optimizers = 2, .manual = true};

  struct Model : sequences::Model<2> {
    using sequences::Model<2>::Model;
    void training_step(double batch, auto& step) {
      const Deed deed = happen(Hook::training_step, step, -1, batch);
      auto [a, b] = step.optimizers();
      optimize(0, a, batch, deed, step);
      optimize(1, b, batch, deed, step);
      if (step.is_last_batch()) step.lr_schedulers().step();
    }
    auto configure_optimizers() { return fg::optimizers(optimizer_by_hand(0), optimizer_by_hand(1)); }

   private:
    void optimize(int which, auto& optimizer, double batch, Deed deed, auto& step) {
      const sequences::Setup& setup = program->setup;
      const auto run = [&] {
        const auto loss = sequences::loss_of(program->parameters[0], program->parameters[1], 2, which, batch, deed);
        const auto batches = step.progress().batches;
        if (batches % setup.window == 0) optimizer.zero_grad();
        if ((batches + 1) % setup.window != 0) {
          step.manual_backward(sequences::Loss(loss));
        } else if (setup.later_window == 2) {
          optimizer.step([&] { step.manual_backward(sequences::Loss(loss)); });
        } else {
          step.manual_backward(sequences::Loss(loss));
          optimizer.step();
        }
      };
      if (setup.full_divisor) {
        const auto only = step.toggle(optimizer);
        run();
      } else {
        run();
      }
    }
  };
  static auto make(Model& model, sequences::Program& program) {
    const sequences::Setup& setup = program.setup;
    return fg::Trainer{model, fg::ManualOptimization{}, sequences::AnyNonFinite{setup.non_finite},
                       sequences::Logger{.program = &program}};
  }
};

}  // namespace

TEST_CASE("in sequences of moves, manual optimization does what the reference does") {
  sequences::compare<Manual>();
}
