// SPDX-License-Identifier: MIT
// A run that saves and asks to stop, in any hook and in either order, and goes on elsewhere is, bit for bit, the run that never
// stopped; and one that goes on from its very end is the run that ended.
#include "support/resume.hpp"

#include <fulgurite/averaging.hpp>
#include <fulgurite/callbacks.hpp>
#include <fulgurite/optim.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers.hpp>

#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/notices.hpp"

namespace {

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using resume::Data;
using resume::Picture;
using resume::require_same;
using resume::Scratch;

enum class In {
  fit_start, train_start, epoch_start, batch_start, training_step, before_zero_grad, before_backward, after_backward,
  optimizer_step, before_optimizer_step, gradient_clipping, scheduler_step, batch_end, validation_start, validation_epoch_start,
  validation_batch_start, validation_step, validation_batch_end, validation_epoch_end, validation_end, epoch_end, train_end,
  fit_end, count
};

/// Every hook in which one may save or stop; in `in` it does both, once, after `after` batches.
struct Acts : torch::nn::Module {
  torch::nn::Linear first = register_module("first", torch::nn::Linear(4, 5));
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(5));
  torch::nn::Linear second = register_module("second", torch::nn::Linear(5, 2));
  std::vector<double> losses;  // of validation

  In in = In::count;
  std::int64_t after = 0;
  bool saves_first = true;
  std::filesystem::path path;
  bool acted = false;

  void act(In here, auto& at) {
    if (acted || here != in || at.progress().batches < after) return;
    acted = true;
    if (!saves_first) at.stop();
    fg::save_checkpoint(at, path);
    if (saves_first) at.stop();
  }

  torch::Tensor forward(const torch::Tensor& x) {
    return second->forward(torch::dropout(torch::relu(norm->forward(first->forward(x))), 0.2, is_training()));
  }
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    act(In::training_step, step);
    auto loss = torch::mse_loss(forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_step | fg::on_epoch);
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    act(In::validation_step, step);
    const auto loss = torch::mse_loss(forward(batch.data), batch.target);
    step.log("val_loss", loss);
    losses.push_back(loss.template item<double>());
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1, .momentum = 0.9}))
        .lr_scheduler(fg::StepLR{.step_size = 3, .gamma = 0.9}, fg::EveryStep{})
        .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 0, .threshold = 0.1, .strict = false});
  }

  void on_fit_start(auto& run) { act(In::fit_start, run); }
  void on_train_start(auto& run) { act(In::train_start, run); }
  void on_train_epoch_start(auto& step) { act(In::epoch_start, step); }
  void on_train_batch_start(const auto&, auto& step) { act(In::batch_start, step); }
  void on_before_zero_grad(auto&, auto& step) { act(In::before_zero_grad, step); }
  void on_before_backward(const auto&, auto& step) { act(In::before_backward, step); }
  void on_after_backward(auto& step) { act(In::after_backward, step); }
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    act(In::optimizer_step, step);
    optimizer.step(closure);
  }
  void on_before_optimizer_step(auto&, auto& step) { act(In::before_optimizer_step, step); }
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    act(In::gradient_clipping, step);
    step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5});
  }
  void lr_scheduler_step(auto& scheduler, auto& step) {
    act(In::scheduler_step, step);
    scheduler.step();
  }
  void on_train_batch_end(const auto&, const auto&, auto& step) { act(In::batch_end, step); }
  void on_validation_start(auto& step) { act(In::validation_start, step); }
  void on_validation_epoch_start(auto& step) { act(In::validation_epoch_start, step); }
  void on_validation_batch_start(const auto&, auto& step) { act(In::validation_batch_start, step); }
  void on_validation_batch_end(const auto&, auto& step) { act(In::validation_batch_end, step); }
  void on_validation_epoch_end(auto& step) { act(In::validation_epoch_end, step); }
  void on_validation_end(auto& step) { act(In::validation_end, step); }
  void on_train_epoch_end(auto& step) { act(In::epoch_end, step); }
  void on_train_end(auto& run) { act(In::train_end, run); }
  void on_fit_end(auto& run) { act(In::fit_end, run); }

  void on_save_checkpoint(auto& checkpoint) { checkpoint("losses", losses); }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("losses", losses); }
};

