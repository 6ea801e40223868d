// SPDX-License-Identifier: MIT
#include <fulgurite/optim/muon.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Muon has the numbers of its formula") {
  const auto o = GENERATE(fg::MuonOptions{}, fg::MuonOptions{.lr = 0.02,
                                                             .weight_decay = 0.01,
                                                             .momentum = 0.9,
                                                             .nesterov = false,
                                                             .adjust_lr_fn = fg::MuonRate::match_rms_adamw});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double) {
    auto& buffer = memory["buffer"];
    buffer = buffer + (1 - o.momentum) * (g - buffer);
    auto x = (o.nesterov ? g + o.momentum * (buffer - g) : buffer).to(torch::kBFloat16);
    const double rows = static_cast<double>(p.size(0)), columns = static_cast<double>(p.size(1));
    if (rows > columns) x = x.t();
    x = x / x.norm().clamp_min(o.eps);
    for (int i = 0; i < o.ns_steps; ++i) {
      const auto gram = x.mm(x.t());
      x = torch::addmm(x, torch::addmm(gram, gram, gram, o.ns_coefficients[1], o.ns_coefficients[2]), x,
                       o.ns_coefficients[0]);
    }
    if (rows > columns) x = x.t();
    const bool original = o.adjust_lr_fn == fg::MuonRate::original;
    const double ratio = original ? std::sqrt(std::max(1.0, rows / columns)) : 0.2 * std::sqrt(std::max(rows, columns));
    p.mul_(1 - o.lr * o.weight_decay).sub_(o.lr * ratio * x.to(torch::kDouble));
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Muon(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }, 50,
                            support::matrices) < 1e-12);
}

TEST_CASE("Muon keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Muon(std::move(p), {.lr = 0.02,
                                   .weight_decay = 0.01,
                                   .momentum = 0.9,
                                   .nesterov = false,
                                   .adjust_lr_fn = fg::MuonRate::match_rms_adamw});
  });
}

TEST_CASE("schedules drive Muon's momentum") {
  fg::Muon optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().momentum == 0.8);
}

TEST_CASE("Muon refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Muon({p}, {.lr = -0.1}), "fulgurite: Muon needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Muon({p}, {.ns_steps = 100}), "fulgurite: Muon needs ns_steps of 0 to 99");
}

TEST_CASE("Muon refuses a parameter that is not a matrix by name") {
  const auto matrix = torch::ones({2, 2}).requires_grad_();
  const auto bias = torch::ones({10}).requires_grad_();
  CHECK_THROWS_WITH(fg::Muon({matrix, bias}, {}),
                    "fulgurite: Muon was given a parameter (number 1) of shape [10], and it trains matrices only: give "
                    "biases, embeddings and the like to fg::AdamW");
}

TEST_CASE("Muon leaves gradients and momenta of bfloat16 as they are") {
  const bool nesterov = GENERATE(false, true);
  auto p = torch::ones({2, 2}, torch::kBFloat16).requires_grad_();
  const auto gradient = torch::tensor({1.0, -2.0, 3.0, 4.0}, torch::kBFloat16).view({2, 2});
  p.mutable_grad() = gradient.clone();
  fg::Muon muon({p}, {.momentum = 0.5, .nesterov = nesterov});
  muon.step();
  CHECK(p.grad().equal(gradient));
  const auto state = muon.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
  CHECK(state.at("momentum_buffer").toTensor().equal(gradient / 2));
}
