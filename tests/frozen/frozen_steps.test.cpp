// SPDX-License-Identifier: MIT
// fg::Frozen in a trainer: the same training as an eager one, bit for bit, whatever stands around the step.
#include <fulgurite/frozen/frozen_steps.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/fulgurite.hpp>

#include "calls.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;

namespace {

using frozen_tests::Calls;

/// Convolution, batch norm, dropout; what else a test wants is done in `extra`.
struct Net : nn::Module {
  nn::Sequential features = register_module(
      "features", nn::Sequential{nn::Conv2d(nn::Conv2dOptions(1, 4, 3).padding(1)), nn::BatchNorm2d(4), nn::ReLU(),
                                 nn::Dropout(0.25), nn::Flatten()});
  nn::Linear head = register_module("head", nn::Linear(4 * 36, 3));
  std::function<void(const torch::Tensor& loss)> extra = [](const torch::Tensor&) {};
  bool log_number = false;
  int calls = 0;
  std::vector<double> losses, validation_losses;

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    ++calls;
    auto loss = nn::functional::cross_entropy(head->forward(features->forward(batch.data)), batch.target);
    step.log("train_loss", loss, fg::on_step | fg::on_epoch);
    if (log_number) step.log("batch", static_cast<double>(step.batch_index()));
    extra(loss);
    return loss;
  }
  void on_train_batch_end(const auto& result, const fg::Example&, auto&) {
    losses.push_back(result.loss->template item<double>());
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("val_loss", nn::functional::cross_entropy(head->forward(features->forward(batch.data)), batch.target));
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-2})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 20}, fg::EveryStep{});
  }
};

/// The same with an optimizer whose formulas take numbers that change from step to step, in one memory.
struct Other : Net {
  auto configure_optimizers() { return fg::optimizer(fg::NAdam(parameters(), {.lr = 1e-2}, fg::Contiguous{})); }
};

/// Momentum is one of the numbers that a fused kernel takes from the host.
struct Cyclic : Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 1e-2, .momentum = 0.9}))
        .lr_scheduler(fg::OneCycleLR{.max_lr = 1e-2, .total_steps = 40}, fg::EveryStep{});
  }
};

struct Contiguous : Net {
  auto configure_optimizers() { return fg::optimizer(fg::Adagrad(parameters(), {.lr = 1e-2}, fg::Contiguous{})); }
};

/// Something of the program stands before the update.
struct Watching : Net {
  std::vector<double> norms;
  void on_before_optimizer_step(auto& optimizer, auto&) {
    norms.push_back(optimizer.gradients().norm().template item<double>());
  }
};

struct Halve {
  using slot = fg::slots::Clipping;
  void clip(auto& gradients) const { gradients.scale(0.5); }
};
struct HalveEachTime : Halve {
  static constexpr bool repeats = true;
};

/// Promises what it does not keep.
struct Reading : HalveEachTime {
  void clip(auto& gradients) const { gradients.scale(gradients.norm().template item<double>() > 0.0 ? 0.5 : 1.0); }
};

struct Adversaries : nn::Module {
  nn::Linear generator = register_module("generator", nn::Linear(4, 6));
  nn::Linear critic = register_module("critic", nn::Linear(6, 1));

  torch::Tensor training_step(const torch::Tensor& noise, auto&, fg::OptimizerIndex<0>) {
    return critic->forward(torch::tanh(generator->forward(noise))).mean();
  }
  torch::Tensor training_step(const torch::Tensor& noise, auto&, fg::OptimizerIndex<1>) {
    return nn::functional::softplus(-critic->forward(torch::tanh(generator->forward(noise)).detach())).mean();
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::Adam(generator->parameters(), {.lr = 1e-2}), fg::SGD(critic->parameters(), {.lr = 0.1}));
  }
};

/// A model with what the next tests need, a linear layer.
struct Small : nn::Module {
  nn::Linear layer = register_module("layer", nn::Linear(36, 3));

  torch::Tensor loss_of(const fg::Example& batch) {
    return nn::functional::cross_entropy(layer->forward(batch.data.flatten(1)), batch.target);
  }
  auto configure_optimizers() { return fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-2})); }
};

/// The size of a batch tells which head it trains; the other has no gradient of it.
struct TwoHeads : Small {
  nn::Linear even = register_module("even", nn::Linear(36, 3));
  nn::Linear odd = register_module("odd", nn::Linear(36, 3));

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    auto& head = batch.data.size(0) % 2 == 0 ? even : odd;
    return loss_of(batch) + nn::functional::cross_entropy(head->forward(batch.data.flatten(1)), batch.target);
  }
};