/// Two epochs of 8 batches. `absent`: the hooks that this kind of training does not call.
template <class Make, class Train>
void require_as_never_stopped(const Make& make, const Train& train, const std::vector<std::int64_t>& places,
                              const std::set<In>& absent = {}) {
  const support::Notices quiet;
  const Data data;
  torch::manual_seed(3);
  Acts never;
  auto whole = make(never);
  train(whole, data);
  const Picture<Acts> expected(whole);

  const Scratch file;
  for (int in = 0; in < static_cast<int>(In::count); ++in) {
    bool acted = false;
    for (const std::int64_t after : places) {
      for (const bool saves_first : {true, false}) {
        INFO("hook " << in << " after batch " << after << (saves_first ? ": save, stop" : ": stop, save"));
        std::filesystem::remove(file.path);
        torch::manual_seed(3);
        Acts model;
        model.in = static_cast<In>(in);
        model.after = after;
        model.saves_first = saves_first;
        model.path = file.path;
        auto stopped = make(model);
        train(stopped, data);
        if (!model.acted) continue;  // that hook does not come so late
        acted = true;
        REQUIRE(std::filesystem::exists(file.path));

        torch::manual_seed(99);
        Acts other;
        auto resumed = make(other);
        fg::load_checkpoint(resumed, file.path);
        train(resumed, data);
        require_same(expected, Picture<Acts>(resumed));
      }
    }
    INFO("hook " << in);
    CHECK(acted == !absent.contains(static_cast<In>(in)));
  }
}

const auto fit = [](auto& trainer, const Data& data) { trainer.fit(data.train(), data.validation()); };

// After the first batch, in the middle of a window, at the last batch of an epoch, at its end, and at the very end.
const std::vector<std::int64_t> places{0, 1, 4, 7, 8, 10, 15, 16};

TEST_CASE("saved and stopped in any hook, a run goes on as if it had never been stopped") {
  require_as_never_stopped([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{2}}; }, fit, places);
}

TEST_CASE("the same with accumulation windows") {
  require_as_never_stopped([](auto& model) { return fg::Trainer{model, fg::Accumulate<3>{}, fg::MaxEpochs{2}}; }, fit, places);
}

TEST_CASE("the same with several validations an epoch, of which none is at its end") {
  require_as_never_stopped(
      [](auto& model) {
        return fg::Trainer{model, fg::Accumulate<3>{}, fg::MaxEpochs{2}, fg::ValidateEvery{.interval = fg::Batches{3}},
                           fg::EMAWeightAveraging{.decay = 0.8}};
      },
      fit, places);
}

TEST_CASE("the same with validations that count on through the epochs, and in every second epoch") {
  const std::set<In> before_any_batch{In::fit_start, In::train_start};  // and it acts after two
  require_as_never_stopped([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{2}, fg::ValidateAcrossEpochs{5}}; }, fit,
                           {2, 7, 9}, before_any_batch);
  require_as_never_stopped([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{2}, fg::ValidateEvery{.epochs = 2}}; }, fit,
                           {2, 7, 9}, before_any_batch);
}

TEST_CASE("the same in a loop of the program's own") {
  const auto own_loop = [](auto& trainer, const Data& data) {
    auto train = data.train();
    auto loop = trainer.loop();
    while (loop.progress().epoch < 2 && !loop.stop_requested()) {
      train.set_epoch(loop.progress().epoch);
      std::int64_t index = 0;
      const std::int64_t done = loop.progress().batch;
      for (const auto& batch : train) {
        if (index++ < done) continue;
        index == 8 ? static_cast<void>(loop.step(batch, fg::last)) : static_cast<void>(loop.step(batch));
        if (loop.stop_requested()) return;
      }
    }
  };
  const std::set<In> of_fit_and_validation{
      In::fit_start,           In::train_start,      In::validation_start,   In::validation_epoch_start, In::validation_batch_start,
      In::validation_step,     In::validation_batch_end, In::validation_epoch_end, In::validation_end,   In::train_end,
      In::fit_end};
  require_as_never_stopped([](auto& model) { return fg::Trainer{model, fg::Accumulate<3>{}}; }, own_loop, {0, 1, 4, 7, 8, 10},
                           of_fit_and_validation);
}

