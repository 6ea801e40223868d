// SPDX-License-Identifier: MIT
// What optimizers know of their gradients under a loss scale: saved, loaded, and with tensors that the program owns.
#include <fulgurite/tensors/gradients.hpp>

#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/checkpoint/archive.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/sgd.hpp>
#include <fulgurite/optim/torch_optimizer.hpp>
#include <fulgurite/tensors/loss_scale.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
using TorchSGD = fg::TorchOptimizer<torch::optim::SGD>;

template <class Optimizer>
Optimizer make_optimizer(const torch::Tensor& w) {
  if constexpr (std::is_same_v<Optimizer, TorchSGD>) {
    return Optimizer(torch::optim::SGD({w}, torch::optim::SGDOptions(0.5).momentum(0.5)));
  } else {
    return Optimizer({w}, {.lr = 0.5});
  }
}

/// One weight of three elements, trained under a loss scale.
template <class Optimizer>
struct Scene {
  torch::Tensor w = torch::ones({3}, torch::kDouble).requires_grad_();
  Optimizer optimizer = make_optimizer<Optimizer>(w);
  fg::LossScale scale{{.initial_scale = 8.0, .growth_interval = 5}};

  Scene() { scale.attach(optimizer); }

  void backward(double slope) {
    optimizer.zero_grad();
    scale.scaled((w * slope).sum()).backward();
  }
  void step(double slope) {
    backward(slope);
    optimizer.step();
  }
  void unscaled(double slope) {
    backward(slope);
    optimizer.gradients().unscale();
  }
  c10::IValue saved() {
    fg::CheckpointWriter writer;
    optimizer.state(writer);
    return torch::pickle_load(torch::pickle_save(writer.ivalue()));
  }
};

/// "unscaled", "overflows" and "overflowed_before" of what was saved.
std::array<bool, 3> flags(const c10::IValue& saved) {
  const auto entries = saved.toGenericDict().at("next_update").toGenericDict();
  return {entries.at("unscaled").toBool(), entries.at("overflows").toBool(), entries.at("overflowed_before").toBool()};
}

}  // namespace

