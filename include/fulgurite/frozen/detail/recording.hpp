// SPDX-License-Identifier: MIT
// A step that can be repeated, whatever the device: a tape on a CPU, a CUDA graph on a GPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/util/FunctionRef.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fulgurite/frozen/frozen_refusal.hpp>
#include <fulgurite/frozen/tape.hpp>
#include <fulgurite/frozen/verification.hpp>

namespace fulgurite::detail {

/// Makes the step and returns its loss.
using StepFunction = c10::function_ref<at::Tensor()>;

class Recording {
 public:
  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  virtual ~Recording() = default;

  virtual void replay() const = 0;
  /// What the recorded step returned, at a fixed address.
  virtual const at::Tensor& result() const = 0;
  /// Makes one eager step and compares a replay with it, as fg::verify does.
  virtual std::optional<FrozenDifference> verify(const FrozenState& state, StepFunction step) const = 0;
};

/// Records the steps of one optimizer.
class StepRecorder {
 public:
  StepRecorder() = default;
  StepRecorder(const StepRecorder&) = delete;
  StepRecorder& operator=(const StepRecorder&) = delete;
  virtual ~StepRecorder() = default;

  /// Batches of a kind that run as ever before one is recorded: they may make what later ones find.
  virtual std::size_t warm_ups() const { return 1; }
  /// One of them.
  virtual at::Tensor warm_up(StepFunction step) { return step(); }
  /// Makes the step once and keeps it; see fg::Tape::record, also for what it throws.
  virtual std::unique_ptr<Recording> record(StepFunction step, const std::vector<at::Tensor>& inputs,
                                            std::vector<at::Tensor> parameters) = 0;
  /// A step that `record` refused is made nevertheless.
  virtual bool makes_refused_steps() const { return true; }
};

class RecordedTape final : public Recording {
 public:
  explicit RecordedTape(Tape tape) : tape_(std::move(tape)) {}

  void replay() const override { tape_.replay(); }
  const at::Tensor& result() const override { return tape_.result(); }
  std::optional<FrozenDifference> verify(const FrozenState& state, StepFunction step) const override {
    return fulgurite::verify(tape_, state, step);
  }

 private:
  Tape tape_;
};

class TapeRecorder final : public StepRecorder {
 public:
  std::unique_ptr<Recording> record(StepFunction step, const std::vector<at::Tensor>& inputs,
                                    std::vector<at::Tensor> parameters) override {
    return std::make_unique<RecordedTape>(Tape::record(step, inputs, std::move(parameters)));
  }
};

using MakeRecorder = std::unique_ptr<StepRecorder> (*)(at::Device device);

/// Set by fulgurite/cuda/graphs.hpp, where a program includes it.
inline MakeRecorder make_cuda_recorder = nullptr;

/// Throws FrozenRefusal for a device on which nothing can be recorded.
inline std::unique_ptr<StepRecorder> recorder_for(at::Device device) {
  if (device.is_cpu()) return std::make_unique<TapeRecorder>();
  if (device.is_cuda() && make_cuda_recorder) return make_cuda_recorder(device);
  throw FrozenRefusal("a model on " + device.str(),
                      device.is_cuda() ? "CUDA graphs are apart, since they need the CUDA toolkit: "
                                         "#include <fulgurite/cuda/graphs.hpp> in one of the program's files"
                                       : "steps are recorded on a CPU or an NVIDIA GPU");
}

}  // namespace fulgurite::detail
