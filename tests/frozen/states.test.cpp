// SPDX-License-Identifier: MIT
// fg::Frozen through sequences of states (on, off, on again): after each batch the parameters and gradients of an eager training,
// bit for bit, and in the end its metrics and generators.
#include <fulgurite/frozen/frozen_steps.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fulgurite/fulgurite.hpp>

#include "support/notices.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A step and hooks that each test fills in.
struct Model : nn::Module {
  nn::Linear a = register_module("a", nn::Linear(4, 4));
  nn::Linear b = register_module("b", nn::Linear(4, 4));
  nn::Linear head = register_module("head", nn::Linear(4, 1));

  std::function<torch::Tensor(Model&, const fg::Example&, fg::Step<Model>&)> step = [](Model& model, const fg::Example& batch, auto&) {
    return model.loss(batch);
  };
  std::function<void(Model&, fg::Step<Model>&)> epoch_start = [](Model&, auto&) {};
  std::function<void(Model&, fg::Step<Model>&)> batch_start = [](Model&, auto&) {};
  std::function<void(Model&, fg::Step<Model>&)> batch_end = [](Model&, auto&) {};
  int calls = 0;
  double number = 1.0;
  bool contiguous = false;
  at::Generator generator = at::detail::createCPUGenerator(5);
  at::Generator other = at::detail::createCPUGenerator(6);
  std::vector<torch::Tensor> trace;  // parameters and gradients after each batch; an empty tensor: no gradient

  torch::Tensor loss(const fg::Example& batch) { return loss_of(batch.data, batch.target); }
  torch::Tensor loss_of(const torch::Tensor& data, const torch::Tensor& target) {
    return nn::functional::mse_loss(head->forward(torch::tanh(b->forward(torch::tanh(a->forward(data))))), target);
  }
  static void train(nn::Linear& layer, bool trains) {
    for (auto& parameter : layer->parameters()) parameter.set_requires_grad(trains);
  }

  torch::Tensor training_step(const fg::Example& batch, fg::Step<Model>& at) {
    ++calls;
    return step(*this, batch, at);
  }
  void on_train_epoch_start(fg::Step<Model>& at) { epoch_start(*this, at); }
  void on_train_batch_start(const fg::Example&, fg::Step<Model>& at) { batch_start(*this, at); }
  void on_train_batch_end(const auto& result, const fg::Example&, fg::Step<Model>& at) {
    trace.push_back(result.loss->detach().clone());
    for (const auto& parameter : parameters()) {
      trace.push_back(parameter.detach().clone());
      trace.push_back(parameter.grad().defined() ? parameter.grad().clone() : torch::empty({0}));
    }
    batch_end(*this, at);
  }
  auto configure_optimizers() {
    const fg::SGDOptions options{.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01};
    return contiguous ? fg::SGD(parameters(), options, fg::Contiguous{}) : fg::SGD(parameters(), options);
  }
};

/// Two optimizers, which share a layer.
struct Pair : nn::Module {
  nn::Linear shared = register_module("shared", nn::Linear(4, 4));
  nn::Linear first = register_module("first", nn::Linear(4, 1));
  nn::Linear second = register_module("second", nn::Linear(4, 1));
  std::function<void(Pair&, fg::Step<Pair>&)> batch_start = [](Pair&, auto&) {};
  int calls = 0;
  std::vector<torch::Tensor> trace;

  template <std::size_t I>
  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<I>) {
    ++calls;
    return nn::functional::mse_loss((I == 0 ? first : second)->forward(torch::tanh(shared->forward(batch.data))), batch.target);
  }
  void on_train_batch_start(const fg::Example&, fg::Step<Pair>& at) { batch_start(*this, at); }
  void on_train_batch_end(const auto&, const fg::Example&, auto&) {
    for (const auto& parameter : parameters()) {
      trace.push_back(parameter.detach().clone());
      trace.push_back(parameter.grad().defined() ? parameter.grad().clone() : torch::empty({0}));
    }
  }
  auto configure_optimizers() {
    auto with = [this](nn::Linear& head) {
      auto all = shared->parameters();
      for (const auto& parameter : head->parameters()) all.push_back(parameter);
      return all;
    };
    return fg::optimizers(fg::SGD(with(first), {.lr = 0.05, .momentum = 0.9}), fg::Adam(with(second), {.lr = 0.01}));
  }
};

