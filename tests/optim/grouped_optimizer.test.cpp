// SPDX-License-Identifier: MIT
#include <fulgurite/optim/grouped_optimizer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/lbfgs.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/sgd.hpp>
#include <fulgurite/optim/torch_optimizer.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("bfloat16 parameters are trained in their format") {
  auto p = torch::ones({8}, torch::kBFloat16).requires_grad_();
  fg::AdamW adamw({p}, {.lr = 0.1});
  p.mutable_grad() = torch::ones({8}, torch::kBFloat16);
  adamw.gradients().clip_norm(1.0, 2.0);
  adamw.step();
  CHECK(p.scalar_type() == torch::kBFloat16);
  CHECK(p[0].item<float>() < 0.95f);
}

TEST_CASE("the gradients of a step are free for backward afterwards") {
  auto p = torch::ones({8}).requires_grad_();
  fg::AdamW adamw({p}, {});
  p.mutable_grad() = torch::ones({8});
  const auto gradient = p.grad();
  adamw.step();
  CHECK(gradient.use_count() == 2);  // this variable and the parameter
}

TEST_CASE("gradients stay their parameters' own when a step is refused, or finds others than the last") {
  auto first = torch::ones({2, 3}).requires_grad_();
  auto second = torch::ones({2, 3}).requires_grad_();
  fg::SGD sgd({first, second}, {.lr = 1.0});
  const auto set_gradients = [&](const torch::Tensor& of_second) {
    first.mutable_grad() = torch::ones({2, 3});
    second.mutable_grad() = of_second;
  };
  set_gradients(torch::ones({2, 3}));
  sgd.step();
  set_gradients(torch::ones({3}));
  CHECK_THROWS_AS(sgd.step(), std::invalid_argument);
  CHECK(first.grad().use_count() == 1);
  CHECK(second.grad().use_count() == 1);
  set_gradients({});
  sgd.step();
  CHECK(first.grad().use_count() == 1);
  set_gradients(torch::ones({3, 2}).t());  // laid out otherwise than its parameter
  sgd.step();
  CHECK(second.grad().use_count() == 1);
  CHECK(first.equal(torch::full({2, 3}, -2.0f)));
  CHECK(second.equal(torch::full({2, 3}, -1.0f)));
}

TEST_CASE("many elements are updated in several lists, which changes no number") {
  const auto make = [] {
    torch::manual_seed(3);
    std::vector<torch::Tensor> parameters;
    for (const std::int64_t size : {9'000, 12'000, 5, 20'000, 7'000}) {
      parameters.push_back(torch::randn({size}).requires_grad_());
    }
    return parameters;
  };
  auto together = make(), apart = make();
  fg::NAdam all(together, {.lr = 0.1});
  std::vector<fg::NAdam> single;
  for (const auto& parameter : apart) single.emplace_back(std::vector<torch::Tensor>{parameter}, fg::NAdamOptions{.lr = 0.1});
  for (int step = 0; step < 4; ++step) {
    for (std::size_t i = 0; i < apart.size(); ++i) {
      together[i].mutable_grad() = together[i].detach().sin();
      apart[i].mutable_grad() = apart[i].detach().sin();
      single[i].step();
    }
    all.step();
  }
  for (std::size_t i = 0; i < apart.size(); ++i) CHECK(together[i].equal(apart[i]));
}

TEST_CASE("a frozen parameter may be in the list") {
  auto frozen = torch::ones({2});
  auto trained = torch::ones({2}).requires_grad_();
  fg::AdamW adamw({frozen, trained}, {});
  trained.mutable_grad() = torch::ones({2});
  adamw.step();
  CHECK(frozen.equal(torch::ones({2})));
  CHECK_FALSE(trained.equal(torch::ones({2})));
}

TEST_CASE("a sparse gradient of a later group leaves earlier groups as they were") {
  auto first = torch::ones({2, 2}).requires_grad_();
  auto second = torch::ones({2, 2}).requires_grad_();
  fg::AdamW adamw({{{first}, {}}, {{second}, {}}});
  first.mutable_grad() = torch::ones({2, 2});
  second.mutable_grad() = torch::ones({2, 2}).to_sparse();
  CHECK_THROWS_AS(adamw.step(), std::invalid_argument);
  CHECK(first.equal(torch::ones({2, 2})));
  CHECK(adamw.state_dict().toGenericDict().at("state").toGenericDict().empty());
}

TEST_CASE("clipping under a loss scale clips the gradients without it") {
  auto plain = torch::zeros({4}).requires_grad_();
  auto scaled = torch::zeros({4}).requires_grad_();
  const auto clip = [](auto& sgd, int how) {
    auto gradients = sgd.gradients();
    if (how == 0) {
      gradients.clip_norm(0.5, 2.0);
    } else {
      gradients.clip_value(0.5);
    }
  };
  for (const int how : {0, 1}) {
    plain.mutable_grad() = torch::full({4}, 3.0f);
    scaled.mutable_grad() = torch::full({4}, 24.0f);
    fg::SGD expected({plain}, {.lr = 1.0});
    fg::SGD sgd({scaled}, {.lr = 1.0});
    sgd.set_loss_scale(torch::full({}, 8.0f), torch::zeros({}));
    clip(expected, how);
    clip(sgd, how);
    expected.step();
    sgd.step();
    CHECK(torch::allclose(scaled, plain, 1e-6));
  }
}