/// Trains a tensor that it does not register.
struct Unregistered : Small {
  torch::Tensor beside = torch::ones({2}).requires_grad_();

  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(batch) * beside.prod(); }
  auto configure_optimizers() {
    auto trained = parameters();
    trained.push_back(beside);
    return fg::optimizer(fg::SGD(std::move(trained), {.lr = 0.05}));
  }
};

/// As its message advises.
struct Registered : Small {
  torch::Tensor beside = register_parameter("beside", torch::ones({2}));
  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(batch) * beside.sum(); }
};

/// A tensor that the step makes may be differentiated by, as in adversarial training.
struct OwnLeaf : Small {
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    auto noise = torch::randn_like(batch.data).requires_grad_();
    return loss_of({batch.data + noise, batch.target});
  }
};

struct LogsTooEarly : Small {
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = loss_of(batch);
    step.log("cross_entropy", loss, fg::on_epoch);
    loss += 0.1 * layer->weight.square().sum();
    return loss;
  }
};

/// Something outside of the step changes a buffer and a tensor of the model's.
struct Annealed : Small {
  torch::Tensor beta = register_buffer("beta", torch::ones({}));
  torch::Tensor gamma = torch::ones({});

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return loss_of(batch) * torch::exp(beta * 2.0) * torch::exp(gamma * 2.0).sqrt();
  }
  void on_train_batch_end(const auto&, const fg::Example&, auto& step) {
    if (step.batch_index() % 4 == 3) beta.mul_(0.5);
    if (step.batch_index() % 6 == 5) gamma.mul_(0.7);
  }
};
struct AnnealedOnHost : Annealed {
  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(batch) * beta.item<double>(); }
};

struct WritesBatch : Small {
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    torch::Tensor(batch.data).mul_(0.9);
    return loss_of(batch);
  }
};

/// Nine batches of eight examples and one of five.
std::vector<fg::Example> batches() {
  torch::manual_seed(3);
  std::vector<fg::Example> all;
  for (int i = 0; i < 10; ++i) {
    const std::int64_t size = i < 9 ? 8 : 5;
    const auto data = torch::randn({size, 1, 6, 6});
    all.emplace_back(data, torch::randint(3, {size}));
  }
  return all;
}

/// What the tenth step of a kind calls.
template <class Model, class... Policies>
bool tenth_step_calls(const std::string& name, Policies... policies) {
  const auto data = batches();
  torch::manual_seed(11);
  Model model;
  fg::Trainer trainer{model, fg::Frozen{.strict = true}, policies...};
  auto loop = trainer.loop();
  for (std::size_t i = 0; i < 9; ++i) loop.step(data[i]);
  const Calls calls;
  loop.step(data[0]);
  return Calls::include(name);
}

struct Outcome {
  torch::Tensor state;  // parameters and buffers
  std::vector<double> losses;
  std::optional<double> train_loss, val_loss;
  int calls;
  std::size_t tapes = 0;
  std::optional<std::string> refusal{};
};

torch::Tensor state_of(const nn::Module& model) {
  std::vector<torch::Tensor> all;
  for (const auto& tensor : model.parameters()) all.push_back(tensor.detach().to(torch::kDouble).flatten());
  for (const auto& tensor : model.buffers()) all.push_back(tensor.to(torch::kDouble).flatten());
  return torch::cat(all);
}

template <class Model, class Execution, class... Policies>
Outcome train(Execution execution, const std::function<void(Net&)>& prepare, Policies... policies) {
  const auto data = batches();
  torch::manual_seed(11);
  Model model;
  prepare(model);
  fg::Trainer trainer{model, execution, policies..., fg::MaxEpochs{4}};
  trainer.fit(data, std::vector<fg::Example>{data[0], data[9]});
  Outcome outcome{state_of(model), model.losses, trainer.metric("train_loss"), trainer.metric("val_loss"), model.calls};
  if constexpr (Execution::freezes) {
    outcome.tapes = trainer.frozen().tapes();
    outcome.refusal = trainer.frozen().refusal();
  }
  return outcome;
}

