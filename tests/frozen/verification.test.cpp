// SPDX-License-Identifier: MIT
#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Problem {
  nn::Sequential net{nn::Linear(6, 8), nn::Tanh(), nn::Dropout(0.2), nn::Linear(8, 3)};
  torch::Tensor x = torch::randn({5, 6});
  torch::Tensor y = torch::randint(3, {5});

  template <class Optimizer>
  auto step_with(Optimizer& optimizer) {
    return [this, &optimizer] {
      optimizer.zero_grad();
      auto loss = nn::functional::cross_entropy(net->forward(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    };
  }

  fg::FrozenState state() const {
    fg::FrozenState state;
    for (const auto& parameter : net->named_parameters()) {
      state.tensors.emplace_back(parameter.key(), parameter.value());
      state.parameters.emplace_back(parameter.key(), parameter.value());
    }
    return state;
  }

  template <class Step>
  fg::Tape record(Step step) {
    return fg::Tape::record(step, {x, y}, net->parameters());
  }
};

std::vector<torch::Tensor> values(const Problem& problem) {
  std::vector<torch::Tensor> copies;
  for (const auto& parameter : problem.net->parameters()) copies.push_back(parameter.detach().clone());
  return copies;
}

}  // namespace

TEST_CASE("a replay that does what an eager step does counts as that step") {
  torch::manual_seed(1);
  Problem a;
  torch::manual_seed(1);
  Problem b;
  fg::AdamW adam_a(a.net->parameters(), {}), adam_b(b.net->parameters(), {});
  auto step_a = a.step_with(adam_a), step_b = b.step_with(adam_b);
  torch::manual_seed(2);
  for (int i = 0; i < 5; ++i) step_a();
  torch::manual_seed(2);
  step_b();
  const auto tape = b.record(step_b);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(fg::verify(tape, b.state(), step_b).has_value());
  const auto expected = values(a), result = values(b);
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(expected[i].equal(result[i]));
}

TEST_CASE("a number on the host that changes from step to step is found and named") {
  torch::manual_seed(1);
  Problem a;
  torch::manual_seed(1);
  Problem b;
  torch::optim::AdamW adam_a(a.net->parameters()), adam_b(b.net->parameters());
  auto step_a = a.step_with(adam_a), step_b = b.step_with(adam_b);
  torch::manual_seed(2);
  for (int i = 0; i < 4; ++i) step_a();
  torch::manual_seed(2);
  step_b();
  const auto tape = b.record(step_b);
  for (int i = 0; i < 2; ++i) {
    const auto difference = fg::verify(tape, b.state(), step_b);
    REQUIRE(difference.has_value());
    CHECK(difference->tensor == "0.weight");
    CHECK(difference->operator_name == "aten::div.Tensor");
    CHECK_THAT(difference->message(), ContainsSubstring("was recorded with other = "));
  }
  // The training went on eagerly.
  const auto expected = values(a), result = values(b);
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(expected[i].equal(result[i]));
}

TEST_CASE("state that was made while the step was recorded is found") {
  Problem problem;
  fg::AdamW fresh(problem.net->parameters(), {});
  auto step = problem.step_with(fresh);
  const auto tape = problem.record(step);
  CHECK(fg::verify(tape, problem.state(), step).has_value());
}

TEST_CASE("a tensor that is filled on the host is found by the operator that reads it") {
  Problem problem;
  float factor = 1.0f;
  auto step = [&] {
    problem.net->zero_grad();
    factor += 1.0f;
    auto loss = problem.net->forward(problem.x).mul(torch::tensor(std::vector<float>(3, factor))).sum();
    loss.backward();
    return loss;
  };
  const auto tape = problem.record(step);
  const auto difference = fg::verify(tape, problem.state(), step);
  REQUIRE(difference.has_value());
  CHECK(difference->tensor == "the loss");
  CHECK(difference->operator_name == "aten::mul.Tensor");
}

TEST_CASE("a step that takes another way is found") {
  Problem problem;
  int calls = 0;
  auto step = [&] {
    problem.net->zero_grad();
    auto loss = problem.net->forward(problem.x).sum();
    if (++calls == 3) loss = loss.exp();
    loss.backward();
    return loss;
  };
  step();
  const auto tape = problem.record(step);
  const auto difference = fg::verify(tape, problem.state(), step);
  REQUIRE(difference.has_value());
  CHECK(difference->operator_name == "aten::exp");
}

