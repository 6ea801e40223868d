// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/loss_scale.hpp>

#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/line.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr fg::LossScaleOptions small{.initial_scale = 8.0, .growth_interval = 2};

torch::Tensor weight() { return torch::ones({3}, torch::kDouble).requires_grad_(); }

/// One step on the gradient `slope`, through a loss scale.
template <class Optimizer>
void step(fg::LossScale& scale, Optimizer& optimizer, const torch::Tensor& w, double slope) {
  optimizer.zero_grad();
  scale.scaled((w * slope).sum()).backward();
  optimizer.step();
}

/// The precision of tests: a loss scale without autocast, so that numbers can be compared to the last bit.
struct ScaledFloat64 {
  using slot = fg::slots::Precision;
  static constexpr fg::NumberFormat parameters = fg::NumberFormat::float64;
  static constexpr fg::NumberFormat autocast = fg::NumberFormat::unchanged;

  constexpr fg::LossScaleOptions loss_scale() const { return {.initial_scale = 1024.0, .growth_interval = 3}; }
  [[maybe_unused]] friend constexpr bool operator==(ScaledFloat64, ScaledFloat64) { return true; }
  [[maybe_unused]] friend std::ostream& operator<<(std::ostream& out, ScaledFloat64) { return out << "ScaledFloat64"; }
};

template <class Optimizer>
struct Line : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(2, 1));
  std::vector<std::int64_t> overflowing{};

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = nn::functional::mse_loss(line->forward(batch.data), batch.target);
    // An infinite gradient behind a finite loss, as float16 makes them.
    for (const auto at : overflowing) {
      if (at == step.progress().batches) {
        line->weight.register_hook([](const torch::Tensor& gradient) { return gradient * infinity; });
        return loss;
      }
    }
    return loss;
  }
  auto configure_optimizers() { return fg::optimizer(Optimizer(parameters(), {.lr = 0.05})); }
};

struct Manual : Line<fg::SGD> {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(nn::functional::mse_loss(line->forward(batch.data), batch.target));
    step.clip_gradients(optimizer, fg::ClipValue{.max = 0.1});
    optimizer.step();
  }
};

/// Steps twice in a batch.
struct Twice : Line<fg::SGD> {
  bool again = false;
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    const auto backward = [&] {
      line->zero_grad();
      step.manual_backward(nn::functional::mse_loss(line->forward(batch.data), batch.target));
    };
    backward();
    optimizer.step();
    if (!again) backward();
    optimizer.step();
  }
};

struct Two : nn::Module {
  nn::Linear a = register_module("a", nn::Linear(2, 1)), b = register_module("b", nn::Linear(2, 1));

  torch::Tensor training_step(const fg::Example& batch, auto&, auto index) {
    return nn::functional::mse_loss((index == 0 ? a : b)->forward(batch.data), batch.target);
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::SGD(a->parameters(), {.lr = 0.05}), fg::SGD(b->parameters(), {.lr = 0.05}));
  }
};

/// Leaves batch 1 out.
struct Leaving : Line<fg::SGD> {
  std::optional<torch::Tensor> training_step(const fg::Example& batch, auto& step) {
    if (step.batch_index() == 1) return std::nullopt;
    return Line::training_step(batch, step);
  }
};

/// Makes no step on batch 1.
struct Waiting : Line<fg::SGD> {
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    if (step.batch_index() == 1) {
      closure();
    } else {
      optimizer.step(closure);
    }
  }
};

std::vector<fg::Example> batches() {
  torch::manual_seed(5);
  return support::batches(8);
}

}  // namespace

TEMPLATE_TEST_CASE("a scaled step is the step itself", "", fg::SGD, fg::Adam, fg::RMSprop) {
  const auto plain = weight();
  const auto scaled = weight();
  TestType by_hand({plain}, {.lr = 0.1});
  TestType optimizer({scaled}, {.lr = 0.1});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  for (const double slope : {1.0, -2.0, 0.5}) {
    by_hand.zero_grad();
    (plain * slope).sum().backward();
    by_hand.step();
    step(scale, optimizer, scaled, slope);
    scale.update();
    CHECK(scaled.equal(plain));
  }
}

