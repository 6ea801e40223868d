// SPDX-License-Identifier: MIT
// Files of checkpoints: what they hold, and what is refused with which words, with nothing changed. That runs go on bit for bit
// is tested in resume*.test.cpp.
#include <fulgurite/checkpoint/training.hpp>

#include "support/files.hpp"
#include "support/notices.hpp"
#include "support/resume.hpp"
#include "support/system_calls.hpp"

#include <fulgurite/callbacks.hpp>
#include <fulgurite/optim.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers.hpp>

#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

/// A file of this value, as Python may have written it.
void write_value(const std::filesystem::path& file, const c10::IValue& value) {
  const auto bytes = torch::pickle_save(value);
  support::write_file(file, {bytes.data(), bytes.size()});
}

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using resume::Picture;
using resume::require_same;
using resume::Scratch;

struct Plain : resume::Host {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(layer->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_epoch);
    return loss;
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};

template <class Trainer>
void train(Trainer& trainer, int batches) {
  torch::manual_seed(4);
  resume::train(trainer, batches, 4, 2);
}

/// `load` throws these words, and leaves the trainer as it was.
template <class Trainer>
void require_refused(Trainer& trainer, const std::filesystem::path& path, const std::string& words) {
  using Model = std::remove_cvref_t<decltype(trainer.model())>;
  const Picture<Model> before(trainer);
  CHECK_THROWS_WITH(fg::load_checkpoint(trainer, path),
                    StartsWith("fulgurite: cannot load the checkpoint " + path.string()) && ContainsSubstring(words));
  require_same(before, Picture<Model>(trainer));
}

/// A trainer of another kind refuses what a trainer of Plain saved.
template <class Model, class... Policies>
void require_refused_by(const std::string& words, Policies... policies) {
  const Scratch file;
  Plain saved;
  fg::Trainer trainer{saved};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  torch::manual_seed(8);
  Model model;
  fg::Trainer other{model, policies...};
  require_refused(other, file.path, words);
}

TEST_CASE("a program's own loop goes on where it was saved, in the middle of a window") {
  const Scratch file;
  Plain model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  train(trainer, 6);
  fg::save_checkpoint(trainer, file.path);
  CHECK(support::names_in(file.folder.path) == std::set<std::string>{"run.ckpt"});

  Plain other;
  fg::Trainer resumed{other, fg::Accumulate<4>{}};
  fg::load_checkpoint(resumed, file.path);
  CHECK(resumed.progress().batch == 6);
  require_same(Picture<Plain>(trainer), Picture<Plain>(resumed));
  for (auto* each : {&trainer, &resumed}) {
    train(*each, 5);
    each->loop().end_epoch();
  }
  require_same(Picture<Plain>(trainer), Picture<Plain>(resumed));
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("parameters without gradient stay without, in an open window and in a closed one") {
  const Scratch file;
  for (const int batches : {6, 8}) {
    resume::Scratch gone;
    struct Net : resume::Net {
      auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
    } model, other;
    fg::Trainer trainer{model, fg::Accumulate<4>{}}, resumed{other, fg::Accumulate<4>{}};
    train(trainer, batches);
    fg::save_checkpoint(trainer, file.path);
    train(resumed, 1);
    fg::load_checkpoint(resumed, file.path);
    CHECK(!other.unused->weight.grad().defined());
    CHECK(other.first->weight.grad().defined() == (batches == 6));
    if (batches == 6) CHECK(at::equal(other.first->weight.grad(), model.first->weight.grad()));
  }
}

TEST_CASE("weights can be read out of a checkpoint, by fg::load_weights and as torch.save's dictionary") {
  const Scratch file;
  Plain model;
  fg::Trainer trainer{model};
  trainer.log_hyperparameters({{"lr", 0.01}, {"layers", 1}, {"name", "plain"}, {"bias", true}});
  train(trainer, 2);
  fg::save_checkpoint(trainer, file.path);

  torch::nn::Linear layer(4, 2);
  struct Inference : torch::nn::Module {
    torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));
  } inference;
  const void* place = inference.layer->weight.const_data_ptr();
  fg::load_weights(inference, file.path);
  CHECK(inference.layer->weight.const_data_ptr() == place);
  CHECK(at::equal(inference.layer->weight, model.layer->weight));
  CHECK_THROWS_WITH(fg::load_weights(*layer, file.path), ContainsSubstring("it has no weight weight"));

  const auto dictionary = fg::detail::read_pickle(file.path);
  CHECK(fg::detail::find(dictionary, "global_step")->toInt() == 2);
  // What torch.load takes without being told to trust the file: no functions of torch.jit are called. (Nothing is compressed.)
  CHECK_THAT(support::text_of(file.path), ContainsSubstring("_rebuild_tensor_v2") && !ContainsSubstring("torch.jit"));
  Plain other;
  fg::Trainer resumed{other};
  fg::load_checkpoint(resumed, file.path);
  REQUIRE(resumed.hyperparameters().size() == 4);
  CHECK((resumed.hyperparameters() == trainer.hyperparameters()));
}

