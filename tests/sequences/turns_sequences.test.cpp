// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <utility>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

struct Turns {
  static constexpr sequences::Kind kind{.name = "turns", .optimizers = 2, .takes_turns = true};

  struct Model : sequences::Model<2> {
    using sequences::Model<2>::Model;
    template <std::size_t I>
    auto training_step(double batch, auto& step, fg::OptimizerIndex<I>) {
      return compute(batch, step, I).first;
    }
    auto configure_optimizers() {
      const sequences::Setup& setup = program->setup;
      return fg::optimizers(optimizer(0).frequency(fg::Batches{setup.first_turn}),
                            optimizer(1).frequency(fg::Batches{setup.second_turn}));
    }
  };
  static auto make(Model& model, sequences::Program& program) {
    const sequences::Setup& setup = program.setup;
    return fg::Trainer{model, sequences::AnyNonFinite{setup.non_finite}, sequences::Logger{.program = &program}};
  }
};

}  // namespace

TEST_CASE("in sequences of moves, a trainer whose optimizers take turns does what the reference does") {
  sequences::compare<Turns>();
}