/// Eighty batches, of eight and of five examples as it comes.
template <class Model, class Execution, class... Policies>
std::pair<torch::Tensor, std::optional<std::string>> train_mixed(Execution execution, Policies... policies) {
  const auto data = batches();
  torch::manual_seed(11);
  Model model;
  fg::Trainer trainer{model, execution, policies...};
  auto loop = trainer.loop();
  const auto order = torch::rand({80}).lt(0.5);
  for (std::int64_t i = 0; i < order.numel(); ++i) loop.step(data[order[i].template item<bool>() ? 9 : static_cast<std::size_t>(i % 9)]);
  loop.end_epoch();
  torch::Tensor state = state_of(model);
  if constexpr (requires { model.beside; }) state = torch::cat({state, model.beside.detach().to(torch::kDouble)});
  for (const auto& batch : data) state = torch::cat({state, batch.data.flatten().to(torch::kDouble)});
  std::optional<std::string> refusal;
  if constexpr (Execution::freezes) refusal = trainer.frozen().refusal();
  return {state, refusal};
}

template <class Model, class... Policies>
void require_refused_and_equal(const std::string& words, Policies... policies) {
  const auto [frozen, refusal] = train_mixed<Model>(fg::Frozen{}, policies...);
  CHECK(torch::equal(frozen, train_mixed<Model>(fg::Eager{}, policies...).first));
  REQUIRE(refusal);
  CHECK_THAT(*refusal, ContainsSubstring(words));
  CHECK_THROWS_AS(train_mixed<Model>(fg::Frozen{.strict = true}, policies...), fg::FrozenRefusal);
}

template <class Model, class... Policies>
void require_frozen_and_equal(Policies... policies) {
  const auto eager = train_mixed<Model>(fg::Eager{}, policies...);
  CHECK(torch::equal(train_mixed<Model>(fg::Frozen{.strict = true, .tapes = 32}, policies...).first, eager.first));
}

const auto as_it_is = [](Net&) {};

void require_equal(const Outcome& eager, const Outcome& frozen) {
  CHECK(torch::equal(eager.state, frozen.state));
  CHECK(eager.losses == frozen.losses);
  CHECK(eager.train_loss == frozen.train_loss);
  CHECK(eager.val_loss == frozen.val_loss);
}

template <class Model, class... Policies>
Outcome require_frozen_equals_eager(Policies... policies) {
  const auto eager = train<Model>(fg::Eager{}, as_it_is, policies...);
  const auto frozen = train<Model>(fg::Frozen{.strict = true}, as_it_is, policies...);
  require_equal(eager, frozen);
  CHECK_FALSE(frozen.refusal);
  CHECK(frozen.calls < eager.calls);  // or nothing was replayed
  return frozen;
}
}  // namespace

TEST_CASE("a frozen training equals an eager one, short last batches and validations included") {
  CHECK(require_frozen_equals_eager<Net>(fg::ClipNorm{.max = 0.5}).tapes == 2);
}

TEST_CASE("with accumulation each place in the window has its tape") {
  // Windows of 4, 4 and 2 batches; the last batch is short.
  CHECK(require_frozen_equals_eager<Net>(fg::Accumulate<4>{}, fg::ClipValue{.max = 0.01}).tapes == 4);
  // Windows of 3 and of 2: a tape that adds to gradients is checked after another has put them elsewhere.
  CHECK(require_frozen_equals_eager<Net>(fg::Accumulate<3>{}).tapes == 3);
  CHECK(require_frozen_equals_eager<Net>(fg::Accumulate<2>{}, fg::ClipNorm{.max = 0.5}).tapes == 3);
}

TEST_CASE("an optimizer that no tape could hold steps beside it") { require_frozen_equals_eager<Other>(fg::ClipNorm{.max = 0.5}); }

TEST_CASE("clipping and a fused update are replayed too") {
  CHECK_FALSE(tenth_step_calls<Net>("aten::_fused_adamw_", fg::ClipNorm{.max = 0.5}));
  CHECK_FALSE(tenth_step_calls<Net>("aten::linalg_vector_norm", fg::ClipNorm{.max = 0.5}));
  CHECK(tenth_step_calls<Contiguous>("aten::_fused_adagrad_") != fg::Adagrad::repeats_update);
  CHECK_FALSE(tenth_step_calls<Net>("aten::_fused_adamw_", HalveEachTime{}));
  CHECK(tenth_step_calls<Net>("aten::_fused_adamw_", Halve{}));
  // Not where a hook stands before it, or a number changes from step to step.
  CHECK(tenth_step_calls<Watching>("aten::_fused_adamw_"));
  CHECK(tenth_step_calls<Watching>("aten::linalg_vector_norm"));
  CHECK(tenth_step_calls<Cyclic>("aten::_fused_sgd_"));
  require_frozen_equals_eager<Net>(HalveEachTime{});
  require_frozen_equals_eager<Contiguous>(fg::ClipNorm{.max = 0.5});
  require_frozen_equals_eager<Watching>();
  require_frozen_equals_eager<Cyclic>(fg::ClipValue{.max = 0.01});
}

