// SPDX-License-Identifier: MIT
#include <torch/torch.h>

#include <c10/core/CPUAllocator.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

struct Problem {
  nn::Sequential net{nn::Linear(6, 16), nn::ReLU(), nn::Linear(16, 3)};
  std::vector<torch::Tensor> parameters = net->parameters();

  torch::Tensor backward(const torch::Tensor& x, const torch::Tensor& y) {
    auto loss = nn::functional::cross_entropy(net->forward(x), y);
    loss.backward();
    return loss;
  }
};

struct Twins {
  Problem eager, frozen;
  Twins() {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < eager.parameters.size(); ++i) frozen.parameters[i].copy_(eager.parameters[i]);
  }
  void check_same() const {
    for (std::size_t i = 0; i < eager.parameters.size(); ++i) {
      CHECK(eager.parameters[i].equal(frozen.parameters[i]));
      REQUIRE(eager.parameters[i].grad().defined() == frozen.parameters[i].grad().defined());
      if (eager.parameters[i].grad().defined()) CHECK(eager.parameters[i].grad().equal(frozen.parameters[i].grad()));
    }
  }
};

/// Counts the tensor memory that is asked for.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    ++count;
    return inner_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
  std::size_t count = 0;

 private:
  c10::Allocator* inner_ = c10::GetDefaultCPUAllocator();
};

}  // namespace

TEST_CASE("a replay sees the batch that was copied into the inputs") {
  const auto x = torch::zeros({3});
  const auto tape = fg::Tape::record([&] { return x.mul(2).add(1); }, {x});
  x.copy_(torch::tensor({1.0f, 2.0f, 3.0f}));
  tape.replay();
  CHECK(tape.result().equal(torch::tensor({3.0f, 5.0f, 7.0f})));
}

TEST_CASE("views and allocations are not operators of a tape, and constants are made once") {
  const auto x = torch::ones({2, 3});
  const auto tape = fg::Tape::record([&] { return x.t().select(0, 1).unsqueeze(0).matmul(torch::ones({2, 2})); }, {x});
  CHECK(tape.size() == 1);
  CHECK(tape.views() >= 3);
  tape.replay();
  CHECK(tape.result().equal(torch::full({1, 2}, 2.0f)));
}

TEST_CASE("a tape lists its operators") {
  const auto x = torch::ones({2, 3});
  const auto tape = fg::Tape::record([&] { return x.matmul(x.t()).exp(); }, {x});
  std::ostringstream out;
  out << tape;
  CHECK_THAT(out.str(), StartsWith("tape of 2 operators (recorded 2 and 1 views), short-lived tensors in 16 of 16 bytes\n") &&
                            ContainsSubstring("aten::mm.out Float[2, 3]"));
  std::vector<std::string> names;
  tape.replay([&](std::size_t i) { names.push_back(tape.operator_name(i)); });
  CHECK(names == std::vector<std::string>{"aten::mm.out", "aten::exp.out"});
}

TEST_CASE("a gradient that autograd would zero and add to is written in place") {
  Twins twins;
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  fg::SGD eager(twins.eager.parameters, {.lr = 0.1}, fg::Contiguous{});
  fg::SGD frozen(twins.frozen.parameters, {.lr = 0.1}, fg::Contiguous{});
  frozen.zero_grad();
  const auto tape = fg::Tape::record(
      [&] {
        frozen.zero_grad();
        twins.frozen.backward(x, y);
      },
      {x, y}, twins.frozen.parameters);
  std::ostringstream out;
  out << tape;
  CHECK_THAT(out.str(),
             ContainsSubstring("  0 + gradient") && !ContainsSubstring("aten::zero_") && !ContainsSubstring("aten::add_"));
  for (int i = 0; i < 5; ++i) {
    x.copy_(torch::randn({5, 6}));
    eager.zero_grad();
    twins.eager.backward(x, y);
    tape.replay();
    twins.check_same();
    eager.step();
    frozen.step();
  }
}