std::vector<fg::Example> batches(int count, const std::vector<std::int64_t>& sizes = {8}) {
  torch::manual_seed(3);
  std::vector<fg::Example> all;
  for (int i = 0; i < count; ++i) {
    const auto data = torch::randn({sizes[static_cast<std::size_t>(i) % sizes.size()], 4});
    all.emplace_back(data, data.sum(1, true));
  }
  return all;
}

bool same(const torch::Tensor& a, const torch::Tensor& b) { return fg::detail::same_bits(a, b); }
bool same(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  bool all = a.size() == b.size();
  for (std::size_t i = 0; all && i < a.size(); ++i) all = same(a[i], b[i]);
  return all;
}

struct Outcome {
  std::vector<torch::Tensor> trace;
  std::map<std::string, double> metrics;
  std::vector<torch::Tensor> generators;
  int calls;
  std::string refusal{};
  std::size_t tapes = 0;
};

using Prepare = std::function<void(Model&)>;

template <class M, class Execution, class... Policies>
Outcome train_as(Execution execution, const std::function<void(M&)>& prepare, const std::vector<fg::Example>& data,
                 std::int64_t epochs, Policies... policies) {
  torch::manual_seed(11);
  M model;
  prepare(model);
  fg::Trainer trainer{model, execution, policies..., fg::MaxEpochs{epochs}};
  trainer.fit(data);
  Outcome outcome{model.trace, trainer.metrics().values(), {at::detail::getDefaultCPUGenerator().get_state()}, model.calls};
  if constexpr (std::is_same_v<M, Model>) {
    outcome.generators.push_back(model.generator.get_state());
    outcome.generators.push_back(model.other.get_state());
  }
  if constexpr (Execution::freezes) {
    outcome.refusal = trainer.frozen().refusal().value_or("");
    outcome.tapes = trainer.frozen().tapes();
  }
  return outcome;
}

struct Compared {
  Outcome eager, frozen;
  bool replays() const { return frozen.calls < eager.calls; }
};

void require_equal(const Outcome& eager, const Outcome& frozen) {
  CHECK(same(eager.trace, frozen.trace));
  CHECK(eager.metrics == frozen.metrics);
  CHECK(same(eager.generators, frozen.generators));
}

Compared compare(const Prepare& prepare, std::int64_t epochs = 6, fg::Frozen policy = {}, const std::vector<fg::Example>& data = batches(5)) {
  Compared compared{train_as<Model>(fg::Eager{}, prepare, data, epochs), train_as<Model>(policy, prepare, data, epochs)};
  require_equal(compared.eager, compared.frozen);
  return compared;
}

/// With windows of three batches, and clipping.
Compared compare_windows(const Prepare& prepare, std::int64_t epochs = 6, fg::Frozen policy = {}, const std::vector<fg::Example>& data = batches(8)) {
  Compared compared{train_as<Model>(fg::Eager{}, prepare, data, epochs, fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5}),
                    train_as<Model>(policy, prepare, data, epochs, fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5})};
  require_equal(compared.eager, compared.frozen);
  return compared;
}

const fg::Frozen strict{.strict = true, .tapes = 64};

void require_frozen(const Compared& compared) {
  CHECK(compared.frozen.refusal.empty());
  CHECK(compared.replays());
}

/// Each batch ran training_step once, as eagerly: what it does on the host was done as often.
void require_refused(const Compared& compared, const std::string& words) {
  CHECK_THAT(compared.frozen.refusal, ContainsSubstring(words));
}

}  // namespace

TEST_CASE("parameters that require gradients in turns are trained in turns") {
  for (const bool contiguous : {false, true}) {
    const auto by_epoch = [contiguous](Model& model) {
      model.contiguous = contiguous;
      model.epoch_start = [](Model& self, auto& at) { Model::train(self.a, at.epoch() % 2 == 0); };
    };
    require_frozen(compare(by_epoch, 8, strict));
    require_frozen(compare_windows(by_epoch, 8, strict));
  }
  const auto late = [](Model& model) {
    model.epoch_start = [](Model& self, auto& at) { Model::train(self.a, at.epoch() != 2 && at.epoch() != 5); };
  };
  require_frozen(compare(late, 9, strict));
  require_frozen(compare_windows(late, 9, strict));
}

