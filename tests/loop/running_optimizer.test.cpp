// SPDX-License-Identifier: MIT
#include <fulgurite/loop/running_optimizer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Two {
  toy::Weight a, b;
  std::vector<std::int64_t> seen;

  auto training_step(double batch, auto& step, auto index) {
    const auto [first, second] = step.optimizers();
    seen.insert(seen.end(), {step.global_step(), first.step_count(), second.step_count()});
    return toy::Loss{index == 0 ? &a : &b, batch};
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&a}).frequency(fg::Batches{1}), fg::optimizer(toy::Sgd{&b}).frequency(fg::Batches{2}));
  }
};
}  // namespace

TEST_CASE("every optimizer counts its own steps, and global_step those of all") {
  Two model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(4));
  CHECK(model.seen == std::vector<std::int64_t>{0, 0, 0, 1, 1, 0, 2, 1, 1, 3, 1, 2});
  CHECK(trainer.progress().global_step == 4);
  CHECK(trainer.step_count(fg::optimizer_index<0>) == 2);
  CHECK(trainer.step_count(fg::optimizer_index<1>) == 2);
  CHECK(trainer.progress().windows == 4);
}
