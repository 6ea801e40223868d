// SPDX-License-Identifier: MIT
// fg::Frozen on a GPU. Without one these tests are skipped; where LibTorch's CUDA libraries are not linked, they are compiled only.
#include <fulgurite/cuda/graphs.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>

#include "frozen/calls.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

struct Net : nn::Module {
  nn::Sequential layers = register_module(
      "layers", nn::Sequential{nn::Linear(6, 16), nn::BatchNorm1d(16), nn::ReLU(), nn::Dropout(0.25), nn::Linear(16, 3)});
  bool reads = false;
  int calls = 0;

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    ++calls;
    auto loss = nn::functional::cross_entropy(layers->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_epoch);
    if (reads) (void)loss.template item<double>();
    return loss;
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-2})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 30}, fg::EveryStep{});
  }
};

/// Reads a value on the host, which a tape could tell before and a capture only when it breaks.
struct Reading {
  using slot = fg::slots::Clipping;
  static constexpr bool repeats = true;
  void clip(auto& gradients) const { (void)gradients.clip_norm(0.5).template item<double>(); }
};

/// Two groups, momentum, and a rate that a hook sets before each step.
struct Sets : Net {
  void on_train_batch_start(const fg::Example&, auto& step) {
    if (step.global_step() < 12) step.optimizers().set_lr(1e-3 * static_cast<double>(step.global_step() + 1));
  }
  auto configure_optimizers() {
    const auto all = parameters();
    const fg::SGDOptions options{.lr = 1e-3, .momentum = 0.9};
    return fg::optimizer(fg::SGD({{{all[0], all[1]}, options}, {{all[2], all[3], all[4], all[5]}, options}}))
        .lr_scheduler(fg::CosineAnnealingLR{.t_max = 30}, fg::EveryStep{});
  }
};

struct Double : Net {
  Double() { to(torch::kDouble); }
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    return Net::training_step(fg::Example{batch.data.to(torch::kDouble), batch.target}, step);
  }
};

/// A number on the host changes from step to step.
struct Counts : Net {
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    return Net::training_step(batch, step) * (1.0 + 0.1 * static_cast<double>(calls));
  }
};

struct Outcome {
  std::vector<torch::Tensor> parameters;
  std::optional<double> train_loss;
  int calls;
  std::size_t tapes = 0;
  std::optional<std::string> refusal{};
};

template <class Model = Net, class Execution, class... Policies>
Outcome train(Execution execution, bool reads, Policies... policies) {
  torch::manual_seed(3);
  std::vector<fg::Example> batches;
  for (int i = 0; i < 10; ++i) batches.emplace_back(torch::randn({i < 9 ? 8 : 5, 6}), torch::randint(3, {i < 9 ? 8 : 5}));
  Model model;
  model.reads = reads;
  fg::Trainer trainer{model, execution, fg::Cuda<0>{}, fg::MaxEpochs{6}, policies...};
  trainer.fit(batches);
  Outcome outcome{{}, trainer.metric("train_loss"), model.calls};
  for (const auto& parameter : model.parameters()) outcome.parameters.push_back(parameter.detach().cpu());
  if constexpr (Execution::freezes) {
    outcome.tapes = trainer.frozen().tapes();
    outcome.refusal = trainer.frozen().refusal();
  }
  return outcome;
}

void require_equal(const Outcome& eager, const Outcome& frozen) {
  for (std::size_t i = 0; i < eager.parameters.size(); ++i) CHECK(torch::equal(eager.parameters[i], frozen.parameters[i]));
  CHECK(eager.train_loss == frozen.train_loss);
}

template <class Model = Net, class... Policies>
void require_frozen_equals_eager(std::size_t tapes, Policies... policies) {
  const auto eager = train<Model>(fg::Eager{}, false, policies...);
  const auto frozen = train<Model>(fg::Frozen{.strict = true}, false, policies...);
  require_equal(eager, frozen);
  CHECK(frozen.calls < eager.calls);
  CHECK(frozen.tapes == tapes);
}

}  // namespace

TEST_CASE("a training on CUDA graphs equals an eager one") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  require_frozen_equals_eager(2, fg::ClipNorm{.max = 0.5});
  require_frozen_equals_eager(4, fg::Accumulate<4>{});
  require_frozen_equals_eager(2, fg::Bfloat16Mixed{});
  require_frozen_equals_eager(2, fg::Float16Mixed{.initial_scale = 1024.0});
  require_frozen_equals_eager<Double>(2, fg::ClipNorm{.max = 0.5});
}

TEST_CASE("a rate that a hook sets is not set again by a graph") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  Sets model;
  fg::Trainer trainer{model, fg::Frozen{.strict = true}, fg::Cuda<0>{}};
  auto loop = trainer.loop();
  const fg::Example batch{torch::randn({8, 6}), torch::randint(3, {8})};
  for (int i = 0; i < 12; ++i) loop.step(batch);
  auto& optimizer = trainer.optimizer();
  for (const std::int64_t group : {0, 1}) optimizer.set_lr(group, 0.0);
  std::vector<torch::Tensor> before;
  for (const auto& parameter : model.parameters()) before.push_back(parameter.detach().clone());
  loop.step(batch);
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(torch::equal(model.parameters()[i], before[i]));
}

TEST_CASE("an update whose capture breaks is made eagerly, once") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  const auto frozen = train(fg::Frozen{}, false, Reading{});
  require_equal(train(fg::Eager{}, false, Reading{}), frozen);
  REQUIRE(frozen.refusal);
  CHECK(frozen.refusal->starts_with("fulgurite: a step with something that no CUDA graph takes cannot be frozen: "));
}

TEST_CASE("clipping and a fused update are a graph too, at whatever learning rate") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  Net model;
  fg::Trainer trainer{model, fg::Frozen{.strict = true}, fg::Cuda<0>{}, fg::ClipNorm{.max = 0.5}};
  auto loop = trainer.loop();
  const fg::Example batch{torch::randn({8, 6}), torch::randint(3, {8})};
  const auto step_calls = [&](const std::string& name) {
    const frozen_tests::Calls calls;
    loop.step(batch);
    return frozen_tests::Calls::include(name);
  };
  CHECK(step_calls("aten::_fused_adamw_"));
  for (int i = 0; i < 9; ++i) loop.step(batch);
  CHECK_FALSE(step_calls("aten::_fused_adamw_"));
  CHECK_FALSE(step_calls("aten::linalg_vector_norm"));
}

TEST_CASE("a step that waits for the GPU is trained eagerly") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  const auto frozen = train(fg::Frozen{}, true);
  require_equal(train(fg::Eager{}, true), frozen);
  CHECK(frozen.tapes == 0);
  CHECK(frozen.refusal);
}

TEST_CASE("a number on the host that changes is found when a graph is checked") {
  if (!torch::cuda::is_available()) SKIP("no GPU");
  const auto frozen = train<Counts>(fg::Frozen{}, false);
  REQUIRE(frozen.refusal);
  CHECK(*frozen.refusal ==
        "fulgurite: a replay of the frozen step differs from an eager one in the loss: a value on the host changed, or a "
        "kernel adds in "
        "no fixed order (at::globalContext().setDeterministicAlgorithms(true, false) forbids those)");
}
