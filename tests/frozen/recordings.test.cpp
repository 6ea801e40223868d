// SPDX-License-Identifier: MIT
// Which batches and updates run eagerly, are recorded, checked and replayed, with a recorder that only counts.
#include <fulgurite/frozen/frozen_steps.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fulgurite/concepts/step_watcher.hpp>
#include <fulgurite/frozen/detail/fingerprint.hpp>
#include <fulgurite/frozen/detail/recording.hpp>
#include <fulgurite/tensors/number.hpp>

#include "support/notices.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

using Batch = std::vector<at::Tensor>;
using Difference = std::optional<fg::FrozenDifference>;

enum class Refuses { nothing, after_the_step, before_the_step, updates };

/// What the recorder of the test at hand does, and what was done. A letter for each pass: `e`ager, `w`arm-up, `r`ecorded,
/// `v`erified, re`p`layed; for an update a capital letter, with `U` for an eager one.
struct Plan {
  bool makes_refused = true;
  Refuses refuses = Refuses::nothing;
  bool refuses_device = false;
  std::deque<Difference> found{};                      // by the next checks; none when it is empty
  std::optional<at::Tensor> result{};                  // of recordings, if not that of the step

  std::string calls{};
  std::vector<at::Device> devices{};                   // for which recorders were made
  std::vector<at::Tensor> inputs{}, changed_by_update{};
  std::vector<std::string> compared{};                 // by the last check
  bool within = false;                                 // of a recorder's call
};
Plan* plan = nullptr;

struct Within {
  Within() { plan->within = true; }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
  ~Within() { plan->within = false; }
};

class CountedRecording final : public fg::detail::Recording {
 public:
  explicit CountedRecording(at::Tensor result) : result_(std::move(result)) {}
  void replay() const override { plan->calls += result_.defined() ? 'p' : 'P'; }
  const at::Tensor& result() const override { return result_; }
  Difference verify(const fg::FrozenState& state, fg::detail::StepFunction step) const override {
    const Within within;
    plan->calls += result_.defined() ? 'v' : 'V';
    plan->compared.clear();
    for (const auto& [name, tensor] : state.tensors) plan->compared.push_back(name);
    static_cast<void>(step());
    if (plan->found.empty()) return std::nullopt;
    Difference first = plan->found.front();
    plan->found.pop_front();
    return first;
  }

 private:
  at::Tensor result_;
};

class CountingRecorder final : public fg::detail::StepRecorder {
 public:
  at::Tensor warm_up(fg::detail::StepFunction step) override {
    const Within within;
    plan->calls += 'w';
    return step();
  }
  std::unique_ptr<fg::detail::Recording> record(fg::detail::StepFunction step, const std::vector<at::Tensor>& inputs,
                                                std::vector<at::Tensor>) override {
    const Within within;
    const fg::FrozenRefusal refusal("what the test refuses", "it says so");
    if (plan->refuses == Refuses::before_the_step) throw fg::FrozenRefusal(refusal);
    const at::Tensor made = step();
    if (plan->refuses == Refuses::after_the_step) throw fg::FrozenRefusal(refusal);
    plan->calls += made.defined() ? 'r' : 'R';
    if (!made.defined() && plan->refuses == Refuses::updates) throw fg::FrozenRefusal(refusal);
    (made.defined() ? plan->inputs : plan->changed_by_update) = inputs;
    if (!made.defined()) return std::make_unique<CountedRecording>(made);
    return std::make_unique<CountedRecording>(plan->result ? *plan->result : made.detach().clone());
  }
  bool makes_refused_steps() const override { return plan->makes_refused; }
};

struct Step {
  std::int64_t epoch_ = 0;
  bool last = false;
  std::vector<std::string>* logged = nullptr;

  std::int64_t epoch() const {
    fg::detail::watch(fg::detail::StepNumber::epoch, epoch_);
    return epoch_;
  }
  bool is_last_batch() const {
    fg::detail::watch(fg::detail::StepNumber::is_last_batch, last ? 1 : 0);
    return last;
  }
  void log(std::string_view name, const fg::Number& value, fg::LogFlags flags = {}) const {
    if (fg::detail::step_watcher && !fg::detail::step_watcher->on_log({name, value, flags, {}})) return;
    logged->emplace_back(name);
  }
  void log(std::string_view name, const fg::Number& value, fg::LogFlags flags, fg::Weight) const { log(name, value, flags); }
};

