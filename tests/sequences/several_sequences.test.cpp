// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <utility>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

struct Several {
  static constexpr sequences::Kind kind{
      .name = "several", .optimizers = 2, .accumulates = true, .plateau = true, .skips = true};

  struct Model : sequences::Model<2> {
    using sequences::Model<2>::Model;
    template <std::size_t I>
    auto training_step(double batch, auto& step, fg::OptimizerIndex<I>) {
      const auto [loss, skip] = compute(batch, step, I);
      return skip ? std::nullopt : std::optional(loss);
    }
    auto configure_optimizers() {
      const double max = 2.0 * sequences::largest_gradient(program->setup);
      return fg::optimizers(optimizer_on_plateau(0), optimizer_on_plateau(1).clip(fg::ClipValue{.max = max}));
    }
  };
  static auto make(Model& model, sequences::Program& program) {
    const sequences::Setup& setup = program.setup;
    return fg::Trainer{model,
                       sequences::accumulation(setup),
                       fg::ClipNorm{.max = sequences::largest_gradient(setup)},
                       sequences::AnyInterval(setup.interval, setup.frequency),
                       sequences::AnyNonFinite{setup.non_finite},
                       sequences::Logger{.program = &program}};
  }
};

}  // namespace

TEST_CASE("in sequences of moves, a trainer with several optimizers does what the reference does") {
  sequences::compare<Several>();
}
