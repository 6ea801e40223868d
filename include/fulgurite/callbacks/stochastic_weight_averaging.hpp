// SPDX-License-Identifier: MIT
// A callback that averages the weights at the ends of the last epochs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

#include <c10/core/GradMode.h>

#include <fulgurite/averaging/averaged_model.hpp>
#include <fulgurite/averaging/update_bn.hpp>
#include <fulgurite/policies/callback.hpp>
#include <fulgurite/policies/limits.hpp>
#include <fulgurite/schedulers/swa_lr.hpp>

namespace fulgurite {

/// The epoch of that number; the first one is number 1.
struct EpochNumber {
  std::int64_t number = 1;

  friend constexpr bool operator==(EpochNumber, EpochNumber) = default;
};

/// An epoch of a fit: its number, or the one in which such a part of the fit's epochs is reached. Two types instead of one
/// number: 1 and 1.0 don't mean the same.
class EpochPlace {
 public:
  constexpr EpochPlace(EpochNumber epoch) : number_(epoch.number) {}            // NOLINT(google-explicit-constructor)
  constexpr EpochPlace(Fraction fraction) : fraction_(fraction.of_range) {}     // NOLINT(google-explicit-constructor)

  /// Index of the epoch, from 0, in a fit of `epochs` epochs (nothing: unknown).
  /// Throws std::invalid_argument for a fraction of an unknown number, and for an epoch that the fit does not reach.
  std::int64_t index(std::optional<std::int64_t> epochs, const char* name) const {
    if (fraction_ && !epochs) {
      throw std::invalid_argument(std::string("fulgurite: ") + name +
                                  " is a Fraction of a training whose number of epochs is unknown: "
                                  "use fg::EpochNumber, or fit with fg::MaxEpochs");
    }
    const std::int64_t number =
        fraction_ ? static_cast<std::int64_t>(static_cast<double>(*epochs) * *fraction_) : number_;
    if (epochs && number > *epochs) {
      throw std::invalid_argument(std::string("fulgurite: ") + name + " is epoch number " + std::to_string(number) +
                                  ", but the fit ends after " + std::to_string(*epochs) +
                                  ": start earlier, or train longer");
    }
    return std::max<std::int64_t>(number - 1, 0);
  }

  constexpr bool makes_sense() const {
    return fraction_ ? *fraction_ >= 0.0 && *fraction_ <= 1.0 : number_ >= 1;
  }

  friend constexpr bool operator==(const EpochPlace&, const EpochPlace&) = default;
  friend std::ostream& operator<<(std::ostream& out, const EpochPlace& place) {
    if (place.fraction_) return out << "Fraction{" << *place.fraction_ << '}';
    return out << "EpochNumber{" << place.number_ << '}';
  }

 private:
  std::int64_t number_ = 1;
  std::optional<double> fraction_;
};

/// When an epoch's weights are averaged.
enum class AveragesAt {
  epoch_end,    ///< after each epoch from `start` on, the last one included
  epoch_start,  ///< before each of them, so without the last one's: Lightning's numbers
};

namespace detail {

/// What `step.optimizers()` gave is one optimizer, and has learning rates.
template <class Handle>
concept OneOptimizerWithRate = requires(const Handle& optimizer, std::int64_t group) { optimizer.lr(group); };

}  // namespace detail

/// Stochastic weight averaging: from epoch `start` on, the learning rate goes to `lr` and stays there, the model's own
/// schedules stand still, and the weights of every epoch's end are averaged with equal weights. When the fit ends the
/// model holds the average, its batch-norm statistics computed anew by one more pass over the training range.
/// Lightning's StochasticWeightAveraging (Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, 2018).
struct StochasticWeightAveraging {
  using slot = slots::Callback;

  PerGroup lr = 0.0;                                    ///< learning rate to anneal to, above 0; no default makes sense
  EpochPlace start = Fraction{0.8};                     ///< fg::EpochNumber{6}, or fg::Fraction{0.8} of the fit's epochs
  std::int64_t annealing_epochs = 10;                   ///< epochs until the rate is `lr`; 0 begins with it
  Anneal annealing = Anneal::cosine;                    ///< form of the way there
  AveragesAt averages_at = AveragesAt::epoch_end;       ///< whose weights are averaged
  std::optional<at::Device> device = std::nullopt;      ///< where the average lies; by default beside the weights
  std::optional<at::ScalarType> format = std::nullopt;  ///< of the average; by default as the weights

