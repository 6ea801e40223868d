// SPDX-License-Identifier: MIT
#include <fulgurite/hooks/gradients.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Recording : toy::Model {
  std::string calls;
  void on_train_batch_start(double, auto&) { calls += "S"; }
  void on_before_zero_grad(auto&, auto&) { calls += "z"; }
  void on_before_backward(const auto&, auto&) { calls += "b"; }
  void on_after_backward(auto&) { calls += "a"; }
  void on_before_optimizer_step(auto&, auto&) { calls += "o"; }
  void on_train_batch_end(const auto&, double, auto&) { calls += "E"; }
  void validation_step(double, auto&) { calls += "v"; }
  void on_train_epoch_end(auto&) { calls += "."; }
};

// What may come between the forward pass and the end of the backward pass, where a tape can't repeat it.
struct BeforeZeroGrad {
  void on_before_zero_grad() {}
};
struct ZeroGrad {
  void optimizer_zero_grad() {}
};
struct BeforeBackward {
  void on_before_backward() {}
};
struct AfterBackward {
  void on_after_backward() {}
};
struct Outside {
  void optimizer_step() {}
  void on_before_optimizer_step() {}
  void configure_gradient_clipping() {}
  void lr_scheduler_step() {}
};
static_assert(fg::hooks::act_within_closure<BeforeZeroGrad> && fg::hooks::act_within_closure<ZeroGrad>);
static_assert(fg::hooks::act_within_closure<BeforeBackward> && fg::hooks::act_within_closure<AfterBackward>);
static_assert(!fg::hooks::act_within_closure<Outside>);

/// Writes down the gradient that each hook finds.
struct Looking : toy::Model {
  std::vector<double> before_zero_grad, before_backward, after_backward;
  void on_before_zero_grad(auto&, auto&) { before_zero_grad.push_back(weight.gradient); }
  void on_before_backward(const auto&, auto&) { before_backward.push_back(weight.gradient); }
  void on_after_backward(auto&) { after_backward.push_back(weight.gradient); }
};
}  // namespace

TEST_CASE("hooks of an accumulated epoch come in order") {
  Recording model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(2), toy::counting(1));
  CHECK(model.calls == "SzbaESbaoEv.SzbaESbaoEv.");
}

TEST_CASE("hooks find the gradients of the step before, of the window so far, and of this batch too") {
  Looking model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{2.0, 4.0, 6.0, 8.0});
  CHECK(model.before_zero_grad == std::vector<double>{0.0, 3.0});
  CHECK(model.before_backward == std::vector<double>{0.0, 1.0, 0.0, 3.0});
  CHECK(model.after_backward == std::vector<double>{1.0, 3.0, 3.0, 7.0});
}
