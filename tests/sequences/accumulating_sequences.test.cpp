// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <optional>

#include "comparison.hpp"

namespace fg = fulgurite;

namespace {

struct Accumulating {
  static constexpr sequences::Kind kind{.name = "accumulating", .accumulates = true, .plateau = true, .skips = true};

  struct Model : sequences::Model<1> {
    using sequences::Model<1>::Model;
    auto training_step(double batch, auto& step) {
      const auto [loss, skip] = compute(batch, step);
      return skip ? std::nullopt : std::optional(loss);
    }
    auto configure_optimizers() { return optimizer_on_plateau(0); }
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

TEST_CASE("in sequences of moves, a trainer that accumulates and clips does what the reference does") {
  sequences::compare<Accumulating>();
}