struct Model : nn::Module {
  at::Tensor weight = register_parameter("weight", torch::ones({2}));
  nn::Dropout below = register_module("below", nn::Dropout());
};
struct Empty : nn::Module {};
struct Elsewhere : nn::Module {
  at::Tensor weight = register_parameter("weight", torch::empty({2}, at::kMeta));
};

struct Optimizer {
  static constexpr bool repeats_update = true;
  std::vector<at::Tensor> parameters;
  std::uint64_t revision_ = 7;
  int brought = 0;

  void bring_rates() { ++brought; }
  std::uint64_t revision() const { return revision_; }
  template <class F>
  void for_each_parameter(F&& f) const {
    for (const auto& parameter : parameters) f(parameter);
  }
  template <class F>
  void for_each_state(F&& f) const {
    f("momentum", torch::zeros({2}));
  }
};

template <class M>
struct TrainingOf {
  Plan own{};
  M model{};
  Optimizer optimizer;
  fg::FrozenSteps steps;
  std::vector<std::string> logged{};
  support::Notices notices{};
  int passes = 0;   // that training_step ran
  int updates = 0;  // that ran, not those replayed
  std::function<at::Tensor(const Batch&, const Step&)> code = [](const Batch& batch, const Step&) { return batch[0].sum(); };

  explicit TrainingOf(fg::Frozen policy = {})
      : optimizer{model.parameters()}, steps(policy, [](at::Device device) -> std::unique_ptr<fg::detail::StepRecorder> {
          plan->devices.push_back(device);
          if (plan->refuses_device) throw fg::FrozenRefusal("this device", "it has no recorder");
          return std::make_unique<CountingRecorder>();
        }) {
    plan = &own;
  }
  TrainingOf(const TrainingOf&) = delete;
  TrainingOf& operator=(const TrainingOf&) = delete;
  ~TrainingOf() { plan = nullptr; }

  at::Tensor run(const Batch& batch, Step step = {}, fg::FrozenPlace place = {true, 1.0}) {
    step.logged = &logged;
    return steps.run(model, optimizer, step, batch, place, [&](const Batch& given) {
      if (!own.within) own.calls += 'e';
      ++passes;
      return code(given, step);
    });
  }
  /// `count` batches of `size` elements.
  void run(int count, std::int64_t size, Step step = {}) {
    for (int i = 0; i < count; ++i) run({torch::ones({size})}, step);
  }
  void update() {
    steps.update(optimizer, [&] {
      if (!own.within) own.calls += 'U';
      ++updates;
    });
  }
  /// Batches, each with its update.
  void train(int count, std::int64_t size = 2, Step step = {}) {
    for (int i = 0; i < count; ++i) {
      run(1, size, step);
      update();
    }
  }
  std::string calls() { return std::exchange(own.calls, {}); }
  std::string refusal() const { return steps.refusal().value_or(""); }
};
using Training = TrainingOf<Model>;

std::string times(int count, const std::string& text) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

Difference other_loss(bool uncertain) { return fg::FrozenDifference{"the loss", "aten::mul", "the test says so", uncertain}; }
const auto certain = other_loss(false);
const auto doubt = other_loss(true);

const std::string differs = "fulgurite: a replay of the frozen step differs from an eager one in the loss: the test says so";

}  // namespace

TEST_CASE("a tape is checked after 64 replays, and then at distances that double") {
  Training training;
  training.run(454, 2);
  CHECK(training.calls() == "wrv" + times(64, "p") + "v" + times(128, "p") + "v" + times(256, "p") + "v");
}

TEST_CASE("a tape is checked when an epoch begins, which does not move the other checks") {
  Training training;
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) training.run(70, 2, {epoch});
  CHECK(training.calls() == "wrv" + times(64, "p") + "vpp" + times(3, "v" + times(69, "p")));
}

TEST_CASE("after 32 epochs a check waits for four replays") {
  Training training;
  for (std::int64_t epoch = 0; epoch < 49; ++epoch) training.run(1, 2, {epoch});
  CHECK(training.calls() == "wr" + times(32, "v") + times(3, "ppppv"));
}