TEST_CASE("files that hold no training are refused by what they are") {
  const Scratch file;
  Plain model;
  fg::Trainer trainer{model};
  train(trainer, 3);
  require_refused(trainer, file.path, "there is no such file");

  fg::save_weights(model, file.path);
  require_refused(trainer, file.path,
                  "it holds weights only, without the training around them: read it with fg::load_weights, or save with "
                  "fg::save_checkpoint");
  fg::load_weights(model, file.path);

  fg::save_checkpoint(trainer, file.path);
  const std::string whole = support::text_of(file.path);
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 1}) {
    support::write_file(file.path, std::string_view(whole).substr(0, size));
    require_refused(trainer, file.path, "it is cut short, or not a checkpoint: it");
  }
  // A directory that promises a record far beyond the file's end: both of its sizes, little-endian.
  std::string beyond = whole;
  const auto entry = beyond.find("PK\x01\x02");
  REQUIRE(entry != std::string::npos);
  for (const std::size_t place : {20u, 24u}) beyond.replace(entry + place, 4, std::string("\0\0\0\x40", 4));
  support::write_file(file.path, beyond);
  require_refused(trainer, file.path, "it is cut short, or not a checkpoint: it");

  const auto write = [&](const c10::IValue& value) { write_value(file.path, value); };
  write(fg::detail::new_dict(c10::StringType::get()));
  require_refused(trainer, file.path, "it was not written by fg::save_checkpoint, and holds no training that could go on");

  fg::save_checkpoint(trainer, file.path);
  auto dictionary = fg::detail::read_pickle(file.path).toGenericDict();
  dictionary.insert_or_assign("fulgurite_checkpoint", std::int64_t{99});
  write(dictionary);
  require_refused(trainer, file.path,
                  "it is of version 99 of the format, and this version of the library reads version 1: load it with the "
                  "version that saved it");

  fg::save_checkpoint(trainer, file.path);
  {
    const support::FullDisk full;
    CHECK_THROWS_WITH(fg::save_checkpoint(trainer, file.path),
                      ContainsSubstring("cannot save a checkpoint to " + file.path.string()) && ContainsSubstring("cannot write") &&
                          ContainsSubstring("No space left on device"));
  }
  CHECK(fg::detail::find(fg::detail::read_pickle(file.path), "global_step")->toInt() == 3);

  const auto deep = file.folder.path / "new" / "folder" / "run.ckpt";
  fg::save_checkpoint(trainer, deep);
  CHECK(support::text_of(deep) == support::text_of(file.path));
}

struct Wider : Plain {
  torch::nn::Linear more = register_module("more", torch::nn::Linear(2, 2));
};
struct OtherShape : Plain {
  OtherShape() { layer = replace_module("layer", torch::nn::Linear(4, 3)); }
};
/// Its optimizer trains a tensor that the model does not register.
struct Beside : Plain {
  torch::Tensor more = torch::zeros({2}, torch::requires_grad());
  auto configure_optimizers() {
    auto all = parameters();
    all.push_back(more);
    return fg::optimizer(fg::AdamW(all, {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1});
  }
};
struct Bare : resume::Host {
  torch::nn::Linear stratum = register_module("stratum", torch::nn::Linear(4, 2));
  torch::Tensor training_step(const fg::Example& batch, auto&) { return stratum->forward(batch.data).sum(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

TEST_CASE("a model of another shape is refused by its weights, and the message says what to do") {
  const std::string advice =
      ". Make the model and its optimizers with the parameters that they had when it was saved: the same names and shapes";
  const std::string weights_alone = advice + ". For the weights alone: with fg::load_weights(model, path";
  require_refused_by<Wider>("it has no weight more.weight, which the model has; it has no weight more.bias, which the model has" +
                            weights_alone + ", {.strict = false}) the model finds 2 of its 4 weights");
  require_refused_by<OtherShape>("layer.weight is [2, 4] there and [3, 4] in the model; layer.bias is [2] there and [3] in the "
                                 "model" + advice);
  require_refused_by<Bare>("it has a weight layer.bias, and the model has none of that name" + weights_alone +
                           ", {.rename = {{\"layer.\", \"stratum.\"}}}) the model finds its weights");
  require_refused_by<Beside>("it has no weight optimizer_0.parameter_2, which the model has" + weights_alone +
                             ") the model finds its weights");
  require_refused_by<Plain>(
      "layer.weight is Float there and Double in the model: give the model the number format and the "
      "trainer the precision with which it was saved",
      fg::Float64{});

  const Scratch file;
  Plain saved;
  fg::Trainer trainer{saved};
  fg::save_checkpoint(trainer, file.path);
  Wider wider;
  fg::load_weights(wider, file.path, {.strict = false});
  CHECK(at::equal(wider.layer->weight, saved.layer->weight));
  Bare bare;
  fg::load_weights(bare, file.path, {.rename = {{"layer.", "stratum."}}});
  CHECK(at::equal(bare.stratum->weight, saved.layer->weight));
  Beside beside;
  fg::load_weights(beside, file.path);
  CHECK(at::equal(beside.layer->weight, saved.layer->weight));
}

TEST_CASE("a model of another number format is loaded when it has the one that was saved") {
  const Scratch file;
  Plain saved, other;
  saved.to(torch::kDouble);
  fg::Trainer trainer{saved}, resumed{other};
  fg::save_checkpoint(trainer, file.path);
  require_refused(resumed, file.path, "layer.weight is Double there and Float in the model");
  other.to(torch::kDouble);
  fg::load_checkpoint(resumed, file.path);
  CHECK(torch::equal(other.layer->weight, saved.layer->weight));
}

struct OtherOptimizer : Plain {
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};
struct TwoGroups : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW({{{layer->weight}, {.lr = 0.1}}, {{layer->bias}, {.lr = 0.1}}}))
        .lr_scheduler(fg::StepLR{.step_size = 1});
  }
};
struct NoSchedule : Plain {
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 0.01}); }
};
struct OtherSchedule : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 3});
  }
};
struct TwoOptimizers : Plain {
  using Plain::training_step;
  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<0>) { return layer->forward(batch.data).sum(); }
  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<1>) { return layer->forward(batch.data).sum(); }
  auto configure_optimizers() {
    return fg::optimizers(fg::AdamW({layer->weight}, {.lr = 0.01}), fg::AdamW({layer->bias}, {.lr = 0.01}));
  }
};
struct Manual : Plain {
  void training_step(const fg::Example&, auto&) {}
};