TEST_CASE("parameters that require gradients in some batches, in windows too") {
  for (const int period : {2, 3, 4}) {
    const auto by_batch = [period](Model& model) {
      model.batch_start = [period](Model& self, auto& at) {
        Model::train(self.a, at.batch_index() % period != 0);
        Model::train(self.b, at.global_step() % 5 < 3);
      };
    };
    require_frozen(compare(by_batch, 12, strict, batches(7)));
    require_frozen(compare_windows(by_batch, 12, strict, batches(7)));
  }
}

TEST_CASE("optimizers that share a layer, of which one trains it at times") {
  const auto data = batches(6);
  const std::function<void(Pair&)> by_batch = [](Pair& model) {
    model.batch_start = [](Pair& self, auto& at) {
      for (auto& parameter : self.shared->parameters()) parameter.set_requires_grad(at.batch_index() % 3 != 1);
      for (auto& parameter : self.second->parameters()) parameter.set_requires_grad(at.epoch() % 3 != 2 || at.batch_index() % 3 == 1);
    };
  };
  const auto check = [&](auto... policies) {
    const auto eager = train_as<Pair>(fg::Eager{}, by_batch, data, 12, policies...);
    const auto frozen = train_as<Pair>(strict, by_batch, data, 12, policies...);
    require_equal(eager, frozen);
    CHECK(frozen.calls < eager.calls);
  };
  check();
  check(fg::Accumulate<2>{});
}

TEST_CASE("training_step that says what requires gradients is refused, or followed by epoch") {
  const auto by_number = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      Model::train(self.a, self.calls % 4 < 2);
      return self.loss(batch);
    };
  };
  require_refused(
      compare(by_number),
      "set_requires_grad, train(), eval() or set_data within training_step cannot be frozen: it leaves the model otherwise "
      "than "
      "it found it, and a replay does not do that again: do it in a hook before or after the step (on_train_epoch_start, "
      "on_train_batch_start, on_train_batch_end)");
  const auto by_epoch = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      Model::train(self.a, at.epoch() % 2 == 0);
      return self.loss(batch);
    };
  };
  compare(by_epoch, 8);
  compare_windows(by_epoch, 8);
}

TEST_CASE("a module that takes part by turns") {
  const auto step = [](Model& self, const fg::Example& batch, auto&) {
    const auto hidden = torch::tanh(self.number > 0.5 ? self.a->forward(batch.data) : self.b->forward(batch.data));
    return nn::functional::mse_loss(self.head->forward(hidden), batch.target);
  };
  const auto by_epoch = [step](Model& model) {
    model.step = step;
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() == 3 ? 0.0 : 1.0; };
  };
  require_refused(compare(by_epoch), ". This was found when the tape was checked anew; the ");
  require_refused(compare_windows(by_epoch), "differs from an eager one");
  const auto by_batch = [step](Model& model) {
    model.step = step;
    model.batch_start = [](Model& self, auto& at) { self.number = at.batch_index() % 2 == 0 ? 0.0 : 1.0; };
  };
  require_refused(compare(by_batch), "differs from an eager one");
}

TEST_CASE("a number that a hook sets for an epoch is found when the epoch begins") {
  for (const int epoch : {1, 3, 5}) {
    const auto factor = [epoch](Model& model) {
      model.step = [](Model& self, const fg::Example& batch, auto&) { return torch::mul(self.loss(batch), self.number); };
      model.epoch_start = [epoch](Model& self, auto& at) { self.number = at.epoch() < epoch ? 1.0 : 0.5; };
    };
    require_refused(compare(factor), "was recorded with other = 1 and is now called with 0.5");
    require_refused(compare_windows(factor), "was recorded with other = 1 and is now called with 0.5");
  }
  const auto exponent = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) { return torch::pow(self.loss(batch), self.number); };
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() < 4 ? 1.0 : 2.0; };
  };
  CHECK_FALSE(compare(exponent).frozen.refusal.empty());
  const auto size = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      const auto first = static_cast<std::int64_t>(self.number);
      return self.loss_of(batch.data.narrow(0, first, 4), batch.target.narrow(0, first, 4));
    };
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() < 4 ? 1.0 : 2.0; };
  };
  CHECK_FALSE(compare(size).frozen.refusal.empty());
  const auto made = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      return self.loss(batch) * torch::tensor(static_cast<float>(self.number));
    };
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() < 2 ? 1.0 : 2.0; };
  };
  CHECK_FALSE(compare(made).frozen.refusal.empty());
}