TEST_CASE("checks that another thread may have disturbed are made again at once, and the fourth in a row counts") {
  Training training;
  training.own.found = {{}, doubt, doubt, doubt, {}, doubt, doubt, doubt, {}, doubt, doubt, doubt, doubt};
  training.run(67 + 132 + 260, 2);
  CHECK(training.calls() == "wrv" + times(64, "p") + "vvvv" + times(128, "p") + "vvvv" + times(256, "p"));
  CHECK(training.refusal().empty());
  training.run(5, 2);
  CHECK(training.calls() == "vvvve");
  CHECK(training.refusal() == differs + ". This was found when the tape was checked anew; the 256 steps of its kind before were "
                                        "replayed as they had been recorded");
  CHECK(training.steps.tapes() == 0);
  CHECK(training.notices.all.size() == 1);

  Training at_once;
  at_once.own.found = {doubt, doubt, doubt, {}, certain};
  at_once.run(6, 2);
  CHECK(at_once.calls() == "wrvvvv");
  CHECK(at_once.refusal().empty());
  Training refused;
  refused.own.found = {certain};
  refused.train(3);
  CHECK(refused.calls() == "wUrUvU");
  CHECK(refused.refusal() == differs);
}

TEST_CASE("a step that asks for the epoch is recorded again in each, if replays have paid for it") {
  const auto by_epoch = [](const Batch& batch, const Step& step) { return batch[0].sum() * static_cast<double>(step.epoch()); };
  Training training({.tapes = 1});
  training.code = by_epoch;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) training.run(19, 2, {epoch});
  CHECK(training.calls() == "wrv" + times(16, "p") + times(2, "rv" + times(17, "p")));
  CHECK(training.steps.tapes() == 1);
  CHECK(training.steps.kinds() == 1);
  Training shorter({.tapes = 1});
  shorter.code = by_epoch;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) shorter.run(18, 2, {epoch});
  CHECK(shorter.calls() == "wrv" + times(15, "p") + times(36, "e"));
}

TEST_CASE("recordings are paid for by replays, all of them") {
  Training training({.tapes = 1});
  training.code = [](const Batch& batch, const Step& step) { return batch[0].sum() * static_cast<double>(step.epoch()); };
  training.run(3 + 31, 2, {0});                                // 31 replays pay for one recording, not for two
  training.run(2, 2, {1});
  training.run(2, 2, {2});
  CHECK(training.calls() == "wrv" + times(31, "p") + "rvee");
}

TEST_CASE("a tape of the present epoch is kept, also by a step that asks for more than the epoch") {
  Training training({.tapes = 1});
  training.code = [](const Batch& batch, const Step& step) {
    return batch[0].sum() * static_cast<double>(step.epoch()) * (step.is_last_batch() ? 2.0 : 1.0);
  };
  training.run(20, 2, {0, false});
  training.run(2, 2, {0, true});
  training.run(2, 3, {0, false});
  training.run(1, 2, {0, false});
  CHECK(training.calls() == "wrv" + times(17, "p") + "eeeep");
  CHECK(training.steps.kinds() == 3);
  training.run(3, 2, {1, true});  // the tape of the first epoch goes, and this kind gets one
  CHECK(training.calls() == "rvp");
  CHECK(training.steps.tapes() == 1);
  CHECK(training.steps.kinds() == 2);

  Training asks_last({.tapes = 1});
  asks_last.code = [](const Batch& batch, const Step& step) { return batch[0].sum() * (step.is_last_batch() ? 2.0 : 1.0); };
  asks_last.run(20, 2, {1, true});
  asks_last.run(2, 2, {2, false});
  asks_last.run(1, 2, {2, true});
  CHECK(asks_last.calls() == "wrv" + times(17, "p") + "eev");
}

TEST_CASE("a tape that 256 batches have not used makes room for another kind") {
  Training training({.tapes = 1});
  training.run(19, 2);
  training.run(255, 3);
  CHECK(training.calls() == "wrv" + times(16, "p") + times(255, "e"));
  CHECK(training.steps.kinds() == 2);
  CHECK(training.notices.all.empty());
  training.run(4, 3);
  CHECK(training.calls() == "wrvp");
  CHECK(training.steps.tapes() == 1);
  CHECK(training.steps.kinds() == 1);

  Training unpaid({.tapes = 1});
  unpaid.run(18, 2);
  unpaid.run(300, 3);
  unpaid.run(1, 2);
  CHECK(unpaid.calls() == "wrv" + times(15, "p") + times(300, "e") + "p");
}

