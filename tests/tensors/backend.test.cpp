// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/backend.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/line.hpp"
#include "support/notices.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {
using support::batches;
using Catch::Matchers::StartsWith;

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
  if (devices == 0) {
    CHECK_THROWS_WITH((fg::Trainer{model, fg::Cuda<0>{}}), StartsWith("fulgurite: the trainer's device is cuda:0, and this"));
  }
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

namespace {
using Backend = fg::TensorBackend<fg::ModelPrecision>;
using Double = fg::TensorBackend<fg::Float64>;

constexpr fg::DevicePlace host = fg::Cpu{}.place();
using Tensors = std::vector<torch::Tensor>;

struct Toy {
  Tensors all;
  void for_each_parameter(const auto& f) {
    for (const auto& tensor : all) f(tensor);
  }
};
}  // namespace

TEST_CASE("buffers are converted with the parameters, and tensors without a value on the host are refused") {
  nn::BatchNorm1d norm(2);
  Double(host, {}).prepare(*norm);
  CHECK(norm->running_mean.scalar_type() == torch::kDouble);
  CHECK(norm->num_batches_tracked.scalar_type() == torch::kLong);
  nn::Module without_values;
  without_values.register_parameter("weight", torch::empty({2}, torch::kMeta));
  CHECK_THROWS_AS(Backend(host, {}).prepare(without_values), c10::Error);
}

TEST_CASE("undefined tensors of a batch stay so, converted or not") {
  const Tensors batch{torch::Tensor(), torch::ones({2})};
  CHECK_FALSE(Backend(host, {}).take(batch)[0].defined());
  const Tensors converted = Double(host, {}).take(batch);
  CHECK_FALSE(converted[0].defined());
  CHECK(converted[1].scalar_type() == torch::kDouble);
}

TEST_CASE("the size of a batch is the first size of its first tensor, and 1 if that has none") {
  const Backend backend(host, {});
  CHECK(backend.batch_size(Tensors{torch::ones({4, 2}), torch::ones({3})}) == 4.0);
  CHECK(backend.batch_size(Tensors{torch::ones({1}), torch::ones({3})}) == 1.0);
  CHECK(backend.batch_size(Tensors{torch::ones({0}), torch::ones({3})}) == 0.0);
  CHECK(backend.batch_size(Tensors{torch::tensor(2.0), torch::ones({3})}) == 1.0);
  CHECK(backend.batch_size(Tensors{torch::Tensor(), torch::ones({3})}) == 1.0);
  CHECK(backend.batch_size(Tensors{}) == 1.0);
}

TEST_CASE("the first gradient that is not finite is found behind finite ones and parameters without one") {
  const Backend backend(host, {});
  nn::Linear line(2, 1), last(1, 1);
  const nn::Sequential model{line, last};
  CHECK(backend.first_non_finite_gradient(*model).empty());
  line->bias.mutable_grad() = torch::ones({1});
  last->weight.mutable_grad() = torch::full({1, 1}, std::numeric_limits<float>::quiet_NaN());
  CHECK(backend.first_non_finite_gradient(*model) == "1.weight");
}

TEST_CASE("an optimizer steps on the same gradient again if that of its first parameter with one is still there") {
  Backend backend(host, {});
  Toy optimizer{{torch::ones({1}), torch::ones({1}), torch::ones({1})}};
  CHECK_FALSE(backend.has_same_gradient(0, optimizer));
  const auto set = [&](std::size_t index) { optimizer.all[index].mutable_grad() = torch::ones({1}); };
  set(1);
  set(2);
  CHECK_FALSE(backend.has_same_gradient(0, optimizer));
  backend.note_gradient(0, optimizer);
  CHECK(backend.has_same_gradient(0, optimizer));
  CHECK_FALSE(backend.has_same_gradient(1, optimizer));
  set(2);
  CHECK(backend.has_same_gradient(0, optimizer));
  const auto kept = optimizer.all[1].grad();
  const auto without = [&] {
    for (auto& tensor : optimizer.all) tensor.mutable_grad() = torch::Tensor();
  };
  without();
  backend.note_gradient(0, optimizer);  // a step on nothing
  optimizer.all[1].mutable_grad() = kept;
  CHECK(backend.has_same_gradient(0, optimizer));
  set(1);
  backend.note_gradient(0, optimizer);
  without();  // frees the gradient that was noted
  CHECK_FALSE(backend.has_same_gradient(0, optimizer));
}

TEST_CASE("losses of other formats, shapes, devices and divisors get gradients of their own") {
  Backend backend(host, {});
  const auto differentiate = [&](torch::TensorOptions options, const std::vector<std::int64_t>& shape, double divisor) {
    const auto weight = torch::ones(shape, options).set_requires_grad(true);
    backend.backward(weight * 1, divisor);
    return weight.grad();
  };
  for (int round = 0; round < 2; ++round) {
    CHECK(differentiate(torch::kFloat, {}, 3.0).item<float>() == 1.0f / 3.0f);
    CHECK(differentiate(torch::kDouble, {}, 3.0).item<double>() == 1.0 / 3.0);
    CHECK(differentiate(torch::kFloat, {1}, 3.0).item<float>() == 1.0f / 3.0f);
    CHECK(differentiate(torch::kFloat, {}, 2.0).item<float>() == 0.5f);
    CHECK(differentiate(torch::kMeta, {}, 3.0).is_meta());
    for (int divisor = 4; divisor < 40; ++divisor) {
      CHECK(differentiate(torch::kDouble, {}, divisor).item<double>() == 1.0 / divisor);
    }
  }
}

TEST_CASE("an error names the first eight tensors of a batch, and how many there are more") {
  const auto said = [](const Tensors& batch) {
    try {
      Backend::in_context(batch, [] { return std::string("here"); }, [] { TORCH_CHECK(false, "wrong"); });
    } catch (const c10::Error& error) {
      return error.context().empty() ? std::string() : error.context().front();
    }
    return std::string();
  };
  const auto tensors = [](std::size_t count) { return Tensors(count, torch::ones({3})); };
  std::string eight = "Float [3]";
  for (int i = 1; i < 8; ++i) eight += ", Float [3]";
  CHECK(said({}) == "fulgurite: here");
  CHECK(said(tensors(1)) == "fulgurite: here (the batch holds Float [3])");
  CHECK(said(tensors(8)) == "fulgurite: here (the batch holds " + eight + ")");
  CHECK(said(tensors(9)) == "fulgurite: here (the batch holds " + eight + ", and 1 more)");
}

TEST_CASE("only parameters that an optimizer trains, or should train, are missed") {
  const support::Notices notices;
  Backend backend(host, {});
  nn::Linear line(2, 1), untrained(1, 1), frozen(1, 1);
  nn::Sequential model{line, untrained};
  Toy optimizer{line->parameters()};
  const auto tells = [&](const auto& f) {
    optimizer.for_each_parameter(f);
    return true;
  };
  backend.note_parameters(*model, tells);
  backend.require_same_parameters(*model, tells);
  frozen->weight.set_requires_grad(false);
  frozen->bias.set_requires_grad(false);
  model->push_back(frozen);
  backend.require_same_parameters(*model, tells);
  const nn::Sequential without{line};
  backend.require_same_parameters(*without, tells);
  CHECK(notices.all.empty());
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