TEMPLATE_TEST_CASE("an overflow skips the step, and the scale falls; it grows again after the interval", "", fg::SGD,
                   fg::Adam, fg::Adagrad, fg::RMSprop) {
  const auto w = weight();
  TestType optimizer({w}, {.lr = 0.1});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  const auto train = [&](double slope) {
    step(scale, optimizer, w, slope);
    const bool skipped = scale.skipped();
    scale.update();
    return skipped;
  };
  CHECK(train(infinity));  // the first step of all: no state may come of it
  CHECK(w.equal(torch::ones({3}, torch::kDouble)));
  CHECK(scale.scale() == 4.0);
  CHECK_FALSE(train(1.0));
  const auto before = w.detach().clone();
  CHECK(train(infinity));
  CHECK(w.equal(before));
  CHECK(scale.scale() == 2.0);
  CHECK_FALSE(train(1.0));
  CHECK(scale.growth_tracker() == 1);
  CHECK_FALSE(train(1.0));
  CHECK(scale.scale() == 4.0);
  CHECK(scale.growth_tracker() == 0);

  // As if the overflows had never been.
  const auto reference = weight();
  TestType undisturbed({reference}, {.lr = 0.1});
  for (int i = 0; i < 3; ++i) {
    undisturbed.zero_grad();
    reference.sum().backward();
    undisturbed.step();
  }
  CHECK(w.equal(reference));
}

TEST_CASE("LibTorch's own optimizers step under a loss scale too") {
  const auto w = weight();
  fg::TorchOptimizer optimizer(torch::optim::SGD({w}, 0.5));
  fg::LossScale scale(small);
  scale.attach(optimizer);
  step(scale, optimizer, w, 1.0);
  CHECK(w.equal(torch::full({3}, 0.5, torch::kDouble)));
  step(scale, optimizer, w, infinity);
  CHECK(scale.skipped());
  CHECK(w.equal(torch::full({3}, 0.5, torch::kDouble)));
}

TEST_CASE("clipping sees gradients without the scale") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  scale.scaled(w.sum() * 3.0).backward();
  SECTION("by norm") {
    const auto norm = optimizer.gradients().clip_norm(0.3);
    CHECK(std::abs(norm.item<double>() - 3.0 * std::sqrt(3.0)) < 1e-12);
    optimizer.step();
    CHECK(torch::allclose(w, torch::full({3}, 1.0 - 0.3 / std::sqrt(3.0), torch::kDouble), 1e-6));
  }
  SECTION("by value") {
    optimizer.gradients().clip_value(0.25);
    optimizer.step();
    CHECK(w.equal(torch::full({3}, 0.75, torch::kDouble)));
  }
}

TEST_CASE("two optimizers share one scale, and only the one that overflowed skips") {
  const auto a = weight();
  const auto b = weight();
  fg::SGD first({a}, {.lr = 1.0});
  fg::SGD second({b}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(first);
  scale.attach(second);
  step(scale, first, a, infinity);
  step(scale, second, b, 1.0);
  CHECK(scale.skipped(0));
  CHECK_FALSE(scale.skipped(1));
  CHECK(b.equal(torch::zeros({3}, torch::kDouble)));
  scale.update();
  CHECK(scale.scale() == 4.0);
  CHECK_FALSE(scale.skipped(0));
}

TEST_CASE("an overflow in any step since the last update() counts, whatever the same optimizer stepped on after it") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  step(scale, optimizer, w, infinity);
  CHECK(scale.skipped());
  step(scale, optimizer, w, 1.0);
  CHECK_FALSE(scale.skipped());
  CHECK(w.equal(torch::zeros({3}, torch::kDouble)));
  step(scale, optimizer, w, 1.0);
  scale.update();
  CHECK(scale.scale() == 4.0);
  CHECK(scale.growth_tracker() == 0);
  step(scale, optimizer, w, 1.0);  // it does not count again
  scale.update();
  CHECK(scale.growth_tracker() == 1);
}