TEST_CASE("of several tapes the one goes that was used last the longest ago") {
  Training training({.tapes = 2});
  training.run(3, 2);
  training.run(3, 3);
  training.run(40, 2);
  training.run(215, 4);
  CHECK(training.calls() == "wrvwrv" + times(40, "p") + times(215, "e"));
  training.run(2, 4);
  training.run(1, 2);
  training.run(1, 3);
  CHECK(training.calls() == "wrpe");
  CHECK(training.steps.tapes() == 2);

  Training fresh({.tapes = 2});
  fresh.run(300, 2);
  fresh.run(1, 3);
  fresh.calls();
  fresh.run(1, 4);
  CHECK(fresh.calls() == "e");
}

TEST_CASE("places in a window are kinds of their own") {
  TrainingOf<Empty> training({.tapes = 1});
  training.run({torch::ones({2})}, {}, {true, 1.0});
  training.run({torch::ones({2})}, {}, {true, 2.0});
  training.run({torch::ones({2})}, {}, {false, 2.0});
  training.run({torch::ones({2})}, {}, {false, 2.0});
  CHECK(training.calls() == "weee");
  CHECK(training.steps.tapes() == 1);
  CHECK(training.steps.kinds() == 3);
}

TEST_CASE("that batches have no tape is said once, with the number of tapes, or that tapes do not help") {
  const auto said = [](int batches, int kinds) {
    Training training({.tapes = 1});
    training.run(1, 1);
    for (int i = 0; i < batches; ++i) training.run(1, 2 + i % kinds);
    CHECK(training.notices.all.empty());
    training.steps.end_epoch();
    training.steps.end_epoch();
    REQUIRE(training.notices.all.size() == 1);
    return training.notices.all[0];
  };
  const std::string most = "Most of them had a kind that came only once: bring batches to fewer shapes (padding, buckets), or leave "
                           "fg::Frozen out";
  CHECK_THAT(said(16, 9), StartsWith("fulgurite: 17 batches had 10 kinds (shapes, ") && EndsWith(most));
  CHECK_THAT(said(17, 9), EndsWith(most));
  CHECK_THAT(said(16, 8), EndsWith("Set fg::Frozen{.tapes = 9}, or bring batches to fewer shapes"));
  CHECK_THAT(said(15, 15), EndsWith("Set fg::Frozen{.tapes = 16}, or bring batches to fewer shapes"));

  Training training({.tapes = 1});
  training.run(2, 1);
  for (int i = 0; i < 255; ++i) training.run(1, 2 + i);
  CHECK(training.notices.all.empty());
  training.run(1, 257);
  REQUIRE(training.notices.all.size() == 1);
  CHECK_THAT(training.notices.all[0], StartsWith("fulgurite: 258 batches had 257 kinds (shapes, ") && EndsWith(most));
  for (int i = 258; i < 4200; ++i) training.run(1, i);
  CHECK(training.steps.kinds() == 1 + 4096);
  training.steps.end_epoch();
  CHECK(training.notices.all.size() == 1);

  Training refused({.tapes = 1});
  refused.run(1, 1);
  refused.run(20, 2);
  refused.own.refuses = Refuses::after_the_step;
  refused.run(1, 1);
  refused.steps.end_epoch();
  CHECK(refused.notices.all.size() == 1);
  CHECK(refused.notices.all[0] == "fulgurite: a step with what the test refuses cannot be frozen: it says so. The training goes on "
                                  "eagerly; fg::Frozen{.strict = true} stops instead");
}

TEST_CASE("the recorder is made once, for the device of the model's first tensor") {
  Training training;
  training.run(5, 2);
  CHECK(training.own.devices == std::vector<at::Device>{at::kCPU});
  TrainingOf<Empty> empty;
  empty.run(3, 2);
  CHECK(empty.own.devices == std::vector<at::Device>{at::kCPU});

  for (const bool strict : {false, true}) {
    TrainingOf<Elsewhere> refused({.strict = strict});
    refused.own.refuses_device = true;
    if (strict) {
      CHECK_THROWS_AS(refused.run(1, 2), fg::FrozenRefusal);
    } else {
      refused.train(2);
      CHECK(refused.calls() == "eUeU");
      CHECK(refused.refusal() == "fulgurite: a step with this device cannot be frozen: it has no recorder");
    }
    CHECK(refused.own.devices == std::vector<at::Device>{at::kMeta});
  }
}