TEST_CASE("a gradient of a layout that files do not hold is refused with the file's name") {
  const Scratch file;
  Manual model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  model.layer->weight.mutable_grad() = torch::ones({2, 4}).to_sparse_csr();
  CHECK_THROWS_WITH(fg::save_checkpoint(trainer, file.path),
                    StartsWith("fulgurite: cannot save a checkpoint to " + file.path.string() +
                               ": a gradient of layout SparseCsr cannot be saved: make it "
                               "dense, to_dense(), or save after zero_grad()"));
  CHECK_FALSE(std::filesystem::exists(file.path));
  model.layer->weight.mutable_grad() = model.layer->weight.grad().to_dense();
  fg::save_checkpoint(trainer, file.path);
  model.layer->weight.mutable_grad() = torch::ones({2, 4}).to_sparse_csr();
  model.zero_grad();
  fg::save_checkpoint(trainer, file.path);
}

TEST_CASE("a trainer of another kind is refused by what differs") {
  require_refused_by<OtherOptimizer>(
      "optimizer_0.class is AdamW there and SGD here: make the trainer with the optimizer that it was saved with");
  require_refused_by<TwoGroups>(
      "AdamW cannot load this state: it has 1 parameter group(s), and the optimizer has 2: make the optimizer with the "
      "groups that it had when the state was saved");
  require_refused_by<NoSchedule>(
      "optimizer_0.schedules.count is 1 there and 0 here: give the optimizer the schedules that it had when it was saved");
  require_refused_by<OtherSchedule>(
      "optimizer_0.schedules.class_0 is StepLR there and CosineAnnealingLR here: give the optimizer the schedules that it had "
      "when it was saved, in the same order");
  require_refused_by<Plain>(
      "precision is ModelPrecision there and Bfloat16Mixed here: give the trainer the precision that it had",
      fg::Bfloat16Mixed{});
  require_refused_by<Manual>("optimization is automatic there and manual here: give the trainer the policies that it had",
                             fg::ManualOptimization{});
  require_refused_by<Plain>("loss scale is not used there and used here: give the trainer the precision that it had",
                            fg::Float16Mixed{});
}

namespace {

struct OtherGamma : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.25});
  }
};
struct OwnInterval : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01}))
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{.frequency = 2});
  }
};
struct OtherFrequency : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01}))
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{.frequency = 3});
  }
};
struct OtherInterval : Plain {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryBatch{});
  }
};

/// A file without what earlier versions did not write: the values of schedules, and when they advance.
void forget_values(const std::filesystem::path& file) {
  const std::string bytes = support::text_of(file);
  auto value = torch::pickle_load({bytes.begin(), bytes.end()});
  auto training = value.toGenericDict().at("training").toGenericDict();
  CHECK(training.erase("schedule_interval") == 1);
  CHECK(training.erase("schedule_interval_frequency") == 1);
  auto schedule = training.at("optimizer_0").toGenericDict().at("schedules").toGenericDict().at("0").toGenericDict();
  CHECK(schedule.erase("StepLR.step_size") == 1);
  CHECK(schedule.erase("StepLR.gamma") == 1);
  write_value(file, value);
}

}  // namespace

TEST_CASE("a schedule of other values is refused by name, or gets the saved ones when asked for") {
  require_refused_by<OtherGamma>(
      "StepLR.gamma is 0.5 in the saved state and 0.25 in the schedule, which would go on along another curve: make the "
      "schedule with the saved value, or ask for the saved values (fg::ScheduleValues::taken_over in "
      "load_checkpoint, take_over instead of load_state)");
  require_refused_by<Plain>(
      "schedule_interval is EveryEpoch there and EveryStep here: give the trainer the interval of schedules that it had",
      fg::EveryStep{});
  require_refused_by<Plain>(
      "schedule_interval_frequency is 1 there and 2 here: give the trainer the interval of schedules that it had, or ask for the "
      "saved values (fg::ScheduleValues::taken_over)",
      fg::EveryEpoch{.frequency = 2});

  const Scratch file;
  Plain plain, same;
  OtherGamma other;
  fg::Trainer trainer{plain, fg::EveryStep{}}, expected{same, fg::EveryStep{}};
  fg::Trainer resumed{other, fg::EveryStep{}};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  fg::load_checkpoint(expected, file.path);
  fg::load_checkpoint(resumed, file.path, fg::ScheduleValues::taken_over);
  CHECK(resumed.optimizer().lr(0) == trainer.optimizer().lr(0));
  train(expected, 4);
  train(resumed, 4);
  CHECK(resumed.optimizer().lr(0) == expected.optimizer().lr(0));
  CHECK(torch::equal(other.layer->weight, same.layer->weight));
}