TEST_CASE("a number that changes later in an epoch is said at the next check") {
  const auto late = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) { return self.loss(batch) * self.number; };
    model.batch_start = [](Model& self, auto& at) { self.number = at.batch_index() < 40 ? 1.0 : 0.5; };
  };
  const auto frozen = train_as<Model>(fg::Frozen{}, late, batches(80), 1);
  CHECK_THAT(frozen.refusal, ContainsSubstring("the 64 steps of its kind before were replayed as they had been recorded"));
  CHECK_THROWS_AS(train_as<Model>(fg::Frozen{.strict = true}, late, batches(80), 1), fg::FrozenRefusal);
}

TEST_CASE("what a step is asked for is followed where many batches share it") {
  const auto epoch = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      return self.loss(batch) * (1.0 / static_cast<double>(at.epoch() + 1));
    };
  };
  require_frozen(compare(epoch, 5, strict, batches(8)));
  require_frozen(compare(epoch, 30, {}, batches(8)));
  require_frozen(compare_windows(epoch, 5, strict, batches(16)));
  const auto last = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      return self.loss(batch) * (at.is_last_batch() ? 3.0 : 1.0);
    };
  };
  require_frozen(compare(last, 6, strict));
  // A step that asks only in some epochs; and one that asks only when it is checked.
  const auto sometimes = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      return self.loss(batch) * (self.calls > 2 && at.epoch() > 2 ? 0.5 : 1.0);
    };
  };
  require_frozen(compare(sometimes, 8, strict));
}

TEST_CASE("what a step is asked for is refused where each batch has its own, by the name that was called") {
  using Ask = std::function<double(fg::Step<Model>&)>;
  const std::vector<std::pair<std::string, Ask>> all{
      {"step.batch_index()", [](auto& at) { return 1.0 / static_cast<double>(at.batch_index() + 1); }},
      {"step.global_step()", [](auto& at) { return at.global_step() > 12 ? 2.0 : 1.0; }},
      {"step.progress()", [](auto& at) { return at.progress().batches > 12 ? 2.0 : 1.0; }},
      {"step.metrics()", [](auto& at) { return at.metrics().value("loss") ? 0.5 : 1.0; }},
  };
  for (const auto& [name, ask] : all) {
    const auto asks = [&ask = ask](Model& model) {
      model.step = [ask](Model& self, const fg::Example& batch, auto& at) {
        auto loss = self.loss(batch) * ask(at);
        at.log("loss", loss);
        return loss;
      };
    };
    const auto compared = compare(asks, 4);
    require_refused(
        compared,
        "a step with " + name +
            " cannot be frozen: training_step does not run again when the step is replayed, so "
            "what it does there would be done once, and what it is told would stay what it was: do it in a hook before "
            "or after the step (on_train_batch_start, on_train_batch_end), and keep a number that the step needs in a "
            "tensor which that hook writes");
    CHECK(compared.frozen.calls == compared.eager.calls);
    CHECK_THROWS_AS(train_as<Model>(fg::Frozen{.strict = true}, asks, batches(5), 4), fg::FrozenRefusal);
  }
}

TEST_CASE("a refused step has run once, so what it counts on the host is what it would be eagerly") {
  const auto counts = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) { return self.loss(batch) * (1.0 + 0.1 * self.calls); };
  };
  const auto counted = compare(counts);
  CHECK_FALSE(counted.frozen.refusal.empty());
  CHECK(counted.frozen.calls == counted.eager.calls);
  const auto reads = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      auto loss = self.loss(batch) * (1.0 + 0.1 * self.calls);
      at.log("loss", loss.template item<double>(), fg::on_epoch);
      return loss;
    };
  };
  CHECK(compare(reads).frozen.calls == compare(reads).eager.calls);
}

