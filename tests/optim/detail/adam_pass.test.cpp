// SPDX-License-Identifier: MIT
// Which kernels the optimizers run that have much in common with Adam, and the numbers of those that can't use its kernel.
#include <fulgurite/optim/detail/adam_pass.hpp>

#include <torch/torch.h>

#include <ATen/record_function.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fulgurite/optim/adafactor.hpp>
#include <fulgurite/optim/lion.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/radam.hpp>
#include <fulgurite/optim/rmsprop.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace fg = fulgurite;
using Kernels = std::vector<std::string>;

namespace {

/// The multi-tensor operators of the 8th step, by which RAdam is rectified, and how often it makes a tensor.
template <class Optimizer, class Options>
Kernels kernels_of(const Options& options, torch::ScalarType dtype = torch::kDouble) {
  static thread_local Kernels kernels;
  auto p = torch::ones({2, 2}, dtype).requires_grad_();
  Optimizer optimizer({p}, options);
  for (int step = 0; step < 7; ++step) {
    p.mutable_grad() = torch::ones({2, 2}, dtype);
    optimizer.step();
  }
  kernels.clear();
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback([](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
        const std::string name = call.name();
        if (name.starts_with("aten::_foreach_") || name.starts_with("aten::_fused_") || name == "aten::full") {
          kernels.push_back(name.substr(6));
        }
        return nullptr;
      }).scopes({at::RecordScope::FUNCTION}));
  optimizer.step();
  at::removeCallback(handle);
  return kernels;
}

/// Steps of an optimizer in a short format are, bit for bit, those of plain operators one after another. (In-place ones where
/// the multi-tensor operators are: of a scalar, LibTorch rounds them otherwise.)
/// `formula(p, g, m, v, t)`: m and v start as zeros, t is 1 at first.
template <class Optimizer, class Options, class Formula>
void rounds_after_every_operator(const Options& options, Formula formula) {
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    const auto start = torch::linspace(-0.7, 1.3, 24, torch::kDouble).to(dtype);
    auto p = start.clone().requires_grad_();
    auto plain = start.clone();
    auto m = torch::zeros_like(plain), v = torch::zeros_like(plain);
    Optimizer optimizer({p}, options);
    for (int step = 0; step < 9; ++step) {
      p.mutable_grad() = torch::sin(p.detach().to(torch::kDouble) * (step + 1)).to(dtype);
      formula(plain, torch::sin(plain.to(torch::kDouble) * (step + 1)).to(dtype), m, v, step + 1.0);
      optimizer.step();
      CAPTURE(dtype, step);
      CHECK(p.detach().equal(plain));
    }
  }
}

}  // namespace

TEST_CASE("in float32 and float64 on a CPU, NAdam, RAdam and RMSprop go through memory with Adam's kernel") {
  const auto dtype = GENERATE(torch::kFloat, torch::kDouble);
  CHECK(kernels_of<fg::NAdam>(fg::NAdamOptions{}, dtype) ==
        Kernels{"_fused_adam_", "_foreach_sqrt", "_foreach_add_", "_foreach_addcdiv_"});
  CHECK(kernels_of<fg::RAdam>(fg::RAdamOptions{}, dtype) == Kernels{"_fused_adam_"});
  CHECK(kernels_of<fg::RMSprop>(fg::RMSpropOptions{}, dtype) == Kernels{"_fused_adam_"});
  CHECK(kernels_of<fg::RMSprop>(fg::RMSpropOptions{.momentum = 0.5}, dtype) ==
        Kernels{"_foreach_mul_", "_fused_adam_", "_foreach_add_"});
}