namespace {

/// A run that is saved after three batches goes on in a trainer with another frequency as if it had been made with the saved one.
template <class Saved, class Other>
void require_frequency_taken_over(auto interval, auto other_interval) {
  const Scratch file;
  Saved saved, same;
  Other other;
  fg::Trainer trainer{saved, interval}, expected{same, interval};
  fg::Trainer resumed{other, other_interval};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  fg::load_checkpoint(expected, file.path);
  CHECK_THROWS_AS(fg::load_checkpoint(resumed, file.path), std::runtime_error);
  fg::load_checkpoint(resumed, file.path, fg::ScheduleValues::taken_over);
  train(expected, 7);
  train(resumed, 7);
  CHECK(resumed.optimizer().lr(0) == expected.optimizer().lr(0));
  CHECK(resumed.optimizer().lr(0) < 0.01);
  fg::save_checkpoint(resumed, file.path);
  fg::load_checkpoint(expected, file.path);  // it has the saved frequency from now on
}

}  // namespace

TEST_CASE("the frequency with which a schedule advances is taken over, the trainer's and one of its own") {
  require_frequency_taken_over<Plain, Plain>(fg::EveryStep{.frequency = 2}, fg::EveryStep{.frequency = 3});
  require_frequency_taken_over<Plain, Plain>(fg::EveryStep{.frequency = 2}, fg::EveryStep{});
  require_frequency_taken_over<OwnInterval, OtherFrequency>(fg::EveryEpoch{}, fg::EveryEpoch{});

  // What is part of a type is not; nor is another class of interval.
  const Scratch file;
  Plain saved, other;
  fg::Trainer trainer{saved, fg::EveryStep{.frequency = 2}};
  fg::save_checkpoint(trainer, file.path);
  const auto taken_over_by = [&](auto interval) {
    fg::Trainer resumed{other, interval};
    fg::load_checkpoint(resumed, file.path, fg::ScheduleValues::taken_over);
  };
  CHECK_THROWS_WITH(taken_over_by(fg::Fixed<fg::EveryStep{.frequency = 3}>{}),
                    ContainsSubstring("schedule_interval_frequency is 2 there and 3 here: give the trainer"));
  CHECK_THROWS_WITH(taken_over_by(fg::EveryBatch{}), ContainsSubstring("schedule_interval is EveryStep there and EveryBatch here"));
  const auto broken = fg::detail::read_pickle(file.path);
  broken.toGenericDict().at("training").toGenericDict().insert_or_assign("schedule_interval_frequency", "2 or 3");
  write_value(file.path, broken);
  CHECK_THROWS_WITH(taken_over_by(fg::EveryStep{}), ContainsSubstring(": its schedule_interval_frequency is not a number"));
}

namespace {

/// An interval of the program's own, whose frequency is not a value that could be taken over.
template <std::int64_t Frequency>
struct ConstantFrequency {
  using slot = fg::slots::SchedulerInterval;
  static constexpr std::int64_t frequency = Frequency;
  bool due_after_step(const fg::SchedulePoint& point) const { return point.steps % frequency == 0; }
  bool due_after_epoch(const fg::SchedulePoint&) const { return false; }
};
struct FractionalFrequency : ConstantFrequency<1> {
  double frequency = 0.5;
};
struct OptionalFrequency : ConstantFrequency<1> {
  std::optional<std::int64_t> frequency = 2;
};

}  // namespace

TEST_CASE("an interval of the program's own need not have a frequency that can be taken over") {
  const auto load_taken_over = [](auto saved_interval, auto interval) {
    const Scratch file;
    Plain saved, other;
    fg::Trainer trainer{saved, saved_interval}, resumed{other, interval};
    train(trainer, 3);
    fg::save_checkpoint(trainer, file.path);
    fg::load_checkpoint(resumed, file.path, fg::ScheduleValues::taken_over);
    CHECK(resumed.progress().global_step == 3);
  };
  load_taken_over(ConstantFrequency<3>{}, ConstantFrequency<3>{});
  load_taken_over(OptionalFrequency{}, OptionalFrequency{});
  load_taken_over(FractionalFrequency{}, FractionalFrequency{});
  CHECK_THROWS_WITH(load_taken_over(FractionalFrequency{}, FractionalFrequency{{}, 0.25}),
                    ContainsSubstring("schedule_interval_frequency is 0.500000 there and 0.250000 here: give the trainer"));
}

TEST_CASE("a schedule that advances at other times of its own is refused") {
  const Scratch file;
  OwnInterval own;
  fg::Trainer trainer{own};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  OtherFrequency frequency;
  fg::Trainer other_frequency{frequency};
  require_refused(other_frequency, file.path, "EveryStep.frequency is 2 in the saved state and 3 in the schedule");
  OtherInterval interval;
  fg::Trainer other_interval{interval};
  require_refused(other_interval, file.path,
                  "the schedule advanced by fg::EveryStep of its own when it was saved, and does not now: give "
                  ".lr_scheduler(schedule, interval) the interval that it had");
  Plain plain;
  fg::Trainer without{plain};
  require_refused(without, file.path, "the schedule advanced by fg::EveryStep of its own when it was saved");
}

TEST_CASE("a file of an earlier version, without the values of schedules, is read") {
  const Scratch file;
  Plain plain, same;
  fg::Trainer trainer{plain}, other{same};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  forget_values(file.path);
  fg::load_checkpoint(other, file.path);
  CHECK(other.optimizer().lr(0) == trainer.optimizer().lr(0));
  CHECK(torch::equal(same.layer->weight, plain.layer->weight));
}