TEST_CASE("a step that could not be recorded is made eagerly, from the state before") {
  for (const bool makes_refused : {false, true}) {
    Training training;
    training.own.makes_refused = makes_refused;
    training.code = [&](const Batch& batch, const Step&) {
      auto& weight = training.model.weight;
      const auto loss = (weight * batch[0] * torch::rand({2})).sum();
      loss.backward();
      const torch::NoGradGuard no_grad;
      weight -= 0.1 * weight.grad();
      return loss;
    };
    const auto prepare = [&](Refuses refuses) {
      torch::manual_seed(4);
      training.own.refuses = refuses;
      const torch::NoGradGuard no_grad;
      training.model.weight.fill_(1.0);
      training.model.weight.mutable_grad() = torch::ones({2});
    };
    prepare(Refuses::nothing);
    const Step step;
    const auto loss = training.code({torch::ones({2})}, step).detach().clone();
    const auto weight = training.model.weight.detach().clone();
    const auto gradient = training.model.weight.grad().clone();
    const auto generator = at::detail::getDefaultCPUGenerator().get_state();

    training.run(1, 2);
    training.calls();
    prepare(makes_refused ? Refuses::before_the_step : Refuses::after_the_step);
    CHECK(torch::equal(training.run({torch::ones({2})}), loss));
    CHECK(training.calls() == "e");
    CHECK(torch::equal(training.model.weight, weight));
    CHECK(torch::equal(training.model.weight.grad(), gradient));
    CHECK(torch::equal(at::detail::getDefaultCPUGenerator().get_state(), generator));
    CHECK(training.refusal() == "fulgurite: a step with what the test refuses cannot be frozen: it says so");
  }
  Training made;
  made.own.refuses = Refuses::after_the_step;
  made.run(2, 2);
  CHECK(made.calls() == "w");
  CHECK(made.passes == 2);
}

TEST_CASE("what a capture has written into its copy of a batch that was not recorded is not written twice") {
  Training training;
  training.own.makes_refused = false;
  training.run(1, 2);
  training.own.refuses = Refuses::after_the_step;
  training.code = [](const Batch& batch, const Step&) { return torch::Tensor(batch[0]).mul_(0.5).sum(); };
  const Batch batch{torch::ones({2})};
  training.run(batch);
  CHECK(torch::equal(batch[0], torch::full({2}, 0.5)));
}

TEST_CASE("tapes are gone when it is said that none are recorded any more") {
  Training training;
  std::size_t tapes = 9;
  auto before = fg::set_notice_handler([&](std::string_view) { tapes = training.steps.tapes(); });
  training.own.found = {certain};
  training.run(3, 2);
  fg::set_notice_handler(std::move(before));
  CHECK(tapes == 0);
}

TEST_CASE("the first fault of a step that is recorded is said, in order of what tells most") {
  const std::vector<std::string> words = {"a number on the host would stay what it was", "a batch that it writes",
                                          "set_requires_grad, train(), eval() or set_data within training_step"};
  for (std::size_t first = 0; first < words.size(); ++first) {
    Training training;
    training.code = [&](const Batch& batch, const Step& step) {
      if (training.passes == 2) {
        if (first == 0) step.log("x", 1.0);
        if (first <= 1) batch[0].mul_(0.5);
        training.model.below->eval();
      }
      return batch[0].sum();
    };
    training.run(2, 2);
    CHECK_THAT(training.refusal(), ContainsSubstring(words[first]));
  }
}