TEST_CASE("the state of a loss scale is saved and loaded, in Python's layout") {
  fg::LossScale scale(small), other;
  const auto w = weight();
  fg::SGD optimizer({w}, {});
  scale.attach(optimizer);
  step(scale, optimizer, w, 1.0);
  scale.update();
  const auto state = scale.state_dict();
  for (const char* key : {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}) {
    CHECK(state.toGenericDict().contains(key));
  }
  other.load_state_dict(state);
  CHECK(other.scale() == 8.0);
  CHECK(other.growth_tracker() == 1);
  CHECK_THROWS_WITH(other.load_state_dict(optimizer.state_dict()),
                    "fulgurite: this is not the state of a loss scale: it has no `scale`");
  const auto wrong = scale.state_dict();
  wrong.toGenericDict().insert_or_assign("growth_factor", "fast");
  CHECK_THROWS_WITH(other.load_state_dict(wrong),
                    "fulgurite: this is not the state of a loss scale: its `growth_factor` is not a number");
  CHECK_THROWS_WITH(other.load_state_dict(c10::IValue("scale")),
                    "fulgurite: this is not the state of a loss scale: it has no `scale`");
  CHECK(other.scale() == 8.0);
}

TEMPLATE_TEST_CASE("of each optimizer there is one step, and one unscale() before it, between two updates", "", fg::SGD, fg::NAdam) {
  const auto w = weight();
  TestType optimizer({w}, {.lr = 0.1});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  const auto backward = [&] { scale.scaled(w.sum()).backward(); };
  backward();
  optimizer.gradients().unscale();
  CHECK_THROWS_WITH(optimizer.gradients().unscale(),
                    "fulgurite: unscale() of gradients that have been unscaled already: it is called once, "
                    "between backward and the step; update() of the fg::LossScale begins anew");
  CHECK(w.grad().equal(torch::ones({3}, torch::kDouble)));
  optimizer.step();
  const auto once = w.detach().clone();
  const auto state = torch::pickle_save(optimizer.state_dict());
  CHECK_THROWS_WITH(
      optimizer.step(),
      ContainsSubstring("has stepped on these gradients already, and a second step would divide them by the loss scale once "
                        "more: call update() of the fg::LossScale after each step, or zero_grad() and backward before the "
                        "next one"));
  CHECK_THROWS_WITH(optimizer.gradients().unscale(),
                    ContainsSubstring("unscale() of gradients that their optimizer has stepped on already"));
  backward();  // added to gradients without the scale: PyTorch refuses it too
  CHECK_THROWS_AS(optimizer.step(), std::logic_error);
  CHECK(w.equal(once));
  CHECK(torch::pickle_save(optimizer.state_dict()) == state);
  CHECK(w.grad().equal(torch::full({3}, 9.0, torch::kDouble)));
  SECTION("update() begins anew") {
    scale.update();
    w.mutable_grad().reset();
  }
  SECTION("zero_grad() begins anew") { optimizer.zero_grad(); }
  backward();
  optimizer.gradients().clip_value(10.0);  // divides too, which is no unscale() of the caller's
  optimizer.gradients().unscale();
  CHECK(w.grad().equal(torch::ones({3}, torch::kDouble)));
  optimizer.step();
  CHECK_FALSE(w.equal(once));
}

TEST_CASE("LibTorch's own optimizers step once between two updates too") {
  const auto w = weight();
  fg::TorchOptimizer optimizer(torch::optim::SGD({w}, 0.5));
  fg::LossScale scale(small);
  scale.attach(optimizer);
  step(scale, optimizer, w, 1.0);
  const auto gradient = w.grad().clone();
  CHECK_THROWS_WITH(optimizer.step(), ContainsSubstring("fulgurite: SGD has stepped on these gradients already"));
  CHECK(w.equal(torch::full({3}, 0.5, torch::kDouble)));
  CHECK(w.grad().equal(gradient));
}

TEST_CASE("a step without gradients does not count as one, so that a second is allowed") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  optimizer.step();
  optimizer.step();
  CHECK(w.equal(torch::ones({3}, torch::kDouble)));
}

TEST_CASE("update() needs a step that looked for overflow") {
  fg::LossScale scale(small);
  CHECK_THROWS_WITH(scale.update(),
                    "fulgurite: update() of a loss scale that no optimizer is attached to: call attach(optimizer) once, "
                    "before training");
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  scale.attach(optimizer);
  CHECK_THROWS_WITH(scale.update(),
                    "fulgurite: update() of a loss scale without a step of an optimizer that has gradients since the last "
                    "one: call update() after the step");
  step(scale, optimizer, w, 1.0);
  scale.update();
  CHECK(scale.growth_tracker() == 1);
  CHECK_THROWS_AS(scale.update(), std::logic_error);
  CHECK(scale.growth_tracker() == 1);
  optimizer.zero_grad();
  scale.scaled(w.sum()).backward();
  optimizer.gradients().unscale();  // looks too
  scale.update();
  CHECK(scale.scale() == 16.0);
}

