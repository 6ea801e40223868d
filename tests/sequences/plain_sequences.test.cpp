// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

struct Plain {
  static constexpr sequences::Kind kind{.name = "plain", .plateau = true, .callbacks = true};

  struct Model : sequences::Model<1> {
    using sequences::Model<1>::Model;
    auto training_step(double batch, auto& step) { return compute(batch, step).first; }
    auto configure_optimizers() { return optimizer_on_plateau(0); }
  };
  static auto make(Model& model, sequences::Program& program) {
    const sequences::Setup& setup = program.setup;
    return fg::Trainer{model,
                       sequences::AnyInterval(setup.interval, setup.frequency),
                       sequences::AnyNonFinite{setup.non_finite},
                       sequences::Watcher(program),
                       sequences::Follower{.program = &program},
                       sequences::Logger{.program = &program}};
  }
};

}  // namespace

TEST_CASE("in sequences of moves, a trainer with callbacks does what the reference does") {
  sequences::compare<Plain>();
}