TEMPLATE_TEST_CASE("an optimizer saved between backward and update() goes on with the same gradients and overflows", "",
                   fg::SGD, fg::NAdam, TorchSGD) {
  struct Case {
    std::string what;
    std::vector<double> steps;     // slopes of steps made since the last update()
    std::vector<double> unscaled;  // slope of gradients that were unscaled, and not stepped on
    std::array<bool, 3> expected;
  };
  const std::vector<Case> cases{
      {"nothing", {}, {}, {false, false, false}},
      {"unscaled", {}, {1.0}, {true, false, false}},
      {"unscaled with an overflow", {}, {infinity}, {true, true, false}},
      {"a step", {1.0}, {}, {false, false, false}},
      {"a skipped step", {infinity}, {}, {false, false, true}},
      {"two steps", {1.0, 2.0}, {}, {false, false, false}},
      {"a skipped step and one that was made", {infinity, 1.0}, {}, {false, false, true}},
      {"a skipped step, then unscaled", {infinity}, {1.0}, {true, false, true}},
      {"a step, then unscaled", {1.0}, {1.0}, {true, false, false}},
      {"a skipped step, then unscaled with an overflow", {infinity}, {infinity}, {true, true, true}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    Scene<TestType> straight, resumed;
    for (const double slope : one.steps) straight.step(slope);
    for (const double slope : one.unscaled) straight.unscaled(slope);
    const auto saved = straight.saved();
    CHECK(flags(saved) == one.expected);

    resumed.step(1.0);
    resumed.scale.update();
    resumed.step(infinity);  // what was before the load is forgotten
    resumed.unscaled(one.expected[1] ? 1.0 : infinity);
    fg::CheckpointReader reader(saved);
    resumed.optimizer.state(reader);
    {
      const torch::NoGradGuard no_grad;
      resumed.w.copy_(straight.w);
      if (straight.w.grad().defined()) resumed.w.mutable_grad() = straight.w.grad().clone();
    }
    CHECK(flags(resumed.saved()) == one.expected);
    if (one.expected[2]) resumed.scale.update();  // though nothing has been checked here
    if (one.expected[2]) straight.scale.update();
    for (auto* scene : {&straight, &resumed}) {
      if (one.unscaled.empty() || one.expected[2]) scene->backward(0.5);
      scene->optimizer.step();
      scene->scale.update();
      scene->step(0.25);
    }
    CHECK(resumed.w.equal(straight.w));
    CHECK(resumed.scale.scale() == straight.scale.scale());
    CHECK(straight.scale.scale() == (one.expected[1] || one.expected[2] ? 4.0 : 8.0));
    CHECK(flags(resumed.saved()) == flags(straight.saved()));
    if constexpr (!std::is_same_v<TestType, TorchSGD>) {
      CHECK(torch::pickle_save(resumed.optimizer.state_dict()) == torch::pickle_save(straight.optimizer.state_dict()));
    }
  }
}

TEST_CASE("a checkpoint without these flags is one without overflow, and one with a pending clipping is refused") {
  Scene<fg::SGD> scene;
  scene.step(infinity);
  const auto saved = scene.saved();
  const auto entries = saved.toGenericDict().at("next_update").toGenericDict();
  CHECK(entries.erase("overflows") + entries.erase("overflowed_before") == 2);
  const auto load = [&] {
    fg::CheckpointReader reader(saved);
    scene.optimizer.state(reader);
  };
  load();
  CHECK(flags(scene.saved()) == std::array<bool, 3>{false, false, false});
  entries.insert_or_assign("clipping", c10::IValue());
  load();
  entries.insert_or_assign("clipping", 1.0);
  CHECK_THROWS_WITH(load(),
                    "its gradients were to be clipped by the next update, which this version of the library does at "
                    "once: save the training after a step, or go on with the version that saved it");
}

TEST_CASE("a loss scale of the program's own does not remember overflows, and an optimizer without one saves none") {
  auto w = torch::ones({3}).requires_grad_();
  fg::SGD optimizer({w}, {.lr = 1.0});
  const auto state = [&] {
    fg::CheckpointWriter writer;
    optimizer.state(writer);
    return writer.ivalue();
  };
  CHECK(flags(state()) == std::array<bool, 3>{false, false, false});
  fg::CheckpointReader reader(state());
  optimizer.state(reader);
  const auto found = torch::zeros({});
  optimizer.set_loss_scale(torch::full({}, 8.0f), found);
  for (int step = 0; step < 2; ++step) {
    w.mutable_grad() = torch::full({3}, std::numeric_limits<float>::infinity());
    optimizer.gradients().unscale();
    optimizer.gradients().unscale();  // allowed, and does nothing
    optimizer.step();
    optimizer.step();
    CHECK(found.item<float>() == 1.0f);
    CHECK(w.equal(torch::ones({3})));
    CHECK(flags(state()) == std::array<bool, 3>{false, false, false});
  }
}

TEMPLATE_TEST_CASE("a loss scale without found_inf is divided out, by whatever looks first", "", fg::SGD, fg::AdamW, fg::NAdam,
                   TorchSGD) {
  for (const int how : {0, 1, 2, 3}) {
    CAPTURE(how);
    const auto trained = [&](bool scaled) {
      auto w = torch::ones({3}, torch::kDouble).requires_grad_();
      auto optimizer = make_optimizer<TestType>(w);
      if (scaled) optimizer.set_loss_scale(torch::full({1}, 8.0f), {});
      for (const double slope : {3.0, -1.0, 2.0}) {
        optimizer.zero_grad();
        w.mutable_grad() = torch::full({3}, slope * (scaled ? 8.0 : 1.0), torch::kDouble);
        const double norm = optimizer.gradients().norm().template item<double>();
        CHECK(std::abs(norm - std::abs(slope) * std::sqrt(3.0)) < 1e-12);
        CHECK(optimizer.gradients().is_finite());
        if (how == 1) optimizer.gradients().unscale();
        if (how == 2) optimizer.gradients().clip_norm(1.0);
        if (how == 3) optimizer.gradients().clip_value(0.5);
        if (how > 0) CHECK(optimizer.gradients().norm().template item<double>() <= norm);
        optimizer.step();
      }
      return w.detach().clone();
    };
    CHECK(torch::allclose(trained(true), trained(false), 1e-12, 1e-14));
    CHECK_FALSE(trained(false).equal(torch::ones({3}, torch::kDouble)));
  }
}

TEST_CASE("gradients of several formats are divided and checked together") {
  auto a = torch::zeros({2}).requires_grad_(), b = torch::zeros({2}, torch::kDouble).requires_grad_();
  auto c = torch::zeros({1}).requires_grad_(), d = torch::zeros({3}, torch::kBFloat16).requires_grad_();
  auto e = torch::zeros({1}, torch::kDouble).requires_grad_();
  for (int overflow = -1; overflow < 5; ++overflow) {
    CAPTURE(overflow);
    const std::vector<torch::Tensor> all{a, b, c, d, e};
    fg::SGD optimizer(all, {.lr = 1.0});
    const auto found = torch::zeros({});
    optimizer.set_loss_scale(torch::full({}, 4.0f), found);
    for (const auto& parameter : all) parameter.mutable_grad() = torch::full_like(parameter, 8.0).detach();
    if (overflow >= 0) all[static_cast<std::size_t>(overflow)].mutable_grad().fill_(infinity);
    optimizer.gradients().unscale();
    CHECK(found.item<float>() == (overflow >= 0 ? 1.0f : 0.0f));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool is_infinite = static_cast<int>(i) == overflow;
      CHECK(all[i].grad().equal(torch::full_like(all[i], is_infinite ? infinity : 2.0).detach()));
    }
  }
}