TEST_CASE("gradients that an earlier version would have clipped in the next update are refused, but not without them") {
  const Scratch file;
  Plain plain;
  fg::Trainer trainer{plain};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  const std::string bytes = support::text_of(file.path);
  const auto with_clipping = [&](const c10::IValue& clipping) {
    auto value = torch::pickle_load({bytes.begin(), bytes.end()});
    auto optimizer = value.toGenericDict().at("training").toGenericDict().at("optimizer_0").toGenericDict();
    optimizer.at("state").toGenericDict().at("next_update").toGenericDict().insert("clipping", clipping);
    write_value(file.path, value);
  };
  with_clipping(0.5);
  require_refused(trainer, file.path,
                  "its gradients were to be clipped by the next update, which this version of the library does at once: "
                  "save the training after a step, or go on with the version that saved it");
  with_clipping({});
  fg::load_checkpoint(trainer, file.path);
}

TEST_CASE("another number of optimizers is refused") {
  require_refused_by<TwoOptimizers>(
      "number of optimizers is 1 there and 2 here: make the model with the optimizers that it had");
}

TEST_CASE("an open window is refused by a trainer that has none, or windows of another length") {
  const Scratch file;
  Plain model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  train(trainer, 5);
  fg::save_checkpoint(trainer, file.path);
  Plain other;
  fg::Trainer without{other};
  require_refused(without, file.path,
                  "accumulation window is open, and this trainer has none: give it the fg::Accumulate that it had");
  fg::Trainer shorter{other, fg::Accumulate<2>{}};
  require_refused(
      shorter, file.path,
      "accumulation window is 4 batches there and 2 batches here: give the trainer the accumulation policy that it had");
  train(trainer, 3);  // the window closes
  fg::save_checkpoint(trainer, file.path);
  fg::load_checkpoint(shorter, file.path);
  CHECK(shorter.progress().batch == 8);
}

struct Forgetful : Plain {
  void on_load_checkpoint(auto&) { throw std::runtime_error("no, I won't"); }
  void on_save_checkpoint(auto&) {}
};
struct Curious : Plain {
  std::int64_t number = 5;
  void on_save_checkpoint(auto&) {}
  void on_load_checkpoint(auto& checkpoint) { checkpoint("number", number); }
};

struct Mute : Plain {
  void on_load_checkpoint(auto&) { throw std::runtime_error(""); }
  void on_save_checkpoint(auto& checkpoint) { checkpoint("number", std::int64_t{1}); }
};

struct Asking : Plain {
  std::int64_t number = 5;
  void on_save_checkpoint(auto&) {}
  void on_load_checkpoint(auto& checkpoint) {
    if (checkpoint.has("number")) checkpoint("number", number);
  }
};

TEST_CASE("an exception without words from a hook is one too") {
  const Scratch file;
  Mute model;
  fg::Trainer trainer{model};
  fg::save_checkpoint(trainer, file.path);
  require_refused(trainer, file.path, "");
}

TEST_CASE("a model that asks for what was not saved refuses, and everything is as before") {
  require_refused_by<Curious>(
      "its model.number is missing: it was saved by another kind of trainer, model or callback. Load it into that kind; a hook of "
      "yours may ask checkpoint.has(\"number\") first");
  const Scratch file;
  Plain saved;
  fg::Trainer trainer{saved};
  fg::save_checkpoint(trainer, file.path);
  Asking asking;
  fg::Trainer loads{asking};
  fg::load_checkpoint(loads, file.path);
  CHECK(at::equal(asking.layer->weight, saved.layer->weight));
}

struct Hookless : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return torch::mse_loss(layer->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};
struct Hooked : Hookless {
  std::vector<double> losses{};
  void on_save_checkpoint(auto&) {}
  void on_load_checkpoint(auto&) {}
};

TEST_CASE("a model with on_load_checkpoint refuses a file without what on_save_checkpoint saves, one without loads it") {
  const Scratch file;
  Hookless saved, other;
  Hooked model;
  fg::Trainer trainer{saved}, hookless{other};
  fg::Trainer hooked{model};
  fg::save_checkpoint(trainer, file.path);
  require_refused(hooked, file.path, "its model had no on_save_checkpoint: load it into a model without on_load_checkpoint");
  fg::load_checkpoint(hookless, file.path);
  CHECK(torch::equal(other.layer->weight, saved.layer->weight));
}

template <class>
struct Counts {
  using slot = fg::slots::Callback;
  void on_train_epoch_start(auto&) {}
  void on_save_checkpoint(auto& checkpoint) { checkpoint("count", 1); }
  void on_load_checkpoint(auto&) {}
};

TEST_CASE("the state of a callback that the trainer does not have is mentioned") {
  const Scratch file;
  Plain saved, model;
  fg::Trainer trainer{saved, Counts<int>{}, Counts<char>{}};
  fg::Trainer without{model, Counts<int>{}};
  fg::save_checkpoint(trainer, file.path);
  const support::Notices notices;
  fg::load_checkpoint(trainer, file.path);
  CHECK(notices.all.empty());
  fg::load_checkpoint(without, file.path);
  CHECK(notices.text() == "fulgurite: the checkpoint has the state of a callback Counts#2, which this trainer does not have\n");
}