TEST_CASE("the first fault of a step that is checked is said, in order of what tells most") {
  const std::vector<std::string> words = {"a number on the host would stay what it was",
                                          "differs from an eager one in the loss",
                                          "the step does not log the same each time",
                                          "a batch that it writes",
                                          "set_requires_grad, train(), eval() or set_data within training_step",
                                          "a trained tensor of shape [] that is not a parameter of the model"};
  for (std::size_t first = 0; first < words.size(); ++first) {
    Training training;
    const auto beside = torch::ones({}).requires_grad_();
    if (first <= 1) training.own.found = {certain};
    training.code = [&](const Batch& batch, const Step& step) {
      if (training.passes == 3) {
        if (first == 0) step.log("x", 1.0);
        if (first <= 2) step.log("y", torch::ones({}));
        if (first <= 3) batch[0].mul_(0.5);
        if (first <= 4) training.model.below->eval();
      }
      return batch[0].sum() * beside;
    };
    training.run(3, 2);
    CHECK_THAT(training.refusal(), ContainsSubstring(words[first]));
    CHECK_THAT(training.refusal(), !ContainsSubstring("This was found when"));
    training.run(1, 2);
    CHECK(training.calls() == "wrve");
  }
}

TEST_CASE("a logged tensor that is changed afterwards is refused where it is recorded, and where it is checked") {
  for (const int pass : {2, 3}) {
    Training training({.strict = true});
    training.code = [&](const Batch& batch, const Step& step) {
      auto loss = batch[0].sum();
      step.log("loss", loss);
      if (training.passes == pass) loss += 1.0;
      return loss;
    };
    training.run(pass - 1, 2);
    CHECK_THROWS_WITH(training.run(1, 2),
                      "fulgurite: a step with step.log(\"loss\", …) cannot be frozen: the tensor is changed in place afterwards "
                      "(`loss += …`), and a replay logs what it has become: log a clone(), or write `loss = loss + …`");
  }
}

TEST_CASE("each batch is logged once, however it is run") {
  for (const bool makes_refused : {false, true}) {
    Training training;
    training.own.makes_refused = makes_refused;
    training.code = [](const Batch& batch, const Step& step) {
      step.log("loss", batch[0].sum());
      return batch[0].sum();
    };
    for (std::size_t count = 1; count < 7; ++count) {
      training.run(1, 2);
      CHECK(training.logged.size() == count);
    }
    CHECK(training.calls() == "wrvppp");
  }
}

TEST_CASE("a batch that the step writes is written, and the rest of it left alone") {
  for (const bool strict : {false, true}) {
    for (const int pass : {2, 3}) {
      Training training({.strict = strict});
      training.code = [&](const Batch& batch, const Step&) {
        const torch::NoGradGuard no_grad;
        if (training.passes == pass) batch[0].mul_(0.5);
        return batch[0].sum();
      };
      const auto batch = [] { return Batch{torch::ones({2}).requires_grad_(), torch::ones({1}).expand({3})}; };
      for (int i = 1; i < pass; ++i) training.run(batch());
      const Batch written = batch();
      if (strict) {
        CHECK_THROWS_AS(training.run(written), fg::FrozenRefusal);
      } else {
        CHECK(training.run(written).item<double>() == 1.0);
        CHECK(training.refusal() == "fulgurite: a step with a batch that it writes cannot be frozen: it is given a copy, so the "
                                    "batch itself would stay as it is: let training_step change a clone()");
      }
      CHECK(torch::equal(written[0], torch::full({2}, 0.5)));
      CHECK(torch::equal(written[1], torch::ones({3})));
    }
  }
}

TEST_CASE("a replay reads the batch at hand, whatever its tensors are like") {
  Training training;
  training.code = [](const Batch& batch, const Step&) { return batch[0].sum(); };
  const auto batch = [](double value) {
    return Batch{torch::full({1}, value),
                 torch::empty({0, 2}),
                 (torch::arange(6.0) + value).view({2, 3}),
                 (torch::arange(6.0) + value).view({3, 2}).t(),
                 torch::full({3, 1}, value).expand({3, 2}),
                 torch::full({2, 3}, value).t().requires_grad_(),
                 at::Tensor()};
  };
  for (int i = 0; i < 3; ++i) training.run(batch(i));
  const Batch now = batch(8.0);
  training.run(now);
  CHECK(training.calls() == "wrvp");
  for (std::size_t i = 0; now[i].defined(); ++i) {
    INFO(i);
    CHECK(fg::detail::same_bits(training.own.inputs.at(i), now[i]));
    CHECK_FALSE(training.own.inputs.at(i).requires_grad());
  }
}

