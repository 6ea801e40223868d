// SPDX-License-Identifier: MIT
// What the loop keeps in a checkpoint: a training that goes on from one ends as the training that never stopped.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <list>
#include <stdexcept>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// Saves after each batch.
struct Saver {
  using slot = fg::slots::Callback;
  std::list<toy::Checkpoint> saved{};
  void on_train_batch_end(const auto&, const auto&, auto& step) { toy::save(step, saved.emplace_back()); }
};

/// All that can be seen of a training.
template <class Trainer>
struct Picture {
  double weight;
  double second = 0.0;
  std::vector<double> rates;
  fg::Progress progress;
  std::vector<std::int64_t> step_counts;

  explicit Picture(Trainer& trainer) : weight(trainer.model().weight.value), progress(trainer.progress()) {
    const auto add = [&](auto index) {
      rates.push_back(trainer.optimizer(index).rate);
      step_counts.push_back(trainer.step_count(index));
    };
    add(fg::optimizer_index<0>);
    if constexpr (requires { trainer.model().second; }) {
      second = trainer.model().second.value;
      add(fg::optimizer_index<1>);
    }
  }
  friend bool operator==(const Picture&, const Picture&) = default;
};

/// Trains a `Model` to its end, and once more from each of the checkpoints that are saved after its batches.
template <class Model, class... Policies>
void require_goes_on(const toy::Range& train, const Policies&... policies) {
  const support::Notices nothing_left_to_train;
  const toy::Range validation{1.0};
  Model model;
  fg::Trainer trainer{model, policies..., Saver{}};
  trainer.fit(train, validation);
  const Picture uninterrupted(trainer);
  const auto& saved = trainer.template callback<Saver>().saved;
  CHECK(saved.size() == static_cast<std::size_t>(trainer.progress().batches));
  for (const toy::Checkpoint& checkpoint : saved) {
    INFO("saved after batch " << checkpoint.progress.batches);
    Model other;
    fg::Trainer resumed{other, policies..., Saver{}};
    toy::load(resumed, checkpoint);
    CHECK(resumed.progress() == checkpoint.progress);
    resumed.fit(train, validation);
    CHECK(Picture(resumed) == uninterrupted);
  }
}

struct Plain : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("loss", batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("val_loss", 1.0 + static_cast<double>(step.epoch())); }
};

struct Weighted : Plain {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, batch); }
};
/// Gradients of two batches add up, and each is stepped on.
struct ZeroesSeldom : Plain {
  void optimizer_zero_grad(auto& optimizer, auto& step) {
    if (step.batch_index() % 2 == 0) optimizer.zero_grad();
  }
};
struct ByHand : Plain {
  void training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    if (step.batch_index() % 2 == 0) optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    if (step.batch_index() % 2 == 1) optimizer.step();
  }
};
struct TakingTurns : toy::Pair {
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &weight : &second, batch}; }
  void validation_step(double, auto&) {}
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&weight}).frequency(fg::Batches{1}),
                          fg::optimizer(toy::Sgd{&second}).frequency(fg::Batches{2}));
  }
};
struct EverySecondStep : Plain {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{.frequency = 2});
  }
};
struct OnTrainLoss : Plain {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0}, fg::EveryStep{});
  }
};
struct OnValidationLoss : Plain {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight})
        .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 0, .strict = false}, fg::EveryStep{});
  }
};
struct Suspending : Plain {
  void on_train_batch_start(double batch, auto& step) {
    if (batch == 2.0) step.suspend_schedules();
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
  }
};

/// Asks to stop in the second batch of all, or in the one that the test says.
struct Stopping : Plain {
  std::int64_t stops_after = 2;
  auto training_step(double batch, auto& step) {
    if (step.progress().batches + 1 == stops_after) step.stop();
    return Plain::training_step(batch, step);
  }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}); }
};

/// 1, 2, …, count, of a size that is not known before.
struct Stream {
  struct Iterator {
    double at;
    double operator*() const { return at; }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  double count;

  Iterator begin() const { return {1.0}; }
  Iterator end() const { return {count + 1.0}; }
};

}  // namespace

TEST_CASE("open windows go on: of plain batches, weighted ones, and with some left out") {
  require_goes_on<Plain>(toy::counting(6), fg::Accumulate<4>{}, fg::MaxEpochs{2});
  require_goes_on<Weighted>(toy::counting(6), fg::Accumulate<4>{}, fg::MaxEpochs{2});
  const toy::Range some_left_out{1.0, nan_value, 3.0, 4.0, nan_value, 5.0};
  require_goes_on<Plain>(some_left_out, fg::Accumulate<4>{}, fg::SkipNonFinite{}, fg::MaxEpochs{2});
  const toy::Range a_whole_window_left_out{nan_value, nan_value, 3.0, 4.0};
  require_goes_on<Plain>(a_whole_window_left_out, fg::Accumulate<2>{}, fg::SkipNonFinite{}, fg::MaxEpochs{2});
}

TEST_CASE("gradients go on where no window says when they are zeroed") {
  require_goes_on<ZeroesSeldom>(toy::counting(4), fg::MaxEpochs{2});
  require_goes_on<ByHand>(toy::counting(4), fg::ManualOptimization{}, fg::MaxEpochs{2});
}

TEST_CASE("optimizers that take turns go on with their own counts") {
  require_goes_on<TakingTurns>(toy::counting(4), fg::MaxEpochs{2});
}

TEST_CASE("schedules go on: by steps of an epoch, by metrics that wait or have been taken, or suspended") {
  require_goes_on<EverySecondStep>(toy::counting(3), fg::MaxEpochs{2});
  require_goes_on<OnTrainLoss>({4.0, 3.0, 2.0}, fg::MaxEpochs{2});
  require_goes_on<OnValidationLoss>(toy::counting(3), fg::MaxEpochs{4});
  require_goes_on<Suspending>(toy::counting(4), fg::MaxEpochs{2});
}