TEST_CASE("that is mentioned when the checkpoint is loaded, and not if a later part of it is refused") {
  const Scratch file;
  Plain saved, other;
  fg::Trainer trainer{saved, Counts<int>{}, Counts<char>{}};
  train(trainer, 2);
  fg::save_checkpoint(trainer, file.path);
  fg::Trainer without{other, Counts<int>{}};
  {
    const support::Notices notices;
    Curious curious;
    fg::Trainer refuses{curious, Counts<int>{}};
    CHECK_THROWS_WITH(fg::load_checkpoint(refuses, file.path), ContainsSubstring("its model.number is missing"));
    const auto broken = fg::detail::read_pickle(file.path);
    broken.toGenericDict().insert_or_assign("random", std::int64_t{1});
    const Scratch broken_file;
    write_value(broken_file.path, broken);
    CHECK_THROWS_WITH(fg::load_checkpoint(without, broken_file.path),
                      ContainsSubstring("its random states are of another kind"));
    CHECK(notices.all.empty());
  }
  const auto before = fg::set_notice_handler([](std::string_view) { throw std::runtime_error("no notices here"); });
  CHECK_THROWS_WITH(fg::load_checkpoint(without, file.path), "no notices here");
  fg::set_notice_handler(before);
  CHECK(without.progress().batches == 2);
}

TEST_CASE("what a hook throws while loading is in the message, and everything that was loaded before it is taken back") {
  const Scratch file;
  Plain model;
  fg::Trainer trainer{model};
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  Forgetful other;
  fg::Trainer refuses{other};
  train(refuses, 1);
  const Picture<Forgetful> before(refuses);
  CHECK_THROWS_WITH(fg::load_checkpoint(refuses, file.path), ContainsSubstring("no, I won't"));
  require_same(before, Picture<Forgetful>(refuses));
  CHECK_THROWS_WITH(refuses.fit(resume::Data().train()), ContainsSubstring("in the middle of an epoch of the program's own loop"));
}

/// Loads in place, into the memory that it has, and then something fails.
struct InPlace : Plain {
  torch::Tensor sum = torch::zeros({2});
  bool refuses = false;
  void on_save_checkpoint(auto& checkpoint) { checkpoint("sum", sum); }
  void on_load_checkpoint(auto& checkpoint) {
    torch::Tensor loaded;
    checkpoint("sum", loaded);
    sum.copy_(loaded);
    if (std::exchange(refuses, false)) throw std::runtime_error("no, I won't");
  }
};

TEST_CASE("whatever is broken in a file, it is refused with everything as it was") {
  const Scratch file;
  InPlace model;
  model.sum.fill_(1.0);
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  trainer.log_hyperparameters({{"lr", 0.01}});
  train(trainer, 3);
  fg::save_checkpoint(trainer, file.path);
  InPlace other;
  fg::Trainer refuses{other, fg::Accumulate<4>{}};
  train(refuses, 1);
  const auto with = [&](const char* name, const c10::IValue& value) {
    auto dictionary = fg::detail::read_pickle(file.path).toGenericDict();
    dictionary.insert_or_assign(name, value);
    write_value(file.path, dictionary);
  };
  const auto require_nothing_changed = [&](const std::string& words) {
    const at::Tensor gradient = other.layer->weight.grad().clone();
    require_refused(refuses, file.path, words);
    CHECK(at::equal(other.layer->weight.grad(), gradient));
    CHECK(at::equal(other.sum, torch::zeros({2})));
    CHECK(refuses.hyperparameters().empty());
  };
  other.refuses = true;
  require_nothing_changed("no, I won't");
  auto numbers = fg::detail::new_list();
  numbers.push_back(std::int64_t{1});
  SECTION("hyper-parameters") {
    with("hyper_parameters", std::int64_t{1});
    require_nothing_changed("hyper_parameters is of another kind");
  }
  SECTION("weights") {
    with("state_dict", std::int64_t{1});
    require_nothing_changed("it has no weights by name");
  }
  SECTION("gradients of another number") {
    with("gradients", numbers);
    require_nothing_changed("it has gradients for another number of weights");
    with("gradients", std::int64_t{1});
    require_nothing_changed("its gradients are not a list");
  }
  SECTION("random states") {
    for (const c10::IValue& wrong : {c10::IValue(std::int64_t{1}), c10::IValue(numbers)}) {
      with("random", wrong);
      require_nothing_changed("its random states are of another kind");
    }
    auto states = fg::detail::new_list();
    states.push_back(torch::zeros({3}, torch::kByte));
    with("random", states);
    require_nothing_changed("");
  }
  SECTION("gradients of another shape, number format, kind") {
    for (const c10::IValue& wrong : {c10::IValue(torch::ones({3, 4})), c10::IValue(torch::ones({2, 4}, torch::kHalf)),
                                     c10::IValue(std::int64_t{1})}) {
      auto gradients = fg::detail::new_list();
      gradients.push_back(wrong);
      gradients.push_back(c10::IValue());
      with("gradients", gradients);
      require_nothing_changed("its gradient of layer.weight has not the shape and number format of layer.weight");
    }
  }
}

TEST_CASE("what could not be written leaves nothing behind") {
  const Scratch folder;
  std::filesystem::create_directory(folder.path);
  Plain model;
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(fg::save_checkpoint(trainer, folder.path), ContainsSubstring("cannot save a checkpoint to"));
  CHECK(support::names_in(folder.folder.path) == std::set<std::string>{"run.ckpt"});
}

struct SavesInSchedule : Plain {
  void on_train_batch_end(const auto&, const auto&, auto&) {}
  void lr_scheduler_step(auto& scheduler, auto& step) {
    scheduler.step();
    if (step.progress().batches == 2) fg::save_checkpoint(step, path);
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
  }
};

