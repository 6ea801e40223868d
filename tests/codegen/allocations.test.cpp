// SPDX-License-Identifier: MIT
// A steady step of ours allocates nothing: counted by a replaced operator new, on a model of plain doubles.
#include <fulgurite/core.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "support/toy.hpp"

namespace {

std::int64_t allocations = 0;

}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ sees only one half of the pair at a time
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#pragma GCC diagnostic pop

namespace fg = fulgurite;

namespace {

struct Busy : toy::Model {
  double seen = 0.0;

  auto training_step(double batch, auto& step) {
    step.log("a metric with a name too long for a small string", batch);
    step.log("one for batches and epochs, with a long name too", batch, fg::on_step | fg::epoch_max);
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_start(double, auto&) { seen += 1.0; }
  void on_before_optimizer_step(auto& optimizer, auto&) { seen += optimizer.lr(); }
  auto configure_optimizers() {
    return fg::optimizer(toy::MomentumSgd{{&weight}})
        .lr_scheduler(fg::OneCycleLR{.max_lr = 0.1, .total_steps = 10'000}, fg::EveryStep{})
        .lr_scheduler(fg::StepLR{.step_size = 100}, fg::EveryStep{});
  }
};

/// Allocations of 64 steps, after 8 that warm up.
template <class... Policies>
std::int64_t allocations_of(Policies... policies) {
  Busy model;
  fg::Trainer trainer{model, policies...};
  auto loop = trainer.loop();
  for (int i = 0; i < 8; ++i) loop.step(1.0);
  const std::int64_t before = allocations;
  for (int i = 0; i < 64; ++i) loop.step(1.0);
  return allocations - before;
}

}  // namespace

TEST_CASE("a steady step allocates nothing") {
  CHECK(allocations_of() == 0);
  CHECK(allocations_of(fg::Accumulate<4>{}) == 0);
  CHECK(allocations_of(fg::ClipNorm{.max = 0.5}, fg::EveryStep{}) == 0);
  CHECK(allocations_of(fg::AccumulateSchedule{.stages = {{0, 3}}}, fg::ClipValue{.max = 0.5}) == 0);
}