  std::optional<AveragedModel<EqualMean>> average = std::nullopt;  ///< state, as the next two: not to be set
  std::optional<std::int64_t> first_epoch = std::nullopt;            ///< index of the first averaged epoch
  std::int64_t annealed = -1;                                        ///< epochs of annealing so far, -1 before

  const char* problem() const {
    if (!lr.all([](double rate) { return rate > 0.0; })) return "StochasticWeightAveraging.lr must be above 0";
    if (!start.makes_sense()) {
      return "StochasticWeightAveraging.start must be fg::EpochNumber of 1 or more, or a Fraction in [0, 1]";
    }
    return annealing_epochs >= 0 ? nullptr : "StochasticWeightAveraging.annealing_epochs must be 0 or more";
  }

  /// Throws std::invalid_argument if the fit does not reach `start`, and std::logic_error if manual optimization meets
  /// batch norm, whose statistics could not be refreshed.
  void on_fit_start(auto& run) {
    first_epoch = start.index(run.max_epochs(), "StochasticWeightAveraging.start");
    if constexpr (!requires { run.pass_forward(); }) {
      if (BatchNormRefresh::needed(run.model())) {
        throw std::logic_error("fulgurite: StochasticWeightAveraging cannot refresh batch norm in manual optimization, whose "
                               "training_step updates by itself: use fg::AveragedModel and fg::update_bn");
      }
    }
  }

  void on_train_epoch_start(auto& step) {
    if (!runs(step)) return;
    if (annealed < 0) {
      annealed = 0;
      step.suspend_schedules();
      set_rates(step);
    }
    if (averages_at == AveragesAt::epoch_start) update(step);
  }

  void on_train_epoch_end(auto& step) {
    if (!runs(step)) return;
    if (averages_at == AveragesAt::epoch_end) update(step);
    ++annealed;
    set_rates(step);
  }

  void on_train_end(auto& run) {
    if (!average) return;
    average->copy_to_model();
    average.reset();
    if constexpr (requires { run.pass_forward(); }) {
      BatchNormRefresh refresh(run.model());
      if (refresh.empty()) return;
      const c10::NoGradGuard no_grad;
      if (run.pass_forward() == 0) {
        throw std::invalid_argument("fulgurite: the training range gave no batch to refresh batch norm for the averaged "
                                    "weights: give fit a range that can be walked more than once");
      }
      refresh.keep();
    }
  }

  void on_save_checkpoint(auto& checkpoint) {
    checkpoint("first_epoch", first_epoch);
    checkpoint("annealed", annealed);
    checkpoint("average", average);
  }
  void on_load_checkpoint(auto& checkpoint) {
    checkpoint("first_epoch", first_epoch);
    checkpoint("annealed", annealed);
    average.reset();
    if (checkpoint.empty("average")) return;
    begin(checkpoint.model());
    checkpoint("average", *average);
    average->keep_buffers_of_model();
  }

 private:
  void begin(const auto& model) {
    average.emplace(model, EqualMean{}, AveragedModelOptions{.device = device, .format = format});
  }

  bool runs(auto& step) {
    if (!first_epoch) first_epoch = start.index(std::nullopt, "StochasticWeightAveraging.start");  // a loop without fit
    return step.epoch() >= *first_epoch;
  }

  void update(auto& step) {
    if (!average) begin(step.model());
    average->update();
  }

  void set_rates(auto& step) const {
    auto optimizer = step.optimizers();
    constexpr bool works = detail::OneOptimizerWithRate<decltype(optimizer)>;
    static_assert(works,
                  "fg::StochasticWeightAveraging needs a model with one optimizer that has a learning rate. "
                  "See docs/errors/stochastic-weight-average.md");
    if constexpr (works) {
      const SWALR schedule{.target = lr, .period = annealing_epochs, .anneal = annealing};
      schedule.require_groups(optimizer.group_count());
      for (std::int64_t group = 0; group < optimizer.group_count(); ++group) {
        const double current = optimizer.lr(group);
        optimizer.set_lr(group, schedule.lr({.step = annealed, .base = current, .current = current, .group = group}));
      }
    }
  }
};

}  // namespace fulgurite