TEST_CASE("what lr_scheduler_step saves is there after its batch") {
  const Scratch file;
  SavesInSchedule model;
  model.path = file.path;
  fg::Trainer trainer{model};
  train(trainer, 3);
  REQUIRE(std::filesystem::exists(file.path));
  train(trainer, 1);
  CHECK(fg::detail::find(fg::detail::read_pickle(file.path), "global_step")->toInt() == 3);
}

struct Fails : Plain {
  bool fails = true;
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    if (std::exchange(fails, false)) {
      fg::save_checkpoint(step, path);
      throw std::runtime_error("a bad batch");
    }
    if (step.progress().batches == 1) fg::save_checkpoint(step, path.string() + "2");
    return Plain::training_step(batch, step);
  }
};

TEST_CASE("what a batch that failed wanted to save is not saved by a later one") {
  const Scratch file;
  Fails model;
  model.path = file.path;
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(train(trainer, 1), "a bad batch");
  train(trainer, 2);
  CHECK(std::filesystem::exists(file.path.string() + "2"));
  CHECK(!std::filesystem::exists(file.path));
  std::filesystem::remove(file.path.string() + "2");
}

TEST_CASE("an epoch that was interrupted wants a range of the same length") {
  const Scratch file;
  const resume::Data data;
  Plain model;
  model.save_after = 3;
  model.path = file.path;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(data.train());
  Plain other;
  fg::Trainer resumed{other, fg::MaxEpochs{1}};
  fg::load_checkpoint(resumed, file.path);
  CHECK_THROWS_WITH(
      resumed.fit(data.validation()),
      "fulgurite: the checkpoint was saved after batch 3 of 8, and the training range has 3: give fit the range and the "
      "limits with which the checkpoint was saved");
  CHECK(resumed.progress().batch == 3);  // and is where it was
  resumed.fit(data.train());
  require_same(Picture<Plain>(trainer), Picture<Plain>(resumed));
}

/// Single-pass, of a length that it does not tell; draws a number when an epoch begins.
struct Stream {
  std::vector<fg::Example> batches;
  struct Iterator {
    std::vector<fg::Example>::iterator it;
    fg::Example operator*() const { return *it; }
    void operator++() { ++it; }
    bool operator!=(const Iterator& end) const { return it != end.it; }
  };
  Iterator begin() { return {batches.begin()}; }
  Iterator end() { return {batches.end()}; }
  void set_epoch(std::int64_t) { static_cast<void>(torch::randn(1)); }

  explicit Stream(int count) : batches(static_cast<std::size_t>(count), fg::Example{torch::ones({3, 4}), torch::ones({3, 2})}) {}
};

TEST_CASE("an epoch that was interrupted waits for a range that is long enough, of whatever length it is") {
  const Scratch file;
  Stream whole(8), cut(3);
  Plain model;
  model.save_after = 3;
  model.path = file.path;
  torch::manual_seed(2);
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(whole);
  const Picture<Plain> uninterrupted(trainer);
  Plain other;
  fg::Trainer resumed{other, fg::MaxEpochs{2}};
  fg::load_checkpoint(resumed, file.path);
  CHECK_THROWS_WITH(resumed.fit(cut), ContainsSubstring("was saved after batch 3 of an unknown number"));
  CHECK(resumed.progress().batch == 3);
  resumed.fit(whole);
  require_same(uninterrupted, Picture<Plain>(resumed));
}

struct Meddles : Plain {
  std::function<void()> act;
  void on_train_epoch_start(auto&) {
    if (act) act();
  }
};

TEST_CASE("a trainer that fits is not saved or loaded from outside of its hooks' step") {
  const resume::Data data;
  Meddles model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.act = [&] { fg::save_checkpoint(trainer, "never.ckpt"); };
  CHECK_THROWS_WITH(trainer.fit(data.train()),
                    "fulgurite: fg::save_checkpoint(trainer, …) was called while the trainer fits: in a hook call "
                    "fg::save_checkpoint(step, …), around a fit fg::save_checkpoint(run, …)");
  model.act = [&] { fg::load_checkpoint(trainer, "never.ckpt"); };
  CHECK_THROWS_WITH(trainer.fit(data.train()),
                    "fulgurite: fg::load_checkpoint was called while the trainer fits: call it before fit");
  CHECK(!std::filesystem::exists("never.ckpt"));
}

TEST_CASE("a trainer is not saved or loaded in a hook of a call of the program's own loop, but by its step") {
  const Scratch file;
  Meddles model;
  fg::Trainer trainer{model};
  train(trainer, 2);
  fg::save_checkpoint(trainer, file.path);
  trainer.loop().end_epoch();
  model.act = [&] {
    CHECK_THROWS_WITH(fg::save_checkpoint(trainer, file.path),
                      "fulgurite: fg::save_checkpoint(trainer, …) was called in a hook of loop.step of the same trainer, "
                      "which still runs: in a hook call fg::save_checkpoint(step, …)");
    CHECK_THROWS_WITH(fg::load_checkpoint(trainer, file.path),
                      "fulgurite: fg::load_checkpoint was called in a hook of loop.step of the same trainer, which still "
                      "runs: call it when that one has returned");
    CHECK(trainer.progress().epoch == 1);
  };
  train(trainer, 1);
  CHECK(trainer.progress().batches == 3);
  fg::load_checkpoint(trainer, file.path);  // what the second message advises
  CHECK(trainer.progress().batches == 2);
}

