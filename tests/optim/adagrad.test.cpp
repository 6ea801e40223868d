// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adagrad.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Adagrad has the numbers of its formula") {
  const auto o = GENERATE(
      fg::AdagradOptions{.lr = 0.05},
      fg::AdagradOptions{
          .lr = 0.05, .lr_decay = 0.1, .weight_decay = 0.1, .initial_accumulator_value = 0.3, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    g = g + o.weight_decay * p;
    auto& sum = memory["sum"];
    if (t == 1.0) sum.fill_(o.initial_accumulator_value);
    sum = sum + g * g;
    p.sub_(o.lr / (1 + (t - 1) * o.lr_decay) * g / (sum.sqrt() + o.eps));
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Adagrad(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("Adagrad keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Adagrad(
        std::move(p),
        {.lr = 0.05, .lr_decay = 0.1, .weight_decay = 0.1, .initial_accumulator_value = 0.3, .maximize = true});
  });
}

TEST_CASE("Adagrad refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Adagrad({p}, {.lr = -0.1}), "fulgurite: Adagrad needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Adagrad({p}, {.lr_decay = -1.0}), "fulgurite: Adagrad needs an lr_decay of 0 or more");
  CHECK_THROWS_WITH(fg::Adagrad({p}, {.initial_accumulator_value = -1.0}),
                    "fulgurite: Adagrad needs an initial_accumulator_value of 0 or more");
}

TEST_CASE("Adagrad's state is there from the beginning, as in PyTorch") {
  const fg::Adagrad adagrad({torch::ones({2}).requires_grad_()}, {.initial_accumulator_value = 0.5});
  const auto state = adagrad.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
  CHECK(state.at("sum").toTensor().equal(torch::full({2}, 0.5)));
  CHECK(state.at("step").toTensor().item<float>() == 0.0f);
}

TEST_CASE("Adagrad's state dict says \"fused\" of groups on a CPU alone: elsewhere Python's kernel takes none") {
  const fg::Adagrad adagrad({{{torch::ones({2}, torch::kMeta).requires_grad_()}, {}},
                             {{torch::ones({2}).requires_grad_()}, {}},
                             {{torch::ones({2}).requires_grad_(), torch::ones({2}, torch::kMeta).requires_grad_()}, {}}});
  const auto groups = adagrad.state_dict().toGenericDict().at("param_groups").toList();
  CHECK(groups.get(0).toGenericDict().at("fused").isNone());
  CHECK(groups.get(1).toGenericDict().at("fused") == true);
  CHECK(groups.get(2).toGenericDict().at("fused").isNone());
}
