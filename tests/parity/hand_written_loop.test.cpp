// SPDX-License-Identifier: MIT
// The trainer against the loop that it replaces: the same kernels, written by hand, must give the same parameters bit for
// bit; torch::optim's own, slower kernels, the same to 1e-6.
#include <torch/torch.h>

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fulgurite/fulgurite.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

constexpr int steps = 200;
constexpr double lr = 0.02;

nn::Sequential make_net() {
  torch::manual_seed(3);
  return nn::Sequential{nn::Linear(8, 16), nn::Tanh(), nn::Linear(16, 4)};
}

std::vector<fg::Example> make_batches(int count) {
  torch::manual_seed(11);
  std::vector<fg::Example> batches;
  for (int i = 0; i < count; ++i) {
    auto x = torch::randn({10, 8});
    auto y = torch::randn({10, 4});
    batches.emplace_back(x, y);
  }
  return batches;
}

torch::Tensor loss_of(nn::Sequential& net, const fg::Example& batch) {
  return nn::functional::mse_loss(net->forward(batch.data), batch.target);
}

struct SGDCase {
  using Ours = fg::SGD;
  static Ours ours(std::vector<torch::Tensor> p) { return {std::move(p), {.lr = lr, .momentum = 0.9}}; }
  static torch::optim::SGD torchs(std::vector<torch::Tensor> p) {
    return torch::optim::SGD(std::move(p), torch::optim::SGDOptions(lr).momentum(0.9));
  }
  static void update(std::vector<torch::Tensor>& p, std::vector<torch::Tensor>& g, std::vector<torch::Tensor>& m,
                     std::vector<torch::Tensor>&, std::vector<torch::Tensor>& s, const std::optional<torch::Tensor>& scale) {
    at::_fused_sgd_(p, g, m, 0.0, 0.9, lr, 0.0, false, false, s[0].item<float>() == 1.0f, scale);
  }
};

struct AdamCase {
  using Ours = fg::Adam;
  static Ours ours(std::vector<torch::Tensor> p) { return {std::move(p), {.lr = lr}}; }
  static torch::optim::Adam torchs(std::vector<torch::Tensor> p) {
    return torch::optim::Adam(std::move(p), torch::optim::AdamOptions(lr));
  }
  static void update(std::vector<torch::Tensor>& p, std::vector<torch::Tensor>& g, std::vector<torch::Tensor>& m,
                     std::vector<torch::Tensor>& v, std::vector<torch::Tensor>& s, const std::optional<torch::Tensor>& scale) {
    at::_fused_adam_(p, g, m, v, {}, s, lr, 0.9, 0.999, 0.0, 1e-8, false, false, scale);
  }
};

struct AdamWCase {
  using Ours = fg::AdamW;
  static Ours ours(std::vector<torch::Tensor> p) { return {std::move(p), {.lr = lr}}; }
  static torch::optim::AdamW torchs(std::vector<torch::Tensor> p) {
    return torch::optim::AdamW(std::move(p), torch::optim::AdamWOptions(lr));
  }
  static void update(std::vector<torch::Tensor>& p, std::vector<torch::Tensor>& g, std::vector<torch::Tensor>& m,
                     std::vector<torch::Tensor>& v, std::vector<torch::Tensor>& s, const std::optional<torch::Tensor>& scale) {
    at::_fused_adamw_(p, g, m, v, {}, s, lr, 0.9, 0.999, 1e-2, 1e-8, false, false, scale);
  }
};

template <class Case>
struct Regressor : nn::Module {
  nn::Sequential net = register_module("net", make_net());

  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(net, batch); }
  auto configure_optimizers() { return fg::optimizer(Case::ours(parameters())); }
};

enum class Clip { none, norm, value };