TEST_CASE("a window of two batches takes a tape for each place") {
  const bool contiguous = GENERATE_COPY(false, true);
  Twins twins;
  const auto make = [&](Problem& problem) {
    return contiguous ? fg::AdamW(problem.parameters, {}, fg::Contiguous{}) : fg::AdamW(problem.parameters, {});
  };
  auto eager = make(twins.eager), frozen = make(twins.frozen);
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  const auto small_x = torch::randn({2, 6}), small_y = torch::randint(3, {2});
  std::vector<fg::Tape> first, second;  // of the window; for large and for small batches
  const auto begin = [&](const torch::Tensor& a, const torch::Tensor& b) {
    return [&, a, b] {
      frozen.zero_grad();
      twins.frozen.backward(a, b);
    };
  };
  const auto go_on = [&](const torch::Tensor& a, const torch::Tensor& b) {
    return [&, a, b] { twins.frozen.backward(a, b); };
  };
  const auto eager_window = [&](bool small_first, bool small_second) {
    eager.zero_grad();
    twins.eager.backward(small_first ? small_x : x, small_first ? small_y : y);
    twins.eager.backward(small_second ? small_x : x, small_second ? small_y : y);
  };
  const auto end = [&] {
    twins.check_same();
    eager.step();
    frozen.step();
  };
  // Recorded in two windows: large, small; then small, large.
  eager_window(false, true);
  first.push_back(fg::Tape::record(begin(x, y), {x, y}, twins.frozen.parameters));
  second.push_back(fg::Tape::record(go_on(small_x, small_y), {small_x, small_y}, twins.frozen.parameters));
  end();
  eager_window(true, false);
  first.push_back(fg::Tape::record(begin(small_x, small_y), {small_x, small_y}, twins.frozen.parameters));
  second.push_back(fg::Tape::record(go_on(x, y), {x, y}, twins.frozen.parameters));
  end();
  for (int i = 0; i < 8; ++i) {
    x.copy_(torch::randn({5, 6}));
    small_x.copy_(torch::randn({2, 6}));
    const bool small_first = i % 2 == 1, small_second = i % 4 >= 2;
    eager_window(small_first, small_second);
    first[small_first ? 1 : 0].replay();
    second[small_second ? 0 : 1].replay();
    end();
  }
}

TEST_CASE("a tape that adds to gradients takes forgotten ones for 0") {
  Problem problem;
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  problem.backward(x, y);
  const auto expected = problem.parameters[0].grad().clone();
  const auto tape = fg::Tape::record([&] { problem.backward(x, y); }, {x, y}, problem.parameters);
  for (auto& parameter : problem.parameters) parameter.mutable_grad().reset();
  tape.replay();
  CHECK(problem.parameters[0].grad().equal(expected));
}

TEST_CASE("gradients are where the recorded step left them, and a parameter without one stays without") {
  Problem problem;
  auto idle = torch::ones({2}).requires_grad_();
  auto parameters = problem.parameters;
  parameters.push_back(idle);
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  const auto tape = fg::Tape::record([&] { problem.backward(x, y); }, {x, y}, parameters);
  const void* address = problem.parameters[0].grad().data_ptr();
  for (auto& parameter : problem.parameters) parameter.mutable_grad().reset();
  idle.mutable_grad() = torch::ones({2});
  tape.replay();
  CHECK(problem.parameters[0].grad().data_ptr() == address);
  CHECK_FALSE(idle.grad().defined());
}

TEST_CASE("a gradient that the step leaves alone stays, whichever it is") {
  Problem problem;
  auto idle = torch::ones({2}).requires_grad_();
  idle.mutable_grad() = torch::ones({2});
  auto parameters = problem.parameters;
  parameters.push_back(idle);
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  const auto tape = fg::Tape::record([&] { problem.backward(x, y); }, {x, y}, parameters);
  const auto other = torch::full({2}, 2.0f);
  idle.mutable_grad() = other;
  tape.replay();
  CHECK(idle.grad().is_same(other));
  CHECK(other.equal(torch::full({2}, 2.0f)));
  idle.mutable_grad().reset();
  tape.replay();
  CHECK_FALSE(idle.grad().defined());
}