TEST_CASE("update(new_scale) sets the scale, whatever overflowed") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  step(scale, optimizer, w, infinity);
  scale.update(64.0);
  CHECK(scale.scale() == 64.0);
  CHECK_FALSE(scale.skipped());
  const auto number = torch::full({1}, 32.0f);
  scale.update(number);
  number.fill_(1.0f);  // it was copied
  CHECK(scale.scale() == 32.0);
  const auto before = w.detach().clone();
  step(scale, optimizer, w, 1.0);
  CHECK(w.equal(before - 1.0));
  CHECK_THROWS_WITH(scale.update(0.0), "fulgurite: a loss scale is above 0 and finite, and update was given 0");
  CHECK_THROWS_WITH(scale.update(infinity), "fulgurite: a loss scale is above 0 and finite, and update was given inf");
  CHECK_THROWS_WITH(scale.update(torch::ones({2})),
                    "fulgurite: update takes a new loss scale of one element that requires no gradient, on cpu");
  CHECK_THROWS_WITH(scale.update(torch::ones({1}, torch::requires_grad())), ContainsSubstring("requires no gradient"));
  CHECK(scale.scale() == 32.0);
}

TEST_CASE("growth and backoff can be set, within the constructor's bounds") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small);
  scale.attach(optimizer);
  scale.set_growth_factor(4.0);
  scale.set_backoff_factor(0.25);
  scale.set_growth_interval(1);
  CHECK(scale.growth_factor() == 4.0);
  CHECK(scale.backoff_factor() == 0.25);
  CHECK(scale.growth_interval() == 1);
  step(scale, optimizer, w, 1.0);
  scale.update();
  CHECK(scale.scale() == 32.0);
  step(scale, optimizer, w, infinity);
  scale.update();
  CHECK(scale.scale() == 8.0);
  CHECK_THROWS_WITH(scale.set_growth_factor(1.0), ContainsSubstring("growth_factor above 1"));
  CHECK_THROWS_WITH(scale.set_backoff_factor(1.0), ContainsSubstring("backoff_factor between 0 and 1"));
  CHECK_THROWS_WITH(scale.set_growth_interval(0), ContainsSubstring("growth_interval of 1 or more"));
  CHECK(scale.growth_factor() == 4.0);
  CHECK(scale.state_dict().toGenericDict().at("growth_factor").toDouble() == 4.0);
}

TEST_CASE("a loss scale that is not enabled changes nothing, with the same calls") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale({.initial_scale = 8.0, .enabled = false}), enabled(small);
  CHECK_FALSE(scale.is_enabled());
  CHECK(enabled.is_enabled());
  scale.attach(optimizer);
  step(scale, optimizer, w, 1.0);
  optimizer.gradients().unscale();
  scale.update();
  CHECK(w.equal(torch::zeros({3}, torch::kDouble)));
  CHECK(scale.scale() == 1.0);
  CHECK_FALSE(scale.skipped());
  scale.update(2.0);
  scale.load_state_dict(enabled.state_dict());
  CHECK(scale.scale() == 1.0);
  CHECK(scale.state_dict().toGenericDict().empty());
  CHECK_THROWS_WITH(enabled.load_state_dict(scale.state_dict()),
                    "fulgurite: this state of a loss scale is empty: it was saved by one that was not enabled");
}

TEST_CASE("in manual optimization a second step on the same gradients is refused, and one on new gradients is not") {
  const auto data = batches();
  const auto trained = [&](auto precision) {
    torch::manual_seed(1);
    Twice model;
    fg::Trainer trainer{model, fg::ManualOptimization{}, precision, fg::MaxEpochs{1}};
    trainer.fit(data);
    return model.line->weight.detach().clone();
  };
  CHECK(trained(ScaledFloat64{}).equal(trained(fg::Float64{})));
  Twice overflowing;
  fg::Trainer scaled{overflowing, fg::ManualOptimization{}, ScaledFloat64{}};
  auto loop = scaled.loop();
  bool first = true;
  overflowing.line->weight.register_hook(
      [&](const torch::Tensor& gradient) { return std::exchange(first, false) ? gradient * infinity : gradient; });
  loop.step(data[0]);
  CHECK(scaled.progress().skipped_steps == 1);
  CHECK(scaled.progress().global_step == 1);
  CHECK(scaled.loss_scale().scale() == 512.0);
  Twice model;
  model.again = true;
  fg::Trainer trainer{model, fg::ManualOptimization{}, ScaledFloat64{}, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(data), ContainsSubstring("SGD has stepped on these gradients already"));
}

