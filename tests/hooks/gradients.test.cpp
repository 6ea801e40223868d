// SPDX-License-Identifier: MIT
#include <fulgurite/hooks/gradients.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

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
}  // namespace

TEST_CASE("hooks of an accumulated epoch come in order") {
  Recording model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(2), toy::counting(1));
  CHECK(model.calls == "SzbaESbaoEv.SzbaESbaoEv.");
}
