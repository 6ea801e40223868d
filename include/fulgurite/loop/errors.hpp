// SPDX-License-Identifier: MIT
// The errors of a running training that a program may want to tell apart.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace fulgurite {

/// A loss was NaN or infinite. No optimizer has stepped on it: parameters and optimizer state are as before, but for what the
/// batch's other losses did before it (of several optimizers, or by hand) and for LBFGS, which evaluates several times a step.
/// Open windows and their gradients are dropped; buffers such as batch-norm statistics have seen the batch.
class NonFiniteLoss : public std::runtime_error {
 public:
  NonFiniteLoss(std::int64_t epoch, std::int64_t batch, double loss, const std::string& gradient)
      : std::runtime_error("fulgurite: the loss is " + std::to_string(loss) + " in epoch " + std::to_string(epoch) +
                           ", batch " + std::to_string(batch) +
                           (gradient.empty() ? std::string() : "; first non-finite gradient: " + gradient) +
                           ". No optimizer has stepped on it. To leave such batches out, use fg::SkipNonFinite; lower the learning "
                           "rate or clip gradients to avoid them"),
        epoch_(epoch),
        batch_(batch),
        loss_(loss),
        gradient_(gradient) {}

  std::int64_t epoch() const { return epoch_; }
  std::int64_t batch() const { return batch_; }  ///< in the epoch
  double loss() const { return loss_; }
  const std::string& gradient() const { return gradient_; }  ///< parameter's name; empty if all gradients are finite

 private:
  std::int64_t epoch_;
  std::int64_t batch_;
  double loss_;
  std::string gradient_;
};

}  // namespace fulgurite
