// SPDX-License-Identifier: MIT
// The errors of a running training that a program may want to tell apart.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include <fulgurite/detail/number_text.hpp>

namespace fulgurite {

/// What else is known of a non-finite loss.
struct NonFiniteCircumstances {
  std::string parameter{};       ///< name of one that is not finite itself; empty if all are
  bool within_search = false;    ///< an optimizer that re-evaluates (LBFGS) may have moved the parameters in this step
  bool can_be_skipped = true;    ///< the trainer could have fg::SkipNonFinite
};

/// A loss was NaN or infinite. No optimizer has stepped on it: parameters and optimizer state are as before, but for what
/// the batch's other losses did before it (of several optimizers, or by hand) and for LBFGS, which evaluates several times
/// per step. Open windows and their gradients are dropped; buffers such as batch-norm statistics have seen the batch.
class NonFiniteLoss : public std::runtime_error {
 public:
  NonFiniteLoss(std::int64_t epoch, std::int64_t batch, double loss, const std::string& gradient,
                const NonFiniteCircumstances& circumstances = {})
      : std::runtime_error("fulgurite: the loss is " + detail::text_of(loss) + " in epoch " + std::to_string(epoch) +
                           ", batch " + std::to_string(batch) +
                           (gradient.empty() ? std::string() : "; first non-finite gradient: " + gradient) + ". " +
                           explanation(circumstances)),
        epoch_(epoch),
        batch_(batch),
        loss_(loss),
        gradient_(gradient),
        parameter_(circumstances.parameter) {}

  std::int64_t epoch() const { return epoch_; }
  std::int64_t batch() const { return batch_; }  ///< in the epoch
  double loss() const { return loss_; }
  const std::string& gradient() const { return gradient_; }  ///< parameter's name; empty if all gradients are finite
  const std::string& parameter() const { return parameter_; }  ///< name of one that is not finite itself; empty if all are

 private:
  static std::string explanation(const NonFiniteCircumstances& circumstances) {
    if (circumstances.within_search) {
      return "An optimizer that evaluates the loss several times per step (LBFGS) was in the middle of one: the parameters "
             "are where it evaluated last. A lower learning rate keeps it from going so far";
    }
    if (!circumstances.parameter.empty()) {
      return "The parameter " + circumstances.parameter +
             " is not finite, so an update wrote that before: its gradient was not finite, or its step too long. To stop "
             "before such an update, clip by fg::ClipNorm{.max = ..., .error_if_nonfinite = true}";
    }
    const std::string unharmed = "No optimizer has stepped on it. ";
    if (!circumstances.can_be_skipped) return unharmed + "Lower the learning rate or clip gradients to avoid such losses";
    return unharmed +
           "To leave such batches out, use fg::SkipNonFinite; lower the learning rate or clip gradients to avoid them";
  }

  std::int64_t epoch_;
  std::int64_t batch_;
  double loss_;
  std::string gradient_;
  std::string parameter_;
};

}  // namespace fulgurite