TEST_CASE("weights of a log are the batch's, one of its sizes, or refused") {
  const auto logs = [](const std::function<double(Model&, const fg::Example&, fg::Step<Model>&)>& weight) {
    return [weight](Model& model) {
      model.step = [weight](Model& self, const fg::Example& batch, auto& at) {
        auto loss = self.loss(batch);
        at.log("plain", loss, fg::on_epoch);
        at.log("weighted", loss, fg::on_epoch, fg::Weight{weight(self, batch, at)});
        return loss;
      };
    };
  };
  require_refused(
      compare(logs([](auto&, auto&, auto& at) { return static_cast<double>(at.batch_index() + 1); })),
      "its fg::Weight is a number on the host that is not a size of the batch, and would stay what it was: leave it out (the "
      "batch size is taken), or log in on_train_batch_end");
  require_refused(compare(logs([](auto& self, auto&, auto&) { return 1.0 + self.calls; })), "fg::Weight");
  require_refused(compare(logs([](auto& self, auto&, auto&) { return self.calls < 12 ? 1.0 : 2.5; })), "fg::Weight");
  const auto by_epoch = [&](Model& model) {
    logs([](auto& self, auto&, auto&) { return self.number; })(model);
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() < 3 ? 8.0 : 4.0; };
  };
  require_refused(compare(by_epoch),
                  "its fg::Weight has changed since it was recorded, and would stay what it was: log in "
                  "on_train_batch_end");
  require_frozen(compare(logs([](auto&, const auto& batch, auto&) { return static_cast<double>(batch.data.numel()); }), 6, strict,
                         batches(6, {8, 5})));
}

TEST_CASE("numbers that are logged by way of a tensor, now and then, or under other flags are refused") {
  const auto made = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      at.log("number", torch::tensor(std::vector<double>{0.5 * self.calls}), fg::on_epoch);
      return self.loss(batch);
    };
  };
  require_refused(
      compare(made),
      "step.log(\"number\", …) cannot be frozen: a replay would log another number: the tensor is made from a number "
      "on the host, which would stay what it was. Log it in on_train_batch_end");
  const auto sometimes = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      auto loss = self.loss(batch);
      if (self.number > 1.5) at.log("late", loss, fg::on_epoch);
      at.log("loss", loss, self.number > 2.5 ? fg::on_epoch : fg::on_step);
      return loss;
    };
    model.epoch_start = [](Model& self, auto& at) { self.number = static_cast<double>(at.epoch()); };
  };
  require_refused(compare(sometimes),
                  "the step does not log the same each time, and a replay does: log what comes now and then in "
                  "on_train_batch_end");
  const auto otherwise = [&](Model& model) {
    sometimes(model);
    model.epoch_start = [](Model& self, auto& at) { self.number = at.epoch() < 2 ? 2.0 : 3.0; };
  };
  require_refused(compare(otherwise), "step.log(\"loss\"");
}

TEST_CASE("what the refusals advise is frozen: logs and numbers in hooks, tensors that stay as they are") {
  const std::vector<Prepare> advised{
      [](Model& model) {  // log in on_train_batch_end: numbers, weights, what comes now and then
        model.batch_end = [](Model&, auto& at) {
          at.log("number", static_cast<double>(at.batch_index()), fg::on_epoch);
          at.log("weighted", 1.0, fg::on_epoch, fg::Weight{2.5 * static_cast<double>(at.batch_index() + 1)});
          if (at.batch_index() % 2 == 0) at.log("late", 2.0, fg::on_epoch);
        };
      },
      [](Model& model) {  // log a clone()
        model.step = [](Model& self, const fg::Example& batch, auto& at) {
          auto loss = self.loss(batch);
          at.log("loss", loss.clone(), fg::on_epoch);
          loss += 0.1 * self.a->weight.square().sum();
          return loss;
        };
      },
      [](Model& model) {  // loss = loss + …, weights left out
        model.step = [](Model& self, const fg::Example& batch, auto& at) {
          auto loss = self.loss(batch);
          at.log("loss", loss, fg::on_epoch);
          loss = loss + 0.1 * self.a->weight.square().sum();
          return loss;
        };
      },
      [](Model& model) {  // a number in a tensor that a hook writes
        const auto factor = torch::ones({});
        model.step = [factor](Model& self, const fg::Example& batch, auto&) { return self.loss(batch) * factor; };
        model.batch_start = [factor](Model&, auto& at) { factor.fill_(1.0 / static_cast<double>(at.batch_index() + 1)); };
      },
      [](Model& model) {  // a clone() of the batch is changed
        model.step = [](Model& self, const fg::Example& batch, auto&) {
          return self.loss_of(batch.data.clone().mul_(0.9), batch.target);
        };
      },
      [](Model& model) {  // a generator is seeded in a hook
        model.step = [](Model& self, const fg::Example& batch, auto&) {
          return self.loss_of(
              batch.data + torch::empty_like(batch.data).normal_(0, 0.3, self.generator) + torch::randn_like(batch.data),
              batch.target);
        };
        model.batch_start = [](Model& self, auto& at) {
          self.generator.set_current_seed(static_cast<std::uint64_t>(at.batch_index()));
          torch::manual_seed(static_cast<std::uint64_t>(at.batch_index() + 1));
        };
      },
  };
  for (const Prepare& prepare : advised) {
    INFO(&prepare - advised.data());
    require_frozen(compare(prepare, 6, strict));
  }
}

