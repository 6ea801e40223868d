// SPDX-License-Identifier: MIT
#include <fulgurite/optim/clipping.hpp>

#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<torch::Tensor> with_gradients() {
  torch::manual_seed(3);
  std::vector<torch::Tensor> parameters{torch::zeros({2, 3}).requires_grad_(), torch::zeros({4}).requires_grad_(),
                                        torch::zeros({5}).requires_grad_()};  // the last has no gradient
  parameters[0].mutable_grad() = torch::randn({2, 3});
  parameters[1].mutable_grad() = torch::randn({4});
  return parameters;
}

/// Trains with `Storage...`, by a policy or by hand.
template <class Optimizer, class... Storage>
struct Net : torch::nn::Module {
  torch::nn::Sequential net = register_module("net", [] {
    torch::manual_seed(3);
    return torch::nn::Sequential{torch::nn::Linear(5, 7), torch::nn::Tanh(), torch::nn::Linear(7, 1)};
  }());

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return torch::nn::functional::mse_loss(net->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return Optimizer(parameters(), {.lr = 0.05}, Storage()...); }
};

/// Adds to gradients that it has clipped.
struct Manual : Net<fg::SGD> {
  double norm = -1.0;
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(100 * torch::nn::functional::mse_loss(net->forward(batch.data), batch.target));
    step.clip_gradients(optimizer, fg::ClipNorm{.max = 1.0});
    norm = fg::Gradients(gradients()).norm().template item<double>();
    step.manual_backward(torch::nn::functional::mse_loss(net->forward(batch.data), batch.target));
    optimizer.step();
  }
  std::vector<torch::Tensor> gradients() const {
    std::vector<torch::Tensor> all;
    for (const auto& parameter : parameters()) all.push_back(parameter.grad());
    return all;
  }
};

template <class Model>
torch::Tensor by_hand(const std::vector<fg::Example>& batches, const fg::ClipNorm& limit, int window) {
  Model model;
  auto optimizer = model.configure_optimizers();
  int place = 0;
  struct {
  } step;
  for (const auto& batch : batches) {
    if (place == 0) optimizer.zero_grad();
    (model.training_step(batch, step) / window).backward();
    if (++place < window) continue;
    place = 0;
    fg::clip_grad_norm_(model.parameters(), limit.max, limit.norm_type);
    optimizer.step();
  }
  return torch::nn::utils::parameters_to_vector(model.parameters());
}

template <class Model>
torch::Tensor by_trainer(const std::vector<fg::Example>& batches, auto... policies) {
  Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, policies...};
  trainer.fit(batches);
  return torch::nn::utils::parameters_to_vector(model.parameters());
}

}  // namespace

TEMPLATE_TEST_CASE("a trainer that clips equals, bit for bit, a loop with clip_grad_norm_", "", (Net<fg::SGD>), (Net<fg::Adam>),
                   (Net<fg::NAdam>), (Net<fg::AdamW, fg::Contiguous>)) {
  torch::manual_seed(8);
  std::vector<fg::Example> batches;
  for (int i = 0; i < 24; ++i) batches.emplace_back(torch::randn({6, 5}), torch::randn({6, 1}));
  const fg::ClipNorm limit{.max = 0.1, .norm_type = GENERATE(2.0, 3.0)};
  const auto expected = by_hand<TestType>(batches, limit, 1);
  CHECK(by_trainer<TestType>(batches, limit).equal(expected));
  CHECK(by_trainer<TestType>(batches, limit, fg::Frozen{.strict = true}).equal(expected));
  CHECK(by_trainer<TestType>(batches, limit, fg::Accumulate<4>{}).equal(by_hand<TestType>(batches, limit, 4)));
  CHECK_FALSE(by_trainer<TestType>(batches).equal(expected));
}

TEST_CASE("in manual optimization a gradient is clipped where it is written") {
  Manual model;
  const std::vector<fg::Example> batches{{torch::randn({6, 5}), torch::randn({6, 1})}};
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(batches);
  CHECK(std::abs(model.norm - 1.0) < 1e-4);

  Net<fg::SGD> expected;
  torch::optim::SGD sgd(expected.parameters(), 0.05);
  const auto loss = [&] { return torch::nn::functional::mse_loss(expected.net->forward(batches[0].data), batches[0].target); };
  (100 * loss()).backward();
  torch::nn::utils::clip_grad_norm_(expected.parameters(), 1.0);
  loss().backward();
  sgd.step();
  CHECK(torch::allclose(torch::nn::utils::parameters_to_vector(model.parameters()),
                        torch::nn::utils::parameters_to_vector(expected.parameters()), 1e-6, 1e-7));
}

TEST_CASE("clip_grad_norm_ clips any parameters and returns the norm before") {
  const double norm_type = GENERATE(1.0, 2.0, std::numeric_limits<double>::infinity());
  const auto ours = with_gradients();
  const auto torchs = with_gradients();
  const double before = torch::nn::utils::clip_grad_norm_(torchs, 0.5, norm_type);
  CHECK(std::abs(fg::clip_grad_norm_(ours, 0.5, norm_type).item<double>() - before) < 1e-6);
  for (std::size_t i = 0; i < 2; ++i) CHECK(torch::allclose(ours[i].grad(), torchs[i].grad(), 1e-6));
  CHECK_FALSE(ours[2].grad().defined());
}

TEST_CASE("clip_grad_value_ clamps any parameters") {
  const auto ours = with_gradients();
  const auto torchs = with_gradients();
  fg::clip_grad_value_(ours, 0.3);
  torch::nn::utils::clip_grad_value_(torchs, 0.3);
  for (std::size_t i = 0; i < 2; ++i) CHECK(ours[i].grad().equal(torchs[i].grad()));
}

TEST_CASE("a limit of 0 is refused, and having no gradients is allowed") {
  CHECK_THROWS_WITH(fg::clip_grad_norm_(with_gradients(), 0.0), ContainsSubstring("ClipNorm.max must be above 0"));
  CHECK_THROWS_WITH(fg::clip_grad_value_(with_gradients(), -1.0), ContainsSubstring("ClipValue.max must be above 0"));
  CHECK(fg::clip_grad_norm_({}, 1.0).item<double>() == 0.0);
}