TEST_CASE("gradients that require gradients are measured, clipped and scaled without a graph") {
  // As create_graph leaves them.
  auto p = torch::tensor({3.0, -4.0}, torch::kDouble).requires_grad_();
  fg::SGD optimizer({p}, {.lr = 1.0});
  const auto set = [&](double factor) {
    p.mutable_grad() = (p * factor).clone();
    REQUIRE(p.grad().requires_grad());
  };
  set(1.0);
  CHECK_FALSE(optimizer.gradients().norm().requires_grad());
  const auto total = optimizer.gradients().clip_norm(1.0);
  CHECK_FALSE(total.requires_grad());
  CHECK(total.item<double>() == 5.0);
  set(1.0);
  const auto gradient = p.grad();
  const auto* node = gradient.grad_fn().get();
  optimizer.gradients().clip_value(3.5);
  optimizer.gradients().scale(2.0);
  CHECK(gradient.grad_fn().get() == node);
  CHECK(gradient.detach().equal(torch::tensor({6.0, -7.0}, torch::kDouble)));
  optimizer.set_loss_scale(torch::full({}, 2.0f), {});
  optimizer.gradients().unscale();
  CHECK(gradient.grad_fn().get() == node);
  CHECK(gradient.detach().equal(torch::tensor({3.0, -3.5}, torch::kDouble)));
  CHECK_FALSE(fg::Gradients({gradient, torch::zeros({0}, torch::kDouble).requires_grad_()}).norm(infinity).requires_grad());
}

TEST_CASE("whether gradients are finite is told by any norm, and not asked of none or under a loss scale") {
  auto p = torch::ones({2}).requires_grad_();
  fg::SGD optimizer({p}, {});
  CHECK(optimizer.gradients().is_finite());
  for (const double type : {1.0, 2.0, infinity}) {
    for (const float value : {1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      p.mutable_grad() = torch::tensor({2.0f, value});
      CHECK(optimizer.gradients().is_finite(type) == (value == 1.0f));
    }
  }
  optimizer.set_loss_scale(torch::full({}, 2.0f), {});
  CHECK_FALSE(optimizer.gradients().is_finite());
  optimizer.set_loss_scale(torch::full({}, 2.0f), torch::zeros({}));
  CHECK(optimizer.gradients().is_finite());
}