TEST_CASE("a refusal is mentioned once, and that a strict policy stops instead") {
  const auto reads = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      auto loss = self.loss(batch);
      (void)loss.template item<double>();
      return loss;
    };
  };
  const support::Notices notices;
  const std::string refusal = compare(reads).frozen.refusal;
  CHECK(notices.text() == refusal + ". The training goes on eagerly; fg::Frozen{.strict = true} stops instead\n");
  CHECK_THROWS_WITH(train_as<Model>(strict, reads, batches(5), 1), refusal);
  CHECK(notices.all.size() == 1);
}

TEST_CASE("noise of a generator that the model owns is drawn as eagerly, and a check draws nothing") {
  const auto noise = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      const auto added = torch::empty_like(batch.data).normal_(0, 0.3, self.generator);
      const auto kept = torch::empty_like(batch.data).bernoulli_(0.8, self.other);
      const auto drawn = torch::rand({4}, self.generator) + torch::randn({4});
      return self.loss_of(nn::functional::dropout((batch.data + added) * kept + drawn, nn::functional::DropoutFuncOptions().p(0.2)),
                          batch.target);
    };
  };
  require_frozen(compare(noise, 6, strict));
  require_frozen(compare_windows(noise, 6, strict));
  const auto moved_between = [&noise](Model& model) {
    noise(model);
    model.batch_end = [](Model& self, auto& at) {
      if (at.batch_index() == 2) torch::rand({3}, self.generator);
      if (at.batch_index() == 3) torch::rand({5});
    };
    model.epoch_start = [](Model& self, auto& at) { self.other.set_current_seed(static_cast<std::uint64_t>(at.epoch() % 2)); };
  };
  require_frozen(compare(moved_between, 6, strict));
}

TEST_CASE("a generator that a replay could not follow is named") {
  const auto fresh = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      auto made = at::detail::createCPUGenerator(static_cast<std::uint64_t>(100 + self.calls));
      return self.loss_of(batch.data + torch::empty_like(batch.data).normal_(0, 0.3, made), batch.target);
    };
  };
  require_refused(compare(fresh), "aten::normal_ is given another generator (seed 103)");
  const auto seeded = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      self.generator.set_current_seed(42);
      return self.loss_of(batch.data + torch::empty_like(batch.data).normal_(0, 0.3, self.generator), batch.target);
    };
  };
  require_refused(compare(seeded), "the generator (seed 42) that aten::normal_ is given");
  const auto default_seeded = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      torch::manual_seed(42);
      return self.loss_of(batch.data + torch::randn_like(batch.data), batch.target);
    };
  };
  require_refused(
      compare(default_seeded),
      "the default generator is seeded or set back while the step runs (torch::manual_seed or set_state within training_step, "
      "or in another thread), which a replay does not repeat: seed it before the training or in a hook");
  const auto set_back = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      auto generator = at::detail::getDefaultCPUGenerator();
      const auto state = generator.get_state();
      auto noise = torch::randn_like(batch.data);
      generator.set_state(state);
      return self.loss_of(batch.data + noise, batch.target);
    };
  };
  require_refused(compare(set_back), "the default generator is seeded or set back while the step runs");
}