TEST_CASE("an update that reads on the host is named after it was made, and made eagerly from then on") {
  const auto frozen = train<Net>(fg::Frozen{}, as_it_is, Reading{});
  require_equal(train<Net>(fg::Eager{}, as_it_is, Reading{}), frozen);
  REQUIRE(frozen.refusal);
  CHECK_THAT(*frozen.refusal, ContainsSubstring("_local_scalar_dense"));
  CHECK_THROWS_AS(train<Net>(fg::Frozen{.strict = true}, as_it_is, Reading{}), fg::FrozenRefusal);
}

TEST_CASE("a tape that failed its check is never replayed, even if its exception is caught") {
  const auto data = batches();
  Net model;
  model.extra = [&](const torch::Tensor& loss) { loss.detach().add(static_cast<double>(model.calls)); };
  fg::Trainer trainer{model, fg::Frozen{.strict = true}};
  auto loop = trainer.loop();
  loop.step(data[0]);
  loop.step(data[1]);
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(loop.step(data[2]), fg::FrozenRefusal);
}

TEST_CASE("an update is recorded anew when the optimizer changes, and not replayed on a gradient in other memory") {
  const auto run = [](auto execution) {
    const auto data = batches();
    torch::manual_seed(11);
    Net model;
    fg::Trainer trainer{model, execution, fg::ClipNorm{.max = 0.5}};
    auto loop = trainer.loop();
    const auto steps = [&](int count) {
      for (int i = 0; i < count; ++i) loop.step(data[static_cast<std::size_t>(i)]);
    };
    steps(7);
    auto& optimizer = trainer.optimizer();
    optimizer.set_momentum(0, 0.5);
    steps(7);
    auto options = optimizer.options();
    options.weight_decay = 0.3;
    optimizer.set_options(0, options);
    steps(7);
    optimizer.load_state_dict(optimizer.state_dict());
    steps(7);
    fg::AdamW other(model.parameters(), optimizer.options());
    other.load_state_dict(optimizer.state_dict());
    optimizer = std::move(other);
    steps(7);
    optimizer.gradients().clip_norm(1e-3);  // asked of the next update alone
    steps(7);
    for (auto& parameter : model.head->parameters()) parameter.mutable_grad() = torch::ones_like(parameter);
    steps(3);
    return state_of(model);
  };
  CHECK(torch::equal(run(fg::Eager{}), run(fg::Frozen{.strict = true})));
}

TEST_CASE("mixed precision is frozen with its casts, and a loss scale changes under the tape") {
  require_frozen_equals_eager<Net>(fg::Bfloat16Mixed{});
  require_frozen_equals_eager<Net>(fg::Float16Mixed{.initial_scale = 1024.0, .growth_interval = 3}, fg::ClipNorm{.max = 0.5});
}

TEST_CASE("each of several optimizers has tapes of its own") {
  const auto run = [](auto execution) {
    torch::manual_seed(5);
    Adversaries model;
    std::vector<torch::Tensor> noise;
    for (int i = 0; i < 12; ++i) noise.push_back(torch::randn({8, 4}));
    fg::Trainer trainer{model, execution, fg::MaxEpochs{2}};
    trainer.fit(noise);
    if constexpr (decltype(execution)::freezes) {
      CHECK(trainer.frozen(fg::optimizer_index<0>).tapes() == 1);
      CHECK(trainer.frozen(fg::optimizer_index<1>).tapes() == 1);
    }
    return state_of(model);
  };
  CHECK(torch::equal(run(fg::Eager{}), run(fg::Frozen{.strict = true})));
}

TEST_CASE("a step that reads its loss is named, and trained eagerly") {
  const auto reads = [](Net& model) {
    model.extra = [](const torch::Tensor& loss) { (void)loss.item<double>(); };
  };
  const auto eager = train<Net>(fg::Eager{}, reads);
  const auto frozen = train<Net>(fg::Frozen{}, reads);
  require_equal(eager, frozen);
  CHECK(frozen.tapes == 0);
  REQUIRE(frozen.refusal);
  CHECK_THAT(*frozen.refusal, ContainsSubstring("_local_scalar_dense"));
  CHECK_THROWS_AS(train<Net>(fg::Frozen{.strict = true}, reads), fg::FrozenRefusal);
}

TEST_CASE("a number on the host that changes is found when the tape is checked") {
  const auto counts = [](Net& model) {
    model.extra = [&model](const torch::Tensor& loss) { loss.detach().add(static_cast<double>(model.calls)); };
  };
  const auto frozen = train<Net>(fg::Frozen{}, counts);
  require_equal(train<Net>(fg::Eager{}, counts), frozen);
  CHECK(frozen.refusal);
}