TEST_CASE("tensors that the step keeps stay its own, short-lived ones share memory") {
  const auto x = torch::rand({64});
  torch::Tensor kept;
  const auto tape = fg::Tape::record(
      [&] {
        kept = x.mul(3);
        return x.exp().add(1).sin().cos().tanh().sum();
      },
      {x});
  CHECK(tape.bytes_before() == 5 * 64 * sizeof(float));
  CHECK(tape.shared_bytes() == 2 * 64 * sizeof(float));
  x.fill_(2);
  tape.replay();
  CHECK(kept.equal(torch::full({64}, 6.0f)));
  CHECK(tape.result().equal(x.exp().add(1).sin().cos().tanh().sum()));
}

TEST_CASE("a steady replay of a network asks for no tensor memory") {
  torch::set_num_threads(1);
  Problem problem;
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  fg::AdamW adam(problem.parameters, {}, fg::Contiguous{});
  const auto step = [&] {
    adam.zero_grad();
    problem.backward(x, y);
    adam.gradients().clip_norm(1.0);
    adam.step();
  };
  step();
  const auto tape = fg::Tape::record(step, {x, y}, problem.parameters);
  tape.replay();
  CountingAllocator counting;
  c10::Allocator* usual = c10::GetCPUAllocator();
  c10::SetCPUAllocator(&counting, 1);
  step();
  const std::size_t eager = counting.count;
  counting.count = 0;
  tape.replay();
  const std::size_t frozen = counting.count;
  c10::SetCPUAllocator(usual, 1);
  CHECK(eager > 20);  // the counter counts
  CHECK(frozen == 0);
}

TEST_CASE("frequent operators on plain tensors are called without boxing") {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::mm", "out");
  const auto plain = torch::randn({2, 2});
  const auto parameter = torch::randn({2, 2}, torch::requires_grad());
  CHECK(fg::detail::typed_call(op.schema(), {plain, parameter, torch::empty({2, 2})}) != nullptr);
  CHECK(fg::detail::typed_call(op.schema(), {plain, plain.to_sparse(), torch::empty({2, 2})}) == nullptr);
}

TEST_CASE("frequent operators that make their results are called without boxing") {
  const auto typed = [](const char* name, std::vector<c10::IValue> arguments, std::vector<c10::IValue> places) {
    const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
    return fg::detail::typed_copying_call(op.schema(), arguments,
                                          fg::detail::ResultPlaces(places, [](const at::Tensor&) { return false; }));
  };
  const auto x = torch::randn({2, 4}), weight = torch::randn({4});
  const auto [y, mean, deviation] = torch::native_layer_norm(x, {4}, weight, {}, 1e-5);
  const auto place = torch::empty_like(y);
  const std::vector<std::int64_t> shape{4};
  const auto call =
      typed("aten::native_layer_norm", {x, shape, weight, {}, 1e-5}, {place, {}, torch::empty_like(deviation)});
  REQUIRE(call != nullptr);
  call->run();
  CHECK(place.equal(y));
  CHECK(typed("aten::native_layer_norm", {x.to_sparse(), shape, weight, {}, 1e-5}, {place, {}, {}}) == nullptr);
  CHECK(typed("aten::exp", {x}, {torch::empty_like(x)}) == nullptr);
}

TEST_CASE("a stack that is only copied elsewhere is made there") {
  const auto a = torch::randn({2, 3, 4}), b = torch::randn({2, 3, 4});
  torch::Tensor kept;
  for (const bool keep : {false, true}) {
    const auto tape = fg::Tape::record(
        [&] {
          const auto stacked = torch::stack({a.exp(), b.exp()});
          if (keep) kept = stacked;
          return stacked.permute({1, 2, 0, 3}).reshape({6, 8}).exp();
        },
        {a, b});
    CHECK(tape.size() == (keep ? 5 : 4));
    a.copy_(torch::randn({2, 3, 4}));
    b.copy_(torch::randn({2, 3, 4}));
    tape.replay();
    const auto stacked = torch::stack({a.exp(), b.exp()});
    CHECK(tape.result().equal(stacked.permute({1, 2, 0, 3}).reshape({6, 8}).exp()));
    if (keep) CHECK(kept.equal(stacked));
  }
}

