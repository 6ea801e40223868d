// SPDX-License-Identifier: MIT
// How the model suite compares, and that it can fail.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frozen/support.hpp"

namespace fg = fulgurite;
using namespace frozen_tests;

namespace {

struct AnyOptimizer {
  virtual ~AnyOptimizer() = default;
  virtual void zero_grad() = 0;
  virtual void clip() = 0;
  virtual void step() = 0;
};

template <class Optimizer>
struct Erased : AnyOptimizer {
  Optimizer optimizer;
  explicit Erased(Optimizer made) : optimizer(std::move(made)) {}
  void zero_grad() override { optimizer.zero_grad(); }
  void clip() override {
    if constexpr (requires { optimizer.gradients(); }) optimizer.gradients().clip_norm(0.5);
  }
  void step() override { optimizer.step(); }
};

using Parameters = std::vector<Tensor>;

/// Muon takes the matrices, AdamW the rest, as its paper has it.
struct MuonAndAdamW : AnyOptimizer {
  std::unique_ptr<fg::Muon> matrices;
  std::unique_ptr<fg::AdamW> others;

  explicit MuonAndAdamW(const Parameters& parameters) {
    Parameters two, other;
    for (const Tensor& parameter : parameters) (parameter.dim() == 2 ? two : other).push_back(parameter);
    if (!two.empty()) matrices = std::make_unique<fg::Muon>(two, fg::MuonOptions{.lr = 0.01});
    if (!other.empty()) others = std::make_unique<fg::AdamW>(other, fg::AdamWOptions{.lr = 0.01});
  }
  void zero_grad() override {
    if (matrices) matrices->zero_grad();
    if (others) others->zero_grad();
  }
  void clip() override {}
  void step() override {
    if (matrices) matrices->step();
    if (others) others->step();
  }
};

struct Way {
  std::string name;
  bool on_tape;
  std::function<std::unique_ptr<AnyOptimizer>(const Parameters&)> make;
};

template <class Optimizer, class... Arguments>
Way way(std::string name, bool on_tape, Arguments... arguments) {
  return {std::move(name), on_tape, [=](const Parameters& parameters) -> std::unique_ptr<AnyOptimizer> {
            return std::make_unique<Erased<Optimizer>>(Optimizer(parameters, arguments...));
          }};
}

const std::vector<Way>& ways() {
  constexpr bool on_tape = true;
  constexpr bool after = false;
  static const std::vector<Way> all{
      way<fg::SGD>("SGD", on_tape, fg::SGDOptions{.lr = 0.05, .momentum = 0.9}),
      way<fg::SGD>("SGD, contiguous", on_tape, fg::SGDOptions{.lr = 0.05}, fg::Contiguous{}),
      way<fg::Adam>("Adam", on_tape, fg::AdamOptions{.lr = 0.01, .amsgrad = true}),
      way<fg::Adam>("Adam, contiguous", on_tape, fg::AdamOptions{.lr = 0.01}, fg::Contiguous{}),
      way<fg::AdamW>("AdamW", on_tape, fg::AdamWOptions{.lr = 0.01}),
      way<fg::AdamW>("AdamW, contiguous", on_tape, fg::AdamWOptions{.lr = 0.01}, fg::Contiguous{}),
      way<fg::Adagrad>("Adagrad", on_tape, fg::AdagradOptions{.lr = 0.05}),
      way<fg::Adagrad>("Adagrad, contiguous", on_tape, fg::AdagradOptions{.lr = 0.05}, fg::Contiguous{}),
      way<fg::Adadelta>("Adadelta", after, fg::AdadeltaOptions{}),
      way<fg::Adamax>("Adamax", after, fg::AdamaxOptions{}),
      way<fg::ASGD>("ASGD", after, fg::ASGDOptions{}),
      way<fg::Lion>("Lion", after, fg::LionOptions{}),
      way<fg::NAdam>("NAdam", after, fg::NAdamOptions{}),
      way<fg::RAdam>("RAdam", after, fg::RAdamOptions{}),
      way<fg::RMSprop>("RMSprop", after, fg::RMSpropOptions{}),
      way<fg::Rprop>("Rprop", after, fg::RpropOptions{}),
      way<fg::Adafactor>("Adafactor", after, fg::AdafactorOptions{}),
      {"Muon and AdamW", after, [](const Parameters& parameters) { return std::make_unique<MuonAndAdamW>(parameters); }},
      way<torch::optim::SGD>("torch::optim::SGD", after, torch::optim::SGDOptions(0.05).momentum(0.9)),
      way<torch::optim::AdamW>("torch::optim::AdamW", after, torch::optim::AdamWOptions(0.01)),
  };
  return all;
}

struct Trace {
  std::vector<Tensor> after_each;  // loss, gradients, parameters, buffers
  std::size_t replayed = 0;
};

void note(Trace& trace, const Tensor& loss, const nn::Module& module) {
  trace.after_each.push_back(loss.detach().clone());
  for (const Tensor& parameter : module.parameters()) {
    trace.after_each.push_back(parameter.detach().clone());
    trace.after_each.push_back(parameter.grad().defined() ? parameter.grad().clone() : Tensor());
  }
  for (const Tensor& buffer : module.buffers()) trace.after_each.push_back(buffer.clone());
}

constexpr int steps = 50;

Trace run(const std::function<Model()>& make, const Way& with, bool frozen) {
  torch::manual_seed(3);
  Model model = make();
  const auto optimizer = with.make(model.module->parameters());
  std::vector<Batch> batches;
  for (int i = 0; i < 5; ++i) batches.push_back(model.batch());
  Batch fixed;
  for (const Tensor& tensor : batches[0]) fixed.push_back(tensor.clone());
  const auto to_record = [&] {
    optimizer->zero_grad();
    Tensor loss = model.loss(fixed);
    loss.backward();
    optimizer->clip();
    if (with.on_tape) optimizer->step();
    return loss;
  };
  Trace trace;
  std::unique_ptr<fg::Tape> tape;
  torch::manual_seed(11);
  for (int i = 0; i < steps; ++i) {
    for (std::size_t k = 0; k < fixed.size(); ++k) fixed[k].copy_(batches[static_cast<std::size_t>(i) % 5][k]);
    Tensor loss;
    if (!frozen || i < 2) {
      loss = to_record();
    } else if (i == 2) {
      tape = std::make_unique<fg::Tape>(fg::Tape::record(to_record, fixed, model.module->parameters()));
      loss = tape->result();
    } else {
      tape->replay();
      loss = tape->result();
      ++trace.replayed;
    }
    if (!with.on_tape) optimizer->step();
    note(trace, loss, *model.module);
  }
  return trace;
}

}  // namespace