TEST_CASE("a rate or momentum that the optimizer could not be made with, or load, is refused, and nothing is changed") {
  auto p = torch::zeros({1}).requires_grad_();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  fg::SGD sgd({p}, {.lr = 1.0, .momentum = 0.9, .nesterov = true});
  fg::AdamW adamw({p}, {});
  fg::LBFGS lbfgs({p}, {});
  fg::TorchOptimizer torchs(torch::optim::Adam({p}, torch::optim::AdamOptions(0.1)));
  const auto before = torch::pickle_save(sgd.state_dict());
  CHECK_THROWS_WITH(sgd.set_lr(0, -1.0), "fulgurite: SGD needs a learning rate of 0 or more, and was given -1");
  CHECK_THROWS_AS(sgd.set_lr(0, nan), std::invalid_argument);
  CHECK_THROWS_AS(lbfgs.set_lr(0, -1.0), std::invalid_argument);
  CHECK_THROWS_AS(torchs.set_lr(0, nan), std::invalid_argument);
  CHECK_THROWS_WITH(sgd.set_momentum(0, -0.5), "fulgurite: SGD needs a momentum of 0 or more, and set_momentum was given -0.5");
  CHECK_THROWS_AS(sgd.set_momentum(0, nan), std::invalid_argument);
  CHECK_THROWS_AS(sgd.set_momentum(0, 0.0), std::invalid_argument);  // nesterov needs one
  CHECK_THROWS_AS(adamw.set_momentum(0, 1.0), std::invalid_argument);
  CHECK_THROWS_WITH(torchs.set_momentum(0, 1.0),
                    "fulgurite: the optimizer needs a momentum of 0 or more (a beta below 1), and "
                    "set_momentum was given 1");
  CHECK_THROWS_AS(torchs.set_momentum(0, -0.1), std::invalid_argument);
  CHECK(torch::pickle_save(sgd.state_dict()) == before);
  CHECK(adamw.momentum(0) == 0.9);
  CHECK(torchs.momentum(0) == 0.9);
  // What a schedule down to 0 leaves by rounding.
  sgd.set_lr(0, -1e-18);
  CHECK(sgd.lr(0) == 0.0);
  sgd.load_state_dict(torch::pickle_load(torch::pickle_save(sgd.state_dict())));
}

TEST_CASE("options can be set, and must make sense") {
  auto p = torch::zeros({1}).requires_grad_();
  fg::SGD sgd({p}, {.lr = 1.0});
  CHECK_THROWS_WITH(sgd.set_options(0, {.lr = -1.0}), "fulgurite: SGD needs a learning rate of 0 or more");
  sgd.set_options(0, {.lr = 0.5});
  p.mutable_grad() = torch::ones({1});
  sgd.step();
  CHECK(p.item<float>() == -0.5f);
}

TEST_CASE("a gradient of another shape is refused") {
  auto p = torch::zeros({2, 3}).requires_grad_();
  fg::SGD sgd({p}, {});
  p.mutable_grad() = torch::zeros({3});
  CHECK_THROWS_WITH(sgd.step(), "fulgurite: SGD was given a gradient of another shape or number format for parameter 0: "
                                "[3] Float for [2, 3] Float");
}

TEST_CASE("a loss scale is one float32 number") {
  fg::SGD sgd({torch::zeros({1}).requires_grad_()}, {});
  CHECK_THROWS_WITH(sgd.set_loss_scale(torch::ones({2}), {}),
                    "fulgurite: SGD takes a loss scale and a found_inf of one float32 element each, and was given [2] Float");
  CHECK_THROWS_AS(sgd.set_loss_scale({}, torch::zeros({1}, torch::kDouble)), std::invalid_argument);
}

TEST_CASE("what updates write beside parameters has names, and setting it back makes the update again") {
  auto p = torch::ones({2}).requires_grad_(), q = torch::ones({3}).requires_grad_(), idle = torch::ones({1}).requires_grad_();
  fg::AdamW adamw({{{p}, {.lr = 0.1}}, {{idle, q}, {.lr = 0.2}}});
  const auto step = [&] {
    p.mutable_grad() = torch::full({2}, 0.5);
    q.mutable_grad() = torch::full({3}, 0.25);
    adamw.step();
  };
  step();
  std::vector<std::string> names;
  std::vector<torch::Tensor> state{p, q}, before{p.detach().clone(), q.detach().clone()};
  adamw.for_each_state([&](const std::string& name, const torch::Tensor& tensor) {
    names.push_back(name);
    state.push_back(tensor);
    before.push_back(tensor.clone());
  });
  CHECK(names == std::vector<std::string>{"exp_avg of parameter 0", "exp_avg_sq of parameter 0", "the count of updates",
                                          "exp_avg of parameter 2", "exp_avg_sq of parameter 2", "the count of updates"});
  step();
  const auto once = torch::cat({p.detach(), q.detach()});
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < state.size(); ++i) state[i].copy_(before[i]);
  step();
  CHECK(torch::equal(torch::cat({p, q}), once));

  fg::SGD flat({p, q}, {.momentum = 0.9}, fg::Contiguous{});
  flat.step();
  flat.for_each_state(
      [&](const std::string& name, const torch::Tensor&) { CHECK(name == "momentum_buffer of flat memory 0"); });
}
