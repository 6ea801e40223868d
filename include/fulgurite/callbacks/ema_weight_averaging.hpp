// SPDX-License-Identifier: MIT
// A callback that trains with an exponential moving average of the weights.
#pragma once

#include <cstdint>
#include <optional>

#include <fulgurite/averaging/averaged_model.hpp>
#include <fulgurite/policies/callback.hpp>

namespace fulgurite {

/// Averages the weights exponentially over optimizer steps. The training goes on with the raw weights; validation sees
/// the average, and after the fit the model holds it. Lightning's EMAWeightAveraging.
///
/// An update comes after a batch in which `global_step` grew, if the index of its step (`global_step` - 1) is `start` or
/// more and a multiple of `every`; the first one copies.
struct EMAWeightAveraging {
  using slot = slots::Callback;

  double decay = 0.999;                                 ///< average = decay * average + (1 - decay) * weights; in [0, 1]
  double warm_up = 0.0;                                 ///< see fg::ExponentialMean; 0 is none
  std::int64_t every = 1;                               ///< optimizer steps from one update to the next
  std::int64_t start = 0;                               ///< index of the first optimizer step that is averaged
  BufferAveraging buffers = BufferAveraging::average;   ///< what becomes of floating-point buffers
  std::optional<at::Device> device = std::nullopt;      ///< where the average lies; by default beside the weights
  std::optional<at::ScalarType> format = std::nullopt;  ///< of the average; by default as the weights

  std::optional<AveragedModel<ExponentialMean>> average = std::nullopt;  ///< state, as the next: not to be set
  std::int64_t seen = 0;                                                   ///< global_step at the last batch

  constexpr const char* problem() const {
    if (!(decay >= 0.0 && decay <= 1.0)) return "EMAWeightAveraging.decay must be in [0, 1]";
    if (!(warm_up >= 0.0)) return "EMAWeightAveraging.warm_up must be 0 or more updates";
    if (every < 1) return "EMAWeightAveraging.every must be 1 or more optimizer steps";
    return start >= 0 ? nullptr : "EMAWeightAveraging.start must be 0 or more: the index of an optimizer step";
  }

  void on_train_batch_end(const auto& /*result*/, const auto& /*batch*/, auto& step) {
    const std::int64_t index = step.global_step() - 1;
    if (step.global_step() <= seen) return;
    seen = step.global_step();
    if (index < start || index % every != 0) return;
    if (!average) begin(step.model());
    average->update();
  }

  /// The average is in the model while the validation range is walked.
  std::optional<SwappedWeights> validation_scope(auto& /*step*/) const {
    if (!average) return std::nullopt;
    return average->swap_in();
  }

  void on_train_end(auto& /*run*/) {
    if (!average) return;
    average->copy_to_model();
    average.reset();
  }

  void on_save_checkpoint(auto& checkpoint) {
    checkpoint("seen", seen);
    checkpoint("average", average);
  }
  void on_load_checkpoint(auto& checkpoint) {
    checkpoint("seen", seen);
    average.reset();
    if (checkpoint.empty("average")) return;
    begin(checkpoint.model());
    checkpoint("average", *average);
    average->keep_buffers_of_model();
  }

 private:
  void begin(const auto& model) {
    average.emplace(model, ExponentialMean{.decay = decay, .warm_up = warm_up},
                    AveragedModelOptions{.buffers = buffers, .device = device, .format = format});
  }
};

}  // namespace fulgurite