// --- the very end --------------------------------------------------------------------------------------------------

struct Ends : resume::Net {
  std::filesystem::path folder;

  auto configure_optimizers() {
    return fg::optimizer(fg::Adam(parameters(), {.lr = 0.05})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.8});
  }
  void save(const char* name, auto& at) {
    if (!folder.empty()) fg::save_checkpoint(at, folder / name);
  }
  void on_train_epoch_end(auto& step) { save("epoch_end.ckpt", step); }
  void on_train_end(auto& run) { save("train_end.ckpt", run); }
  void on_fit_end(auto& run) { save("fit_end.ckpt", run); }
};

/// The end of a run, and what comes of going on from each file that was saved there, twice.
template <class Make>
void require_stays_at_its_end(const Make& make) {
  const support::Notices quiet;
  const Data data;
  const support::TemporaryFolder folder;
  torch::manual_seed(3);
  Ends model;
  model.folder = folder.path;
  auto trainer = make(model);
  trainer.fit(data.train(), data.validation());
  fg::save_checkpoint(trainer, folder.path / "after.ckpt");
  const Picture<Ends> expected(trainer);

  for (const std::string name : {"epoch_end", "train_end", "fit_end", "after"}) {
    INFO(name);
    for (const int time : {1, 2}) {
      INFO("time " << time);
      const auto file = folder.path / (time == 1 ? name + ".ckpt" : "again.ckpt");
      torch::manual_seed(99);
      Ends other;
      auto resumed = make(other);
      fg::load_checkpoint(resumed, file);
      resumed.fit(data.train(), data.validation());
      require_same(expected, Picture<Ends>(resumed));
      fg::save_checkpoint(resumed, folder.path / "again.ckpt");
    }
  }
}

TEST_CASE("a run that goes on from its end ends as it did: at a limit") {
  require_stays_at_its_end([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{2}}; });
  require_stays_at_its_end([](auto& model) { return fg::Trainer{model, fg::Accumulate<3>{}, fg::MaxSteps{4}}; });
}

TEST_CASE("a run that goes on from its end ends as it did: with averages") {
  require_stays_at_its_end([](auto& model) { return fg::Trainer{model, fg::EMAWeightAveraging{.decay = 0.9}, fg::MaxEpochs{2}}; });
  require_stays_at_its_end([](auto& model) {
    return fg::Trainer{model, fg::MaxEpochs{3},
                       fg::StochasticWeightAveraging{.lr = 0.01, .start = fg::EpochNumber{2}, .annealing_epochs = 1}};
  });
}

TEST_CASE("a run that goes on from its end ends as it did: by early stopping") {
  for (const auto times : {fg::ValidateEvery{}, fg::ValidateEvery{.interval = fg::Batches{3}}}) {
    INFO(times);
    require_stays_at_its_end([&](auto& model) {
      return fg::Trainer{model, fg::EMAWeightAveraging{.decay = 0.9}, times, fg::MaxEpochs{9},
                         fg::EarlyStopping<"val_loss">{.patience = 2, .min_delta = 9.0}};
    });
    require_stays_at_its_end([&](auto& model) {
      return fg::Trainer{model, fg::EMAWeightAveraging{.decay = 0.9}, times, fg::MaxEpochs{9},
                         fg::EarlyStopping<"val_loss">{.patience = 99, .stopping_threshold = 99.0}};
    });
    require_stays_at_its_end([&](auto& model) {  // the request waits, and comes in the middle of an epoch
      return fg::Trainer{model, times, fg::MaxEpochs{9}, fg::MinSteps{21},
                         fg::EarlyStopping<"val_loss">{.patience = 1, .min_delta = 9.0}};
    });
  }
}