TEST_CASE("a difference is named with the operator that makes it, and what it advises makes none") {
  const auto x = torch::zeros({3}), held = torch::ones({});
  const auto w = torch::ones({3}).requires_grad_();
  auto own = at::detail::createCPUGenerator(3), other = at::detail::createCPUGenerator(4);
  bool now = false;  // recorded before
  const fg::FrozenState state{.tensors = {{"w", w}}, .parameters = {{"w", w}}};
  struct Row {
    std::string tensor, reason;
    std::function<torch::Tensor()> step;
  };
  const Row rows[] = {
      {"the loss", "aten::exp was recorded, and the eager step ended before it",
       [&] { return now ? x.add(1) : x.add(1).exp(); }},
      {"the loss", "the eager step went on with aten::exp", [&] { return now ? x.add(1).exp() : x.add(1); }},
      {"the loss",
       "the eager step called aten::cos where aten::exp was recorded: a step must call the same operators each time",
       [&] { return now ? x.add(1).cos() : x.add(1).exp(); }},
      {"the operators that it calls", "the eager step went on with aten::sin",
       [&] {
         const auto result = x.exp();
         if (now) x.sin();
         return result;
       }},
      {"the gradient of w",
       "aten::fill_.Scalar was recorded with value = 1 and is now called with 2: a number on the host stays what it "
       "was, so keep it in a tensor, or leave this part of the step out of the tape",
       [&] {
         w.mutable_grad().fill_(now ? 2 : 1);
         return x.exp();
       }},
      {"the loss",
       "operator 1, aten::mul.Tensor, gave other values: it reads something that a replay does not compute (a tensor filled on "
       "the host, memory that is written without operators, state that was made while the step was recorded)",
       [&] { return x.add(1).mul(torch::tensor(std::vector<float>(3, now ? 2.0f : 1.0f))); }},
      {"w", "all operators give the same values, so something beside them writes it",
       [&] {
         w.mutable_data_ptr<float>()[0] = now ? 2.0f : 1.0f;
         return x.exp();
       }},
      {"the operators that it calls",
       "aten::normal_ is given another generator (seed 4) than when it was recorded, from which a replay would go on drawing: "
       "keep one generator in the model, and seed it in a hook",
       [&] { return torch::empty({3}).normal_(0, 1, now ? other : own); }},
  };
  for (const Row& row : rows) {
    INFO(row.reason);
    now = false;
    w.mutable_grad() = torch::ones({3});
    const auto tape = fg::Tape::record(row.step, {x}, {w});
    CHECK_FALSE(fg::verify(tape, state, row.step).has_value());
    now = true;
    const auto difference = fg::verify(tape, state, row.step);
    REQUIRE(difference.has_value());
    CHECK(difference->message() ==
          "fulgurite: a replay of the frozen step differs from an eager one in " + row.tensor + ": " + row.reason);
  }
  // The number in a tensor, and one generator.
  const auto advised = [&] {
    w.mutable_grad().mul_(held);
    return torch::empty({3}).normal_(0, 1, own).mul(held);
  };
  const auto tape = fg::Tape::record(advised, {x, held}, {w});
  for (const double number : {1.0, 2.0, 3.0}) {
    held.fill_(number);
    own.set_current_seed(static_cast<std::uint64_t>(number));
    CHECK_FALSE(fg::verify(tape, state, advised).has_value());
  }
}

TEST_CASE("a listing names the generator of an operator") {
  const auto x = torch::zeros({3});
  auto own = at::detail::createCPUGenerator(3);
  const auto tape = fg::Tape::record([&] { return torch::empty_like(x).normal_(0, 1, own); }, {x});
  std::ostringstream out, generator;
  out << tape;
  generator << "generator at " << static_cast<const void*>(own.unsafeGetGeneratorImpl());
  CHECK_THAT(out.str(), ContainsSubstring(generator.str()));
}

TEST_CASE("a random generator that is left elsewhere is a difference") {
  const auto x = torch::zeros({3});
  int calls = 0;
  auto step = [&] {
    if (++calls > 1) torch::manual_seed(static_cast<std::uint64_t>(calls));
    return x.add(1);
  };
  const auto tape = fg::Tape::record(step, {x});
  const auto difference = fg::verify(tape, {}, step);
  REQUIRE(difference.has_value());
  CHECK(difference->tensor == "the state of the random generator");
  CHECK(difference->operator_name.empty());
}