TEST_CASE("the loss of a replay is a copy of its own, in order") {
  for (const bool transposed : {false, true}) {
    Training training;
    training.own.result = transposed ? torch::arange(6.0).view({2, 3}).t() : torch::arange(6.0).view({3, 2});
    training.run(3, 2);
    const at::Tensor loss = training.run({torch::ones({2})});
    CHECK(torch::equal(loss, *training.own.result));
    training.own.result->fill_(0.0);
    CHECK(loss.sum().item<double>() == 15.0);
  }
}

TEST_CASE("a tensor that a step trains for itself is not kept after the first check") {
  Training training;
  c10::weak_intrusive_ptr<c10::TensorImpl> leaf(torch::ones({}).getIntrusivePtr());
  training.code = [&](const Batch& batch, const Step&) {
    const auto noise = torch::zeros({2}).requires_grad_();
    if (training.passes == 2) leaf = noise.getIntrusivePtr();
    return (batch[0] + noise).sum();
  };
  training.run(2, 2);
  CHECK_FALSE(leaf.expired());
  training.run(1, 2);
  CHECK(leaf.expired());
  training.run(1, 2);
  CHECK(training.calls() == "wrvp");
}

TEST_CASE("an update is recorded once the optimizer stays as it is, checked, and replayed") {
  Training training;
  training.model.weight.mutable_grad() = torch::ones({2});
  training.train(70);
  CHECK(training.calls() == "wUrUvRpV" + times(63, "pP") + "vVpPpP");
  CHECK(training.optimizer.brought == 69);
  CHECK(training.own.compared == std::vector<std::string>{"weight", "momentum"});
  const auto changes = [&](const at::Tensor& tensor) {
    for (const auto& each : training.own.changed_by_update) {
      if (each.is_same(tensor)) return true;
    }
    return false;
  };
  CHECK(changes(training.model.weight));
  CHECK(changes(training.model.weight.grad()));

  const auto gradient = std::exchange(training.model.weight.mutable_grad(), torch::ones({2}));
  training.train(2);
  training.model.weight.mutable_grad() = at::Tensor();
  training.train(1);
  CHECK(training.calls() == "pUpUpU");
  training.model.weight.mutable_grad() = gradient;
  training.train(1);
  CHECK(training.calls() == "pP");
  ++training.optimizer.revision_;
  training.train(4);
  CHECK(training.calls() == "pUpRpVpP");
}

TEST_CASE("the update after a batch without a tape is eager") {
  Training training({.tapes = 1});
  training.train(6);
  training.train(2, 3);
  training.train(1);
  CHECK(training.calls() == "wUrUvRpVpPpPeUeUpP");
}

TEST_CASE("checks of an update that another thread may have disturbed are made again, and the fourth in a row counts") {
  Training training;
  training.own.found = {{}, doubt, doubt, doubt, {}, {}, doubt, doubt, doubt, {}, doubt};
  training.train(72);
  CHECK(training.calls() == "wUrUvR" + times(4, "pV") + times(60, "pP") + "vV" + times(3, "pV") + "pP");
  CHECK(training.refusal().empty());

  Training refused;
  refused.own.found = {{}, doubt, doubt, doubt, doubt};
  refused.train(8);
  CHECK(refused.calls() == "wUrUvRpVpVpVpVeU");
  CHECK(refused.refusal() == differs);
  Training at_once;
  at_once.own.found = {{}, certain};
  at_once.train(5);
  CHECK(at_once.calls() == "wUrUvRpVeU");
  CHECK(at_once.refusal() == differs);
}

TEST_CASE("an update that cannot be recorded is made once all the same") {
  for (const bool makes_refused : {false, true}) {
    for (const bool strict : {false, true}) {
      Training training({.strict = strict});
      training.own.makes_refused = makes_refused;
      training.own.refuses = Refuses::updates;
      training.train(2);
      training.run(1, 2);
      const int before = training.updates;
      if (strict) {
        CHECK_THROWS_AS(training.update(), fg::FrozenRefusal);
      } else {
        training.update();
        CHECK(training.refusal() == "fulgurite: a step with what the test refuses cannot be frozen: it says so");
      }
      CHECK(training.updates == before + (makes_refused ? 1 : 2));  // the recorder's own, which a capture does not make
      training.calls();
      training.update();
      CHECK(training.calls() == "U");
    }
  }
}