TEST_CASE("a number that is logged is refused, since it would stay what it was") {
  const auto logs = [](Net& model) { model.log_number = true; };
  const auto frozen = train<Net>(fg::Frozen{}, logs);
  require_equal(train<Net>(fg::Eager{}, logs), frozen);
  REQUIRE(frozen.refusal);
  CHECK(*frozen.refusal ==
        "fulgurite: a step with step.log(\"batch\", …) cannot be frozen: a number on the host would stay what it was: log "
        "a tensor, or log it in on_train_batch_end");
}

TEST_CASE("a layer that is frozen, a mode that is changed and a parameter that is moved need another tape") {
  const auto run = [](auto execution) {
    const auto data = batches();
    torch::manual_seed(11);
    Net model;
    fg::Trainer trainer{model, execution};
    auto loop = trainer.loop();
    const auto steps = [&](int count) {
      for (int i = 0; i < count; ++i) loop.step(data[static_cast<std::size_t>(i)]);
    };
    steps(6);
    for (auto& parameter : model.features->parameters()) parameter.set_requires_grad(false);
    steps(6);
    model.features->eval();
    steps(6);
    for (auto& parameter : model.head->parameters()) parameter.set_data(parameter.detach().clone());
    steps(6);
    return state_of(model);
  };
  CHECK(torch::equal(run(fg::Eager{}), run(fg::Frozen{.strict = true})));
}

TEST_CASE("in a window, gradients that a batch of another kind left stay, are added to, and are not invented") {
  require_frozen_and_equal<TwoHeads>();
  require_frozen_and_equal<TwoHeads>(fg::Accumulate<2>{});
  require_frozen_and_equal<TwoHeads>(fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5});
}

TEST_CASE("a trained tensor that the model does not register is named; one that the step makes is not") {
  require_refused_and_equal<Unregistered>(
      "a trained tensor of shape [2] that is not a parameter of the model cannot be frozen: a replay would not "
      "know where its gradient belongs: register_parameter or register_module it");
  require_refused_and_equal<Unregistered>("a trained tensor of shape [2]", fg::Accumulate<2>{});
  require_frozen_and_equal<Registered>();
  require_frozen_and_equal<OwnLeaf>();
}

TEST_CASE("a tensor that changes after it was logged is named") {
  require_refused_and_equal<LogsTooEarly>(
      "step.log(\"cross_entropy\", …) cannot be frozen: the tensor is changed in place afterwards (`loss += …`), and a "
      "replay logs what it has become: log a clone(), or write `loss = loss + …`");
}

TEST_CASE("what somebody writes between two steps is computed with, and not read on the host") {
  require_frozen_and_equal<Annealed>();
  require_refused_and_equal<AnnealedOnHost>("_local_scalar_dense");
}

TEST_CASE("a step that writes its batch is named, since it is given a copy") {
  require_refused_and_equal<WritesBatch>(
      "a step with a batch that it writes cannot be frozen: it is given a copy, so the batch itself would stay as it "
      "is: let training_step change a clone()");
}

TEST_CASE("batches of more kinds than tapes train eagerly") {
  const auto frozen = train<Net>(fg::Frozen{.strict = true, .tapes = 1}, as_it_is);
  require_equal(train<Net>(fg::Eager{}, as_it_is), frozen);
  CHECK(frozen.tapes == 1);
}

TEST_CASE("an exception while a step is recorded leaves nothing behind that later batches are trained on") {
  const auto run = [](auto execution) {
    const auto data = batches();
    torch::manual_seed(11);
    Net model;
    int attempts = 0;
    model.extra = [&](const torch::Tensor&) {
      if (++attempts == 4) throw std::runtime_error("once");  // the second window's second batch: it is recorded
    };
    fg::Trainer trainer{model, execution, fg::Accumulate<2>{}};
    auto loop = trainer.loop();
    for (int i = 0; i < 4; ++i) {
      for (std::size_t k = 0; k < 9; ++k) {
        try {
          loop.step(data[k]);
        } catch (const std::runtime_error&) {
        }
      }
    }
    return std::pair{state_of(model), trainer.progress().global_step};
  };
  const auto [eager, eager_steps] = run(fg::Eager{});
  const auto [frozen, frozen_steps] = run(fg::Frozen{.strict = true});
  CHECK(eager_steps == frozen_steps);
  CHECK(torch::equal(eager, frozen));
}