TEST_CASE("every file that ModelCheckpoint leaves behind leads to the same end") {
  const support::Notices quiet;
  const Data data;
  const auto run = [&](const std::filesystem::path& folder, auto stopping, auto times, const std::filesystem::path& from) {
    torch::manual_seed(3);
    Ends model;
    fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.9}, fg::MaxEpochs{3}, fg::MinSteps{13}, stopping, times,
                        fg::ModelCheckpoint<"val_loss">{.folder = folder, .save_top_k = -1, .save_last = true}};
    if (!from.empty()) fg::load_checkpoint(trainer, from);
    trainer.fit(data.train(), data.validation());
    return Picture<Ends>(trainer);
  };
  const fg::EarlyStopping<"val_loss"> never{.patience = 99}, soon{.patience = 1, .min_delta = 9.0};
  for (const auto& stopping : {never, soon}) {
    for (const auto times : {fg::ValidateEvery{}, fg::ValidateEvery{.interval = fg::Batches{3}}}) {
      const support::TemporaryFolder folder, other;
      const auto expected = run(folder.path, stopping, times, {});
      for (const auto& entry : std::filesystem::directory_iterator(folder.path)) {
        INFO(entry.path());
        require_same(expected, run(other.path, stopping, times, entry.path()));
      }
    }
  }
}

TEST_CASE("with more patience, or a higher limit, a run that had ended goes on as if it had not") {
  const support::Notices quiet;
  const Data data;
  const support::TemporaryFolder folder;
  const auto make = [](Ends& model, std::int64_t epochs, std::int64_t patience) {
    return fg::Trainer{model, fg::EMAWeightAveraging{.decay = 0.9}, fg::MaxEpochs{epochs},
                       fg::EarlyStopping<"val_loss">{.patience = patience, .min_delta = 9.0}};
  };
  torch::manual_seed(3);
  Ends long_model;
  auto whole = make(long_model, 5, 99);
  whole.fit(data.train(), data.validation());
  const Picture<Ends> expected(whole);
  for (const bool at_limit : {true, false}) {
    INFO("ended at a limit " << at_limit);
    torch::manual_seed(3);
    Ends model;
    model.folder = folder.path;
    auto first = make(model, at_limit ? 2 : 9, at_limit ? 99 : 1);
    first.fit(data.train(), data.validation());
    CHECK(first.progress().epoch == 2);
    Ends other;
    auto resumed = make(other, 5, 99);
    fg::load_checkpoint(resumed, folder.path / "epoch_end.ckpt");
    resumed.fit(data.train(), data.validation());
    CHECK(resumed.progress() == whole.progress());
    for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
      CHECK(resume::same(expected.tensors[i].second, Picture<Ends>(resumed).tensors[i].second));
    }
  }
}

TEST_CASE("in a loop of the program's own a run that early stopping has ended stays ended") {
  const Data data;
  const Scratch file;
  const auto make = [](Ends& model, std::int64_t patience) {
    return fg::Trainer{model, fg::EarlyStopping<"val_loss">{.patience = patience, .min_delta = 9.0}};
  };
  const auto epoch = [&](auto& trainer) {
    auto loop = trainer.loop();
    for (const auto& batch : data.train()) loop.step(batch);
    loop.validate(data.validation());
    loop.end_epoch();
    return loop.stop_requested();
  };
  Ends model, other, patient;
  auto trainer = make(model, 1);
  CHECK(!epoch(trainer));
  CHECK(epoch(trainer));
  fg::save_checkpoint(trainer, file.path);
  auto resumed = make(other, 1);
  fg::load_checkpoint(resumed, file.path);
  CHECK(resumed.loop().stop_requested());
  auto goes_on = make(patient, 9);
  fg::load_checkpoint(goes_on, file.path);
  CHECK(!goes_on.loop().stop_requested());
}

TEST_CASE("a fit that goes on from its end says that there is nothing to train, and calls the hooks of a fit's end") {
  const Data data;
  const Scratch file;
  Ends model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(data.train());
  fg::save_checkpoint(trainer, file.path);
  const support::TemporaryFolder folder;
  other.folder = folder.path;
  fg::Trainer resumed{other, fg::MaxEpochs{1}};
  fg::load_checkpoint(resumed, file.path);
  const support::Notices notices;
  resumed.fit(data.train());
  CHECK(notices.text() ==
        "fulgurite: fit trains nothing, since fg::MaxEpochs{1} has been reached: to train longer, "
        "trainer.set_limit(fg::MaxEpochs{...})\n");
  CHECK(std::filesystem::exists(folder.path / "fit_end.ckpt"));
  CHECK(!std::filesystem::exists(folder.path / "epoch_end.ckpt"));
}

}  // namespace