struct SavesInside : Plain {
  std::int64_t save_in = -1;
  bool at_start = false;
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    if (!at_start && step.progress().batches == save_in) fg::save_checkpoint(step, path);
    return Plain::training_step(batch, step);
  }
  void on_train_epoch_start(auto& step) {
    if (at_start && step.progress().batches == save_in) fg::save_checkpoint(step, path);
  }
};

TEST_CASE("what any hook asks to be saved is saved when the training rests: after the batch, or before an epoch's first") {
  const Scratch file;
  const resume::Data data;
  for (const bool at_start : {false, true}) {
    INFO("at an epoch's start " << at_start);
    SavesInside model, other;
    model.path = file.path;
    model.save_in = at_start ? 8 : 9;
    model.at_start = at_start;
    fg::Trainer trainer{model, fg::MaxEpochs{3}}, resumed{other, fg::MaxEpochs{3}};
    trainer.fit(data.train());
    fg::load_checkpoint(resumed, file.path);
    CHECK(resumed.progress().batches == (at_start ? 8 : 10));
    CHECK(resumed.progress().batch == (at_start ? 0 : 2));
    resumed.fit(data.train());
    require_same(Picture<SavesInside>(trainer), Picture<SavesInside>(resumed));
  }
}

struct SavesAtEnds : Plain {
  std::filesystem::path folder;
  void on_train_epoch_end(auto& step) {
    fg::save_checkpoint(step, folder / ("epoch" + std::to_string(step.epoch()) + ".ckpt"));
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01}))
        .lr_scheduler(fg::ReduceLROnPlateau<"train_loss">{.factor = 0.5, .patience = 0, .threshold = 0.9});
  }
};

TEST_CASE("what on_train_epoch_end saves has the epoch's plateau step in it") {
  const resume::Data data;
  const support::TemporaryFolder folder;
  SavesAtEnds model;
  model.folder = folder.path;
  fg::Trainer trainer{model, fg::MaxEpochs{3}};
  trainer.fit(data.train());
  SavesAtEnds other;
  other.folder = model.folder;
  fg::Trainer resumed{other, fg::MaxEpochs{3}};
  fg::load_checkpoint(resumed, model.folder / "epoch1.ckpt");
  CHECK(resumed.progress().epoch == 2);
  CHECK(resumed.progress().batch == 0);
  CHECK(resumed.optimizer().lr(0) == 0.005);
  resumed.fit(data.train());
  require_same(Picture<SavesAtEnds>(trainer), Picture<SavesAtEnds>(resumed));
  resumed.fit(data.train());  // nothing is left to do
  CHECK(resumed.progress().epoch == 3);
}

struct StopsEarly : SavesAtEnds {
  bool stops = false;
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (stops && step.batch_index() == 2) step.stop();
  }
};

TEST_CASE("a request to stop that was obeyed is not in the checkpoint of the epoch's end, one that still waits is") {
  const resume::Data data;
  const support::TemporaryFolder folder;
  const auto file = folder.path / "epoch0.ckpt";
  const auto epochs_after = [&](auto... policies) {
    StopsEarly other;
    other.folder = folder.path;
    fg::Trainer resumed{other, fg::MaxEpochs{4}, policies...};
    fg::load_checkpoint(resumed, file);
    CHECK(resumed.progress().epoch == 1);
    resumed.fit(data.train());
    return resumed.progress().epoch;
  };
  const auto save = [&](bool stops, auto... policies) {
    StopsEarly model;
    model.folder = folder.path;
    model.stops = stops;
    fg::Trainer trainer{model, policies...};
    trainer.fit(data.train());
  };
  const fg::MaxTime no_time{std::chrono::nanoseconds(1)};
  save(false, no_time, fg::MinEpochs{1});
  CHECK(epochs_after(fg::MaxTime{std::chrono::hours(1)}) == 4);
  CHECK(epochs_after(no_time) == 1);
  save(true);
  CHECK(epochs_after() == 4);
  save(true, fg::MinEpochs{2});
  CHECK(epochs_after(fg::MinEpochs{3}) == 3);
  const support::Notices notices;
  StopsEarly other;
  other.folder = folder.path;
  fg::Trainer resumed{other, fg::MaxEpochs{4}};
  fg::load_checkpoint(resumed, file);
  resumed.fit(data.train());
  CHECK(notices.text() ==
        "fulgurite: fit trains nothing, since the training that was loaded has been asked to stop: to train longer all "
        "the same, call fit once more\n");
  CHECK(resumed.progress().epoch == 1);
  resumed.fit(data.train());
  CHECK(resumed.progress().epoch == 4);
}

TEST_CASE("the time before a checkpoint counts for MaxTime") {
  const Scratch file;
  const resume::Data data;
  Plain model;
  model.save_after = 8;
  model.path = file.path;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(data.train());
  const auto training = *fg::detail::find(fg::detail::read_pickle(file.path), "training");
  const std::chrono::duration<double> trained(fg::detail::find(*fg::detail::find(training, "clock"), "seconds")->toDouble());
  CHECK(trained.count() > 0.0);
  Plain other;
  fg::Trainer resumed{other, fg::MaxEpochs{5}, fg::MaxTime{trained / 2}};
  fg::load_checkpoint(resumed, file.path);
  resumed.fit(data.train());
  CHECK(resumed.progress().batches == 8);
}

}  // namespace
