// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/parameter_toggles.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <vector>

#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/sgd.hpp>

namespace fg = fulgurite;

namespace {
torch::Tensor parameter() { return torch::ones({2}).set_requires_grad(true); }

struct Parameters {
  torch::Tensor a = parameter(), b = parameter(), shared = parameter(), frozen = parameter(), foreign = parameter();
  fg::SGD first{std::vector<torch::Tensor>{a, shared, frozen}, {.lr = 0.1}};
  fg::Adam second{std::vector<torch::Tensor>{b, shared}, {}};
  fg::ParameterToggles toggles{first, second};

  Parameters() { frozen.set_requires_grad(false); }

  std::vector<bool> train() const {
    return {a.requires_grad(), b.requires_grad(), shared.requires_grad(), frozen.requires_grad(), foreign.requires_grad()};
  }
};

using Flags = std::vector<bool>;  // of a, b, shared, frozen, foreign
const Flags outside{true, true, true, false, true};
const Flags in_first{true, false, true, false, true};
const Flags in_second{false, true, true, false, true};
}  // namespace

TEST_CASE("a guard leaves one optimizer's parameters, as they were") {
  Parameters all;
  {
    const auto only = all.toggles.only(0);
    CHECK(all.train() == in_first);
  }
  CHECK(all.train() == outside);
  {
    const auto only = all.toggles.only(1);
    CHECK(all.train() == in_second);
  }
  CHECK(all.train() == outside);
}

TEST_CASE("the innermost guard counts, and each brings back what was before it") {
  Parameters all;
  {
    const auto outer = all.toggles.only(0);
    {
      const auto inner = all.toggles.only(1);
      CHECK(all.train() == in_second);
    }
    CHECK(all.train() == in_first);
    {
      const auto again = all.toggles.only(1);
      CHECK(all.train() == in_second);
    }
    CHECK(all.train() == in_first);
  }
  CHECK(all.train() == outside);
}

TEST_CASE("an exception brings everything back") {
  Parameters all;
  try {
    const auto outer = all.toggles.only(1);
    const auto inner = all.toggles.only(0);
    throw std::runtime_error("on the way");
  } catch (const std::runtime_error&) {
  }
  CHECK(all.train() == outside);
}

TEST_CASE("what is frozen between two guards stays frozen") {
  Parameters all;
  { const auto only = all.toggles.only(0); }
  all.a.set_requires_grad(false);
  {
    const auto only = all.toggles.only(0);
    CHECK_FALSE(all.a.requires_grad());
  }
  CHECK_FALSE(all.a.requires_grad());
}