namespace {
/// An optimizer that does not say what it has done with its gradients.
struct Silent {
  torch::Tensor scale, found_inf;
  void set_loss_scale(const torch::Tensor& its_scale, const torch::Tensor& its_found_inf) {
    scale = its_scale;
    found_inf = its_found_inf;
  }
};
}  // namespace

TEST_CASE("an optimizer may take scale and found_inf alone") {
  Silent silent;
  fg::LossScale scale(small);
  scale.attach(silent);
  CHECK(silent.scale.item<float>() == 8.0f);
  silent.found_inf.fill_(1.0f);
  CHECK(scale.skipped());
  scale.begin_backward();
  scale.update();
  CHECK(silent.scale.item<float>() == 4.0f);
  CHECK(silent.found_inf.item<float>() == 0.0f);
  scale.update();  // whether it has looked is its own affair
  CHECK(scale.growth_tracker() == 1);
}

TEST_CASE("a scale that is set begins anew, and may be below 1") {
  const auto w = weight();
  fg::SGD optimizer({w}, {.lr = 1.0});
  fg::LossScale scale(small), disabled({.enabled = false});
  scale.attach(optimizer);
  for (const bool as_tensor : {false, true}) {
    step(scale, optimizer, w, infinity);
    if (as_tensor) {
      scale.update(torch::full({1, 1}, 0.5));
    } else {
      scale.update(0.5);
    }
    CHECK(scale.scale() == 0.5);
    CHECK_FALSE(scale.skipped());
    CHECK_THROWS_AS(scale.update(), std::logic_error);
  }
  const std::string wrong = "fulgurite: update takes a new loss scale of one element that requires no gradient, on cpu";
  CHECK_THROWS_WITH(scale.update(torch::Tensor()), wrong);
  CHECK_THROWS_WITH(scale.update(torch::ones({1}, torch::kMeta)), wrong);
  disabled.update(torch::ones({3}));
  CHECK(disabled.scale() == 1.0);
  const auto loss = torch::ones({});
  CHECK(disabled.scaled(loss).is_same(loss));
}

TEST_CASE("a loss scale loads what it would be made with, and nothing else") {
  fg::LossScale scale({.initial_scale = 4.0, .growth_factor = 3.0, .backoff_factor = 0.25, .growth_interval = 7}), other;
  const auto file = torch::pickle_save(scale.state_dict());
  for (const auto& [key, value] : std::vector<std::pair<const char*, double>>{
           {"scale", 0.0}, {"growth_factor", 1.0}, {"backoff_factor", 1.0}, {"growth_interval", 0.0}}) {
    const auto state = torch::pickle_load(file);
    state.toGenericDict().insert_or_assign(key, value);
    CHECK_THROWS_WITH(other.load_state_dict(state), ContainsSubstring("fulgurite: a loss scale needs a"));
    CHECK(other.growth_factor() == 2.0);
  }
  for (const char* key : {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}) {
    const auto lacking = torch::pickle_load(file), wrong = torch::pickle_load(file);
    CHECK(lacking.toGenericDict().erase(key) == 1);
    CHECK_THROWS_WITH(other.load_state_dict(lacking),
                      "fulgurite: this is not the state of a loss scale: it has no `" + std::string(key) + "`");
    wrong.toGenericDict().insert_or_assign(key, "much");
    CHECK_THROWS_WITH(other.load_state_dict(wrong),
                      "fulgurite: this is not the state of a loss scale: its `" + std::string(key) + "` is not a number");
  }
  other.load_state_dict(torch::pickle_load(file));
  CHECK(other.growth_factor() == 3.0);
  CHECK(other.backoff_factor() == 0.25);
  CHECK(other.growth_interval() == 7);
  CHECK(torch::pickle_save(other.state_dict()) == file);
}