TEST_CASE("a stack that two read, or that is copied as something else, stays") {
  const auto a = torch::randn({2, 6});
  const auto twice = fg::Tape::record(
      [&] {
        const auto stacked = torch::stack({a.exp(), a.neg()});
        return stacked.transpose(0, 1).reshape({4, 6}).sum() + stacked.sum();
      },
      {a});
  const auto halves = fg::Tape::record(
      [&] { return torch::stack({a.exp(), a.neg()}).view({2, 2, 2, 3}).permute({2, 0, 1, 3}).reshape({4, 6}).exp(); }, {a});
  a.copy_(torch::randn({2, 6}));
  twice.replay();
  halves.replay();
  const auto stacked = torch::stack({a.exp(), a.neg()});
  CHECK(twice.result().equal(stacked.transpose(0, 1).reshape({4, 6}).sum() + stacked.sum()));
  CHECK(halves.result().equal(stacked.view({2, 2, 2, 3}).permute({2, 0, 1, 3}).reshape({4, 6}).exp()));
}

TEST_CASE("the learning rate of a recorded optimizer is read when it is replayed") {
  Twins twins;
  const auto x = torch::randn({5, 6}), y = torch::randint(3, {5});
  fg::AdamW eager(twins.eager.parameters, {.lr = 0.1}), frozen(twins.frozen.parameters, {.lr = 0.1});
  const auto step = [&](Problem& problem, fg::AdamW& adam) {
    adam.zero_grad();
    problem.backward(x, y);
    adam.step();
  };
  for (int i = 0; i < 2; ++i) step(twins.eager, eager);
  step(twins.frozen, frozen);
  const auto tape = fg::Tape::record([&] { step(twins.frozen, frozen); }, {x, y}, twins.frozen.parameters);
  for (int i = 0; i < 6; ++i) {
    eager.set_lr(0, 0.1 / (i + 1));
    frozen.set_lr(0, 0.1 / (i + 1));
    step(twins.eager, eager);
    tape.replay();
    twins.check_same();
  }
}

TEST_CASE("an exception in the step leaves nothing recording") {
  const auto x = torch::randn({4});
  CHECK_THROWS_AS(fg::Tape::record([&] { throw std::runtime_error("mine"); }, {x}), std::runtime_error);
  const auto tape = fg::Tape::record([&] { return x.neg(); }, {x});
  CHECK(tape.size() == 1);
  CHECK_THROWS_WITH(fg::Tape::record([&] { tape.replay(); }, {x}),
                    "fulgurite: a tape is replayed within a recorded step: replay it before or after");
  CHECK_THROWS_WITH(fg::Tape::record([&] { fg::Tape::record([] {}, {}); }, {x}),
                    "fulgurite: a step is recorded within a recorded step: record it before or after");
}

TEST_CASE("another thread that computes meanwhile is not recorded") {
  const auto x = torch::randn({4});
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) torch::ones({3}).exp();
  });
  std::size_t sizes = 0;
  for (int i = 0; i < 20; ++i) sizes += fg::Tape::record([&] { return x.neg().exp(); }, {x}).size();
  stop = true;
  other.join();
  CHECK(sizes == 40);
}

TEST_CASE("a tape moves") {
  const auto x = torch::ones({2});
  std::vector<fg::Tape> tapes;
  tapes.push_back(fg::Tape::record([&] { return x.add(1); }, {x}));
  tapes.push_back(fg::Tape::record([&] { return x.add(2); }, {x}));
  x.fill_(5);
  for (const auto& tape : tapes) tape.replay();
  CHECK(tapes[0].result().equal(torch::full({2}, 6.0f)));
  CHECK(tapes[1].result().equal(torch::full({2}, 7.0f)));
}
