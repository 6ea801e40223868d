// SPDX-License-Identifier: MIT
// Trainings that are interrupted: what a run is, and whether two runs are the same to the last bit.
#pragma once

#include <fulgurite/checkpoint.hpp>
#include <fulgurite/data/tensor_batches.hpp>
#include <fulgurite/trainer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"

namespace resume {

namespace fg = fulgurite;

/// A checkpoint of a test's own, gone with it: CTest runs tests side by side.
struct Scratch {
  support::TemporaryFolder folder;
  std::filesystem::path path = folder.path / "run.ckpt";
};

/// Equal to the last bit, nan included.
inline bool same(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() != b.isTensor() || a.isGenericDict() != b.isGenericDict() || a.isList() != b.isList()) return false;
  if (a.isTensor()) {
    const auto &x = a.toTensor(), &y = b.toTensor();
    if (x.defined() != y.defined()) return false;
    return !x.defined() || (x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
                            at::equal(x.reshape(-1).view(at::kByte), y.reshape(-1).view(at::kByte)));
  }
  if (a.isDouble() && b.isDouble()) return std::bit_cast<std::uint64_t>(a.toDouble()) == std::bit_cast<std::uint64_t>(b.toDouble());
  if (a.isGenericDict()) {
    const auto x = a.toGenericDict(), y = b.toGenericDict();
    if (x.size() != y.size()) return false;
    for (const auto& each : x) {
      const auto other = y.find(each.key());
      if (other == y.end() || !same(each.value(), other->value())) return false;
    }
    return true;
  }
  if (a.isList()) {
    const auto x = a.toListRef(), y = b.toListRef();
    bool equal = x.size() == y.size();
    for (std::size_t i = 0; equal && i < x.size(); ++i) equal = same(x[i], y[i]);
    return equal;
  }
  return a == b;
}

/// Trains on a few batches of random numbers, in a loop of the program's own.
template <class Trainer>
void train(Trainer& trainer, int batches, std::int64_t inputs, std::int64_t outputs) {
  auto loop = trainer.loop();
  for (int i = 0; i < batches; ++i) loop.step(fg::Example{torch::randn({3, inputs}), torch::randn({3, outputs})});
}

/// Everything that can be seen of a run that has ended.
template <class Model>
struct Picture {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::vector<c10::IValue> optimizers;  // and the loss scale
  fg::Progress progress;
  std::map<std::string, double> metrics;
  std::vector<double> losses;
  at::Tensor random;

  template <class Trainer>
  explicit Picture(Trainer& trainer) : progress(trainer.progress()), metrics(trainer.metrics().values()) {
    Model& model = trainer.model();
    for (const auto& each : model.named_parameters()) tensors.emplace_back(each.key(), each.value().detach().clone());
    for (const auto& each : model.named_buffers()) tensors.emplace_back(each.key(), each.value().clone());
    auto& engine = fg::detail::EngineAccess::of(trainer);
    engine.for_each_optimizer([&](auto index) {
      fg::CheckpointWriter state;
      // (LibTorch's archive of its own optimizers has addresses in it: what they did to the parameters must do.)
      constexpr bool is_ours = !requires { engine.running(index).optimizer().wrapped(); };
      if constexpr (is_ours) state("optimizer", engine.running(index));
      optimizers.push_back(fg::detail::copied(state.ivalue()));
    });
    if constexpr (requires { trainer.loss_scale(); }) {
      optimizers.push_back(fg::detail::copied(trainer.loss_scale().state_dict()));
    }
    losses = model.losses;
    random = at::globalContext().defaultGenerator(at::kCPU).get_state();
  }
};

template <class Model>
void require_same(const Picture<Model>& a, const Picture<Model>& b) {
  CHECK(a.progress == b.progress);
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    INFO(a.tensors[i].first);
    CHECK(same(a.tensors[i].second, b.tensors[i].second));
  }
  for (std::size_t i = 0; i < a.optimizers.size(); ++i) {
    INFO("optimizer " << i);
    CHECK(same(a.optimizers[i], b.optimizers[i]));
  }
  CHECK(a.metrics == b.metrics);
  CHECK(a.losses == b.losses);
  CHECK(same(a.random, b.random));
}

/// What models here have in common: 47 examples of 4 numbers in shuffled batches of 6, so 8 batches an epoch with a short last
/// one, and a checkpoint after the batch number `save_after`.
struct Host : torch::nn::Module {
  std::int64_t save_after = -1;
  std::filesystem::path path;
  std::vector<double> losses;  // of validation

  void on_train_batch_end(const auto& /*result*/, const auto& /*batch*/, auto& step) {
    if (step.progress().batches == save_after) fg::save_checkpoint(step, path);
  }
  void on_save_checkpoint(auto& checkpoint) { checkpoint("losses", losses); }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("losses", losses); }
};

struct Net : Host {
  torch::nn::Linear first = register_module("first", torch::nn::Linear(4, 8));
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(8));
  torch::nn::Linear second = register_module("second", torch::nn::Linear(8, 2));
  torch::nn::Linear unused = register_module("unused", torch::nn::Linear(2, 2));  // never gets a gradient

  torch::Tensor forward(const torch::Tensor& x) {
    return second->forward(torch::dropout(torch::relu(norm->forward(first->forward(x))), 0.2, is_training()));
  }
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_step | fg::on_epoch);
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    const auto loss = torch::mse_loss(forward(batch.data), batch.target);
    step.log("val_loss", loss);
    losses.push_back(loss.template item<double>());
  }
};

struct Data {
  at::Tensor x, y;

  Data() {
    torch::manual_seed(11);
    x = torch::randn({47, 4});
    y = torch::randn({47, 2});
  }
  auto train() const { return fg::data::TensorBatches{x, y, {.batch_size = 6, .order = fg::data::Shuffled{5}}}; }
  auto validation() const { return fg::data::TensorBatches{x, y, {.batch_size = 20}}; }
};

/// Trains `Model` once to its end, saving after batch number `after`, and once more from that file on: with other weights, other
/// random numbers, another trainer. `make(model)` gives the trainer.
template <class Model, class Make>
void require_resumes(std::int64_t after, const Make& make) {
  INFO("saved after batch " << after);
  const Data data;
  const Scratch file;
  torch::manual_seed(3);
  Model model;
  model.save_after = after;
  model.path = file.path;
  auto trainer = make(model);
  trainer.fit(data.train(), data.validation());
  REQUIRE(std::filesystem::exists(file.path));
  const Picture<Model> uninterrupted(trainer);

  torch::manual_seed(99);
  Model other;
  auto resumed = make(other);
  fg::load_checkpoint(resumed, file.path);
  CHECK(resumed.progress().batches == after);
  resumed.fit(data.train(), data.validation());
  require_same(uninterrupted, Picture<Model>(resumed));
}

/// In the middle of a window, in the middle of an epoch, at an epoch's end, after its first batch.
template <class Model, class Make>
void require_resumes_anywhere(const Make& make) {
  for (const std::int64_t after : {3, 4, 8, 9, 14, 16, 23}) require_resumes<Model>(after, make);
}

}  // namespace resume