TEST_CASE("a request to stop that waits for a minimum goes on waiting") {
  Stopping model;
  fg::Trainer trainer{model, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  trainer.fit(toy::counting(3));
  CHECK(trainer.progress().epoch == 2);
  for (const toy::Checkpoint& checkpoint : trainer.callback<Saver>().saved) {
    if (checkpoint.progress.epoch == 2) continue;
    INFO("saved after batch " << checkpoint.progress.batches);
    Stopping other;
    fg::Trainer resumed{other, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
    toy::load(resumed, checkpoint);
    resumed.fit(toy::counting(3));
    CHECK(resumed.progress() == trainer.progress());
  }
}

TEST_CASE("a request to stop that ended the fit is not in its checkpoint") {
  Stopping model, other;
  fg::Trainer trainer{model, Saver{}, fg::MaxEpochs{1}};
  fg::Trainer resumed{other, Saver{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(trainer.progress().batches == 2);
  toy::load(resumed, trainer.callback<Saver>().saved.back());
  resumed.fit(toy::counting(3));
  CHECK(resumed.progress().batches == 3);
}

TEST_CASE("a request to stop that waits outlasts a load that is followed by another save, and ends with its fit") {
  Stopping model, between, other, last;
  fg::Trainer trainer{model, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  fg::Trainer passing{between, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  fg::Trainer resumed{other, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  fg::Trainer after{last, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  trainer.fit(toy::counting(3));
  CHECK(trainer.progress().epoch == 2);
  passing.fit(toy::counting(3));
  toy::load(passing, *std::next(trainer.callback<Saver>().saved.begin()));
  toy::load(resumed, toy::saved(passing));
  resumed.fit(toy::counting(3));
  CHECK(resumed.progress().epoch == 2);
  toy::load(after, toy::saved(resumed));
  after.fit(toy::counting(3));
  CHECK(after.progress().epoch == 4);
}

TEST_CASE("epoch schedules that advanced with an epoch's last batch are not advanced again at its end") {
  // The stop brings a validation that no epoch's end would have; the checkpoint is saved before it.
  const fg::ValidateEvery every_second{.interval = fg::Batches{2}};
  const toy::Range validation{1.0};
  Stopping model, other;
  model.stops_after = 3;
  fg::Trainer trainer{model, Saver{}, every_second, fg::MaxEpochs{1}};
  fg::Trainer resumed{other, Saver{}, every_second, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3), validation);
  CHECK(trainer.optimizer().rate == 0.5);
  toy::load(resumed, trainer.callback<Saver>().saved.back());
  CHECK(resumed.progress().batch == 3);
  resumed.fit(toy::counting(3), validation);
  CHECK(resumed.progress().epoch == 1);
  CHECK(resumed.optimizer().rate == 0.5);
}

TEST_CASE("time that was trained before a checkpoint counts, but not for the fit after") {
  Plain model, other;
  fg::Trainer trainer{model, Saver{}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(2));
  toy::Checkpoint checkpoint = trainer.callback<Saver>().saved.front();
  checkpoint.entries.at("clock.seconds") = 3600.0;

  const support::Notices nothing_to_train;
  fg::Trainer resumed{other, Saver{}, fg::MaxEpochs{2}, fg::MaxTime{std::chrono::minutes{30}}};
  toy::load(resumed, checkpoint);
  resumed.fit(toy::counting(2));
  CHECK(resumed.progress().batches == 1);
  resumed.fit(toy::counting(2));
  CHECK(resumed.progress().batches > 1);
}

TEST_CASE("a fit that fails before it touches the epoch that was loaded leaves it, and a request that waits") {
  Stopping model, other;
  fg::Trainer trainer{model, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  fg::Trainer resumed{other, Saver{}, fg::MinEpochs{2}, fg::MaxEpochs{4}};
  trainer.fit(Stream{3.0});
  CHECK(trainer.progress().epoch == 2);
  toy::load(resumed, *std::next(trainer.callback<Saver>().saved.begin()));
  CHECK_THROWS_AS(resumed.fit(Stream{1.0}), std::invalid_argument);
  resumed.fit(Stream{3.0});
  CHECK(resumed.progress() == trainer.progress());
}

TEST_CASE("an epoch that was interrupted goes on with a range of its length alone, and is over when it has ended") {
  Plain model, other;
  fg::Trainer trainer{model, Saver{}, fg::MaxEpochs{1}};
  fg::Trainer resumed{other, Saver{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  toy::load(resumed, trainer.callback<Saver>().saved.front());
  CHECK_THROWS_AS(resumed.fit(toy::counting(4)), std::invalid_argument);
  resumed.fit(toy::counting(3));
  CHECK(other.weight.value == model.weight.value);

  resumed.loop().step(1.0);
  resumed.set_limit(fg::MaxEpochs{2});
  CHECK_THROWS_AS(resumed.fit(toy::counting(3)), std::logic_error);
}

TEST_CASE("a loop of the program's own goes on beyond the end of a fit's epoch that it loaded: its windows are means all the same") {
  Plain model, other;
  fg::Trainer trainer{model, Saver{}, fg::Accumulate<3>{}, fg::MaxEpochs{1}};
  fg::Trainer resumed{other, Saver{}, fg::Accumulate<3>{}};
  trainer.fit(toy::counting(2));
  toy::load(resumed, trainer.callback<Saver>().saved.front());  // one batch of two
  auto loop = resumed.loop();
  loop.step(4.0);
  loop.step(7.0);
  CHECK(other.weight.value == -(1.0 + 4.0 + 7.0) / 3.0);
}
