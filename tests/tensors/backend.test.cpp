// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/backend.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/fulgurite.hpp>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/line.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {
using support::batches;

/// A line whose loss each test may bend.
struct Line : support::Line {
  std::function<torch::Tensor(torch::Tensor)> bend = [](torch::Tensor loss) { return loss.mean(); };
  torch::ScalarType seen = torch::kFloat;

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    auto out = line->forward(batch.data);
    seen = out.scalar_type();
    return bend((out - batch.target).pow(2));
  }
  void validation_step(const fg::Example&, auto& step) { step.log("noise", torch::rand({1})); }
};

bool autocasts() { return at::autocast::is_autocast_enabled(at::kCPU); }

/// By hand: which parts run under autocast.
struct ByHand : Line {
  bool forward = false, backward = true, step = true;

  void training_step(const fg::Example& batch, auto& tools) {
    auto optimizer = tools.optimizers();
    auto loss = Line::training_step(batch, tools);
    forward = autocasts();
    tools.manual_backward(loss);
    optimizer.step();
  }
  void on_before_backward(const auto&, auto&) { backward = autocasts(); }
  void on_before_optimizer_step(auto&, auto&) { step = autocasts(); }
};

std::vector<torch::Tensor> copy_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> copies;
  for (const auto& tensor : tensors) copies.push_back(tensor.detach().clone());
  return copies;
}
}  // namespace

TEST_CASE("a loss that is undefined or not a scalar is refused by what it is") {
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.bend = [](torch::Tensor loss) { return loss; };
  CHECK_THROWS_WITH(
      trainer.fit(batches()),
      "fulgurite: training_step returned a loss of shape [4, 1], which is not a scalar: return its mean() or sum()");
  model.bend = [](torch::Tensor) { return torch::Tensor(); };
  CHECK_THROWS_WITH(trainer.fit(batches()), "fulgurite: training_step returned an undefined tensor: return the loss");
  model.bend = [](torch::Tensor loss) { return loss.sum(); };
  trainer.fit(batches());
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("a loss without gradient is refused") {
  Line model;
  model.bend = [](torch::Tensor loss) { return loss.mean().detach(); };
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(
      trainer.fit(batches()),
      "fulgurite: training_step returned a loss without gradient: no parameter that requires one takes part in it, or it "
      "was detached, or computed within a torch::NoGradGuard");
}

TEST_CASE("a batch on another device than the model is refused") {
  Line model;
  fg::Trainer trainer{model};
  std::vector<fg::Example> elsewhere{{torch::empty({4, 2}, torch::kMeta), torch::empty({4, 1}, torch::kMeta)}};
  CHECK_THROWS_WITH(trainer.fit(elsewhere),
                    "fulgurite: a batch has a tensor on meta, but the trainer's device is cpu: move the batch, or name its "
                    "device among the trainer's policies (fg::Cuda<0>)");
}

TEST_CASE("a GPU that is not there is refused before anything is changed") {
  Line model;
  const auto devices = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  CHECK_THROWS_WITH((fg::Trainer{model, fg::Cuda<100>{}}),
                    "fulgurite: the trainer's device is cuda:100, and this machine has " + std::to_string(devices) +
                        " CUDA device(s) that LibTorch can use: use fg::Cpu" + (devices > 0 ? ", or a lower index" : "") +
                        ", or a LibTorch with CUDA on a machine with a GPU");
  fg::Trainer{model, fg::Cpu{}};
}

TEST_CASE("a non-finite loss stops before a parameter is changed, and names the gradient") {
  Line model;
  int batch = 0;
  model.bend = [&](torch::Tensor loss) { return batch++ == 1 ? loss.mean() * std::numeric_limits<float>::infinity() : loss.mean(); };
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  const auto data = batches();
  loop.step(data[0]);
  const auto before = copy_of(model.parameters());
  try {
    loop.step(data[1]);
    FAIL("the loss was infinite");
  } catch (const fg::NonFiniteLoss& error) {
    CHECK(error.epoch() == 0);
    CHECK(error.batch() == 1);
    CHECK(error.gradient() == "line.weight");
  }
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].equal(model.parameters()[i]));
  CHECK(trainer.progress().global_step == 1);
}

TEST_CASE("precision policies convert parameters, and batches with them") {
  Line model;
  fg::Trainer trainer{model, fg::Float64{}, fg::MaxEpochs{1}};
  trainer.fit(batches());
  CHECK(model.line->weight.scalar_type() == torch::kDouble);
  CHECK(model.seen == torch::kDouble);

  Line half;
  fg::Trainer bfloat16{half, fg::Bfloat16True{}, fg::MaxEpochs{1}};
  bfloat16.fit(batches());
  CHECK(half.line->weight.scalar_type() == torch::kBFloat16);
}

TEST_CASE("Bfloat16Mixed casts the forward pass and leaves parameters alone") {
  Line model;
  fg::Trainer trainer{model, fg::Bfloat16Mixed{}, fg::MaxEpochs{1}};
  trainer.fit(batches());
  CHECK(model.seen == torch::kBFloat16);
  CHECK(model.line->weight.scalar_type() == torch::kFloat);
  CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST_CASE("by hand, too, autocast covers the forward pass only") {
  ByHand model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::Float16Mixed{.initial_scale = 16.0}, fg::MaxEpochs{1}};
  trainer.fit(batches());
  CHECK(model.seen == torch::kHalf);
  CHECK(model.forward);
  CHECK_FALSE(model.backward);
  CHECK_FALSE(model.step);
}

TEST_CASE("validation changes neither gradients nor the random stream of training") {
  const auto run = [](bool validate) {
    Line model;
    {
      torch::NoGradGuard no_grad;
      model.line->weight.fill_(0.5);
      model.line->bias.fill_(0.0);
    }
    torch::manual_seed(4);
    const auto data = batches();
    model.bend = [](torch::Tensor loss) { return torch::dropout(loss, 0.5, true).mean(); };
    fg::Trainer trainer{model, fg::MaxEpochs{3}};
    validate ? trainer.fit(data, data) : trainer.fit(data);
    return model.line->weight.detach().clone();
  };
  CHECK(run(true).equal(run(false)));
}

TEST_CASE("validation leaves every module in the mode in which it was") {
  struct Mixed : Line {
    nn::Dropout frozen = register_module("frozen", nn::Dropout());
  } model;
  model.frozen->eval();
  fg::Trainer trainer{model};
  trainer.validate(batches());
  CHECK(model.is_training());
  CHECK(model.line->is_training());
  CHECK_FALSE(model.frozen->is_training());
}