TEST_CASE("an invalid scale is refused") {
  CHECK_THROWS_WITH(fg::LossScale({.initial_scale = 0.0}), "fulgurite: a loss scale needs an initial_scale above 0");
  CHECK_THROWS_WITH(fg::LossScale({.growth_factor = 1.0}), "fulgurite: a loss scale needs a growth_factor above 1");
  CHECK_THROWS_WITH(fg::LossScale({.backoff_factor = 1.0}), "fulgurite: a loss scale needs a backoff_factor between 0 and 1");
  CHECK_THROWS_WITH(fg::LossScale({.growth_interval = 0}), "fulgurite: a loss scale needs a growth_interval of 1 or more");
}

TEMPLATE_TEST_CASE("a trainer with a loss scale trains as one without", "", fg::SGD, fg::AdamW, fg::NAdam) {
  const auto data = batches();
  const auto trained = [&](auto precision, auto... policies) {
    torch::manual_seed(1);
    Line<TestType> model;
    fg::Trainer trainer{model, precision, policies..., fg::MaxEpochs{2}};
    trainer.fit(data);
    return model.line->weight.detach().clone();
  };
  CHECK(trained(ScaledFloat64{}).equal(trained(fg::Float64{})));
  CHECK(trained(ScaledFloat64{}, fg::Accumulate<4>{}).equal(trained(fg::Float64{}, fg::Accumulate<4>{})));
  CHECK(torch::allclose(trained(ScaledFloat64{}, fg::ClipNorm{.max = 0.1}), trained(fg::Float64{}, fg::ClipNorm{.max = 0.1}),
                        1e-12));
  CHECK(trained(ScaledFloat64{}, fg::ClipValue{.max = 0.1}).equal(trained(fg::Float64{}, fg::ClipValue{.max = 0.1})));
}

TEST_CASE("an overflow in a fit advances no schedule and no global step, and is counted") {
  struct Scheduled : Line<fg::SGD> {
    auto configure_optimizers() {
      return fg::optimizer(fg::SGD(parameters(), {.lr = 1.0})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
    }
  } model;
  model.overflowing = {2};
  const auto data = batches();
  fg::Trainer trainer{model, ScaledFloat64{}};
  auto loop = trainer.loop();
  loop.step(data[0]);
  loop.step(data[1]);
  CHECK(trainer.loss_scale().scale() == 1024.0);
  const auto before = model.line->weight.detach().clone();
  const auto result = loop.step(data[2]);
  CHECK_FALSE(result.stepped);
  CHECK(result.global_step == 2);
  CHECK(trainer.progress().skipped_steps == 1);
  CHECK(trainer.optimizer().lr(0) == 0.25);
  CHECK(trainer.loss_scale().scale() == 512.0);
  CHECK(model.line->weight.equal(before));
}

TEMPLATE_TEST_CASE("a batch without a step does not count for the growth of the loss scale", "", Leaving,
                   Waiting) {
  const auto data = batches();
  TestType model;
  fg::Trainer trainer{model, ScaledFloat64{}};
  auto loop = trainer.loop();
  for (const std::int64_t tracker : {1, 1, 2, 0}) {
    loop.step(data[0]);
    CHECK(trainer.loss_scale().growth_tracker() == tracker);
  }
  CHECK(trainer.loss_scale().scale() == 2048.0);
}

TEST_CASE("Float16Mixed trains: the forward pass in float16, parameters and update in float32") {
  Line<fg::AdamW> model;
  fg::Trainer trainer{model, fg::Float16Mixed{.initial_scale = 1024.0}, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{3}};
  trainer.fit(batches());
  CHECK(model.line->weight.scalar_type() == torch::kFloat);
  CHECK(trainer.progress().global_step + trainer.progress().skipped_steps == 24);
  CHECK(trainer.progress().global_step > 0);
}

TEST_CASE("by hand, clipping and steps under a loss scale are those of true gradients") {
  const auto data = batches();
  const auto trained = [&](auto precision) {
    torch::manual_seed(1);
    Manual model;
    fg::Trainer trainer{model, fg::ManualOptimization{}, precision, fg::MaxEpochs{1}};
    trainer.fit(data);
    return model.line->weight.detach().clone();
  };
  CHECK(trained(ScaledFloat64{}).equal(trained(fg::Float64{})));
}

TEST_CASE("with two optimizers the scale is updated once a batch") {
  Two model;
  fg::Trainer trainer{model, ScaledFloat64{}, fg::MaxEpochs{1}};
  trainer.fit(batches());
  CHECK(trainer.progress().global_step == 16);
  CHECK(trainer.loss_scale().scale() == 4096.0);  // eight updates, and it grows after every third
}