bool frozen_tests::same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const Tensor first = a.contiguous(), second = b.contiguous();
  return first.nbytes() == 0 || std::memcmp(first.const_data_ptr(), second.const_data_ptr(), first.nbytes()) == 0;
}

void frozen_tests::frozen_equals_eager(const std::function<Model()>& make) {
  for (const Way& with : ways()) {
    INFO(with.name);
    const Trace eager = run(make, with, false);
    const Trace frozen = run(make, with, true);
    CHECK(frozen.replayed == steps - 3);
    REQUIRE(frozen.after_each.size() == eager.after_each.size());
    std::size_t first = 0;
    while (first < eager.after_each.size() && same_bits(eager.after_each[first], frozen.after_each[first])) ++first;
    const std::size_t a_step = eager.after_each.size() / steps;
    INFO("differs in step " << first / a_step << ", tensor " << first % a_step << " of " << a_step);
    CHECK(first == eager.after_each.size());
    const auto first_parameter = [&](std::size_t step) { return eager.after_each[step * a_step + 1]; };
    CHECK_FALSE(same_bits(first_parameter(0), first_parameter(steps - 1)));  // it trains
  }
}

TEST_CASE("the comparison of the model suite sees one bit") {
  const auto a = torch::tensor({1.0f, 0.0f});
  CHECK(same_bits(a, a.clone()));
  CHECK_FALSE(same_bits(a, torch::tensor({1.0f, -0.0f})));
  CHECK(same_bits(torch::full({2}, NAN), torch::full({2}, NAN)));
  CHECK_FALSE(same_bits(a, Tensor()));
}