TEST_CASE("a default generator that was set back once, as another thread may do, is looked at again in the next batch") {
  const auto once = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto&) {
      if (self.calls == 3) torch::manual_seed(42);  // the check
      return self.loss_of(batch.data + torch::randn_like(batch.data), batch.target);
    };
  };
  require_frozen(compare(once, 6, strict));
}

TEST_CASE("frozen trainings in threads draw from the default generator without disturbing each other's checks") {
  const auto data = batches(20);
  std::vector<std::string> refusals(4);
  std::vector<int> calls(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Model model;
      model.step = [](Model& self, const fg::Example& batch, auto&) {
        return self.loss_of(nn::functional::dropout(batch.data, nn::functional::DropoutFuncOptions().p(0.3)), batch.target);
      };
      fg::Trainer trainer{model, fg::Frozen{}, fg::MaxEpochs{10}};
      trainer.fit(data);
      refusals[i] = trainer.frozen().refusal().value_or("");
      calls[i] = model.calls;
    });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(refusals[i].empty());
    CHECK(calls[i] < 40);
  }
}

TEST_CASE("kinds of batches beyond the tapes train eagerly, and that is said once with the number to set") {
  const auto plain = [](Model&) {};
  const auto data = batches(24, {3, 4, 5, 6, 7, 8});
  support::Notices notices;
  const auto few = compare(plain, 6, {.tapes = 2}, data);
  CHECK(few.frozen.tapes == 2);
  CHECK(few.replays());
  REQUIRE(notices.all.size() == 1);
  CHECK(notices.all[0] ==
        "fulgurite: 24 batches had 6 kinds (shapes, places in an accumulation window, parameters that require gradients) so "
        "far, more than "
        "fg::Frozen{.tapes = 2} has tapes for, and batches of the rest train eagerly. Set fg::Frozen{.tapes = 6}, or bring "
        "batches to "
        "fewer shapes");
  notices.all.clear();
  CHECK(compare(plain, 6, {.tapes = 6}, data).frozen.tapes == 6);
  CHECK(notices.all.empty());
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = 2; size < 26; ++size) sizes.push_back(size);
  CHECK(compare(plain, 1, {.tapes = 2}, batches(24, sizes)).frozen.tapes == 2);
  REQUIRE(notices.all.size() == 1);
  CHECK_THAT(notices.all[0],
             ContainsSubstring("fg::Frozen{.tapes = 2} has tapes for, and batches of the rest train eagerly. Most of them had "
                               "a kind that came only once: bring batches to fewer shapes (padding, buckets), or leave "
                               "fg::Frozen out"));
  // Windows: a kind has a tape for each place.
  CHECK(compare_windows(plain, 6, {.tapes = 3}, data).frozen.tapes == 3);
}

TEST_CASE("a tape is not recorded again and again, and one that is of no use any more makes room") {
  const auto epoch = [](Model& model) {
    model.step = [](Model& self, const fg::Example& batch, auto& at) {
      return self.loss(batch) * (1.0 / static_cast<double>(at.epoch() + 1));
    };
  };
  // Epochs of two batches: recorded and checked, and never replayed.
  const auto compared = compare(epoch, 40, {.tapes = 4}, batches(2));
  CHECK(compared.frozen.calls == compared.eager.calls);
  CHECK(compared.frozen.refusal.empty());
  // Another size in each phase, with fewer tapes than phases.
  const auto by_phase = [](int phase) { return batches(400, {phase + 3}); };
  Model model;
  fg::Trainer trainer{model, fg::Frozen{.strict = true, .tapes = 1}};
  auto loop = trainer.loop();
  for (int phase = 0; phase < 3; ++phase) {
    for (const auto& batch : by_phase(phase)) loop.step(batch);
  }
  CHECK(model.calls < 700);
}

TEST_CASE("checks are seldom") {
  const auto plain = [](Model&) {};
  CHECK(train_as<Model>(fg::Frozen{.strict = true}, plain, batches(1000), 1).calls < 10);
  CHECK(train_as<Model>(fg::Frozen{.strict = true}, plain, batches(100), 10).calls < 20);
  // Epochs of one batch.
  CHECK(train_as<Model>(fg::Frozen{.strict = true}, plain, batches(1), 400).calls < 130);
}