TEST_CASE("weights that decay cost an operator, and weights that don't cost none") {
  const auto more = [](const Kernels& kernels) { return kernels.size() + 1; };
  CHECK(kernels_of<fg::Adafactor>(fg::AdafactorOptions{.weight_decay = 0.1}).size() ==
        more(kernels_of<fg::Adafactor>(fg::AdafactorOptions{})));
  CHECK(kernels_of<fg::Lion>(fg::LionOptions{.weight_decay = 0.1}).size() == more(kernels_of<fg::Lion>(fg::LionOptions{})));
  const bool decoupled = GENERATE(false, true);
  CHECK(kernels_of<fg::NAdam>(fg::NAdamOptions{.weight_decay = 0.1, .decoupled_weight_decay = decoupled}).size() ==
        more(kernels_of<fg::NAdam>(fg::NAdamOptions{.decoupled_weight_decay = decoupled})));
  CHECK(kernels_of<fg::RAdam>(fg::RAdamOptions{.weight_decay = 0.1, .decoupled_weight_decay = decoupled}).size() ==
        more(kernels_of<fg::RAdam>(fg::RAdamOptions{.decoupled_weight_decay = decoupled})));
}

TEST_CASE("Muon without Nesterov's momentum computes none") {
  CHECK(kernels_of<fg::Muon>(fg::MuonOptions{.nesterov = true}) == Kernels{"_foreach_lerp_", "_foreach_lerp", "_foreach_mul_"});
  CHECK(kernels_of<fg::Muon>(fg::MuonOptions{.nesterov = false}) == Kernels{"_foreach_lerp_", "_foreach_mul_"});
}

TEST_CASE("in short formats NAdam rounds after every operator") {
  const fg::NAdamOptions o{.lr = 0.05, .betas = {0.9, 0.99}, .eps = 1e-2};
  float product = 1.0f;
  rounds_after_every_operator<fg::NAdam>(
      o, [&](torch::Tensor& p, const torch::Tensor& g, torch::Tensor& m, torch::Tensor& v, double t) {
        const auto mu = [&](double at) { return 0.9 * (1 - 0.5 * std::pow(0.96, at * o.momentum_decay)); };
        product = (t == 1.0 ? 1.0f : product) * static_cast<float>(mu(t));
        m.lerp_(g, 1 - 0.9);
        v.mul_(0.99).addcmul_(g, g, 1 - 0.99);
        const auto denominator = (v / (1 - std::pow(0.99, t))).sqrt().add_(1e-2);
        p.addcdiv_(g, denominator, -o.lr * (1 - mu(t)) / (1.0 - product));
        p.addcdiv_(m, denominator, -o.lr * mu(t + 1) / (1.0 - product * mu(t + 1)));
      });
}

TEST_CASE("in short formats RAdam rounds after every operator") {
  const fg::RAdamOptions o{.lr = 0.05, .betas = {0.9, 0.99}, .eps = 1e-2};
  rounds_after_every_operator<fg::RAdam>(
      o, [&](torch::Tensor& p, const torch::Tensor& g, torch::Tensor& m, torch::Tensor& v, double t) {
        m.lerp_(g, 1 - 0.9);
        v.mul_(0.99).addcmul_(g, g, 1 - 0.99);
        auto update = m.div(1 - std::pow(0.9, t)).mul_(o.lr);
        const double b2t = std::pow(0.99, t), longest = 2 / (1 - 0.99) - 1;
        const double length = longest - 2 * t * b2t / (1 - b2t);
        if (length > 5) {
          const double r = std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
          update.mul_(v.sqrt().add_(1e-2).reciprocal_().mul_(std::sqrt(1 - b2t))).mul_(r);
        }
        p.sub_(update);
      });
}

TEST_CASE("in short formats RMSprop rounds after every operator") {
  const double momentum = GENERATE(0.0, 0.5);
  const fg::RMSpropOptions o{.lr = 0.05, .alpha = 0.9, .eps = 1e-2, .momentum = momentum};
  rounds_after_every_operator<fg::RMSprop>(
      o, [&](torch::Tensor& p, const torch::Tensor& g, torch::Tensor& buffer, torch::Tensor& v, double) {
        v.mul_(0.9).addcmul_(g, g, 1 - 0.9);
        const auto denominator = v.sqrt().add_(1e-2);
        if (momentum > 0.0) {
          buffer.mul_(momentum).addcdiv_(g, denominator);
          p.sub_(buffer, o.lr);
        } else {
          p.addcdiv_(g, denominator, -o.lr);
        }
      });
}