/// The loop that people write today, over the fused kernels.
template <class Case>
std::vector<torch::Tensor> by_hand(int accumulate, Clip clip) {
  auto net = make_net();
  auto parameters = net->parameters();
  std::vector<torch::Tensor> m, v, s;
  auto step = torch::zeros({});
  for (auto& p : parameters) {
    m.push_back(torch::zeros_like(p));
    v.push_back(torch::zeros_like(p));
    s.push_back(step);
  }
  const auto batches = make_batches(steps * accumulate);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    auto loss = loss_of(net, batches[i]);
    if (i % static_cast<std::size_t>(accumulate) == 0) {
      for (auto& p : parameters) p.mutable_grad().reset();
    }
    (loss / accumulate).backward();
    if ((i + 1) % static_cast<std::size_t>(accumulate) != 0) continue;
    torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> g;
    for (auto& p : parameters) g.push_back(p.grad());
    std::optional<torch::Tensor> scale;
    if (clip == Clip::norm) {
      auto norm = torch::linalg_vector_norm(torch::stack(at::_foreach_norm(g, 2)), 2);
      scale = ((norm + 1e-6) / 0.1).clamp_min(1.0);
    } else if (clip == Clip::value) {
      for (auto& gradient : g) gradient.clamp_(-0.01, 0.01);
    }
    step.add_(1);
    Case::update(parameters, g, m, v, s, scale);
  }
  return parameters;
}

/// The same over torch::optim and LibTorch's clipping. In double precision, so that 200 steps of different rounding don't
/// drift apart.
template <class Case>
std::vector<torch::Tensor> by_hand_with_torch_optim(int accumulate, Clip clip) {
  auto net = make_net();
  net->to(torch::kDouble);
  auto optimizer = Case::torchs(net->parameters());
  const auto batches = make_batches(steps * accumulate);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const fg::Example batch{batches[i].data.to(torch::kDouble), batches[i].target.to(torch::kDouble)};
    auto loss = loss_of(net, batch);
    if (i % static_cast<std::size_t>(accumulate) == 0) optimizer.zero_grad();
    (loss / accumulate).backward();
    if ((i + 1) % static_cast<std::size_t>(accumulate) != 0) continue;
    if (clip == Clip::norm) {
      nn::utils::clip_grad_norm_(net->parameters(), 0.1);
    } else if (clip == Clip::value) {
      nn::utils::clip_grad_value_(net->parameters(), 0.01);
    }
    optimizer.step();
  }
  return net->parameters();
}

template <class Case>
std::vector<torch::Tensor> by_trainer(int accumulate, Clip clip, auto... more) {
  const auto fit = [&](auto... policies) {
    Regressor<Case> model;
    fg::Trainer trainer{model, fg::MaxEpochs{1}, more..., policies...};
    trainer.fit(make_batches(steps * accumulate));
    REQUIRE(trainer.progress().global_step == steps);
    return model.parameters();
  };
  const auto with = [&](auto... policies) {
    return accumulate == 1 ? fit(policies...) : fit(fg::Accumulate<4>{}, policies...);
  };
  switch (clip) {
    case Clip::norm: return with(fg::ClipNorm{.max = 0.1});
    case Clip::value: return with(fg::ClipValue{.max = 0.01});
    default: return with();
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the trainer equals the hand-written loop bit for bit", "", SGDCase, AdamCase, AdamWCase) {
  const int accumulate = GENERATE(1, 4);
  const Clip clip = GENERATE(Clip::none, Clip::norm, Clip::value);
  CAPTURE(accumulate, static_cast<int>(clip));
  const auto expected = by_hand<TestType>(accumulate, clip);
  const auto actual = by_trainer<TestType>(accumulate, clip);
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) CHECK(torch::equal(actual[i], expected[i]));
}

TEMPLATE_TEST_CASE("the trainer agrees with a loop over torch::optim to 1e-6", "", SGDCase, AdamCase, AdamWCase) {
  const int accumulate = GENERATE(1, 4);
  const Clip clip = GENERATE(Clip::none, Clip::norm, Clip::value);
  CAPTURE(accumulate, static_cast<int>(clip));
  const auto expected = by_hand_with_torch_optim<TestType>(accumulate, clip);
  const auto actual = by_trainer<TestType>(accumulate, clip, fg::Float64{});
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CHECK(((actual[i] - expected[i]).norm() / expected[i].norm()).template item<double>() < 1e-6);
  }
}
