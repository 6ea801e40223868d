// SPDX-License-Identifier: MIT
// fg::Frozen on a GPU: forward and backward pass as one CUDA graph, clipping and update as another. Include it in one file
// of a program that is built with a CUDA toolkit and linked with LibTorch's CUDA libraries; nothing else is needed.
#pragma once

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/Device.h>
#include <c10/core/GradMode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/gradient_places.hpp>
#include <fulgurite/frozen/detail/recording.hpp>
#include <fulgurite/frozen/frozen_refusal.hpp>
#include <fulgurite/frozen/verification.hpp>

namespace fulgurite::detail {

/// For a scope: what this thread does on the device, it does on `stream`, after what it did before and before what follows.
class OnStream {
 public:
  explicit OnStream(const c10::cuda::CUDAStream& stream)
      : outer_(c10::cuda::getCurrentCUDAStream(stream.device_index())), guard_(stream) {
    outer_.synchronize();
  }
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;
  ~OnStream() { C10_CUDA_CHECK_WARN(cudaStreamSynchronize(guard_.current_stream())); }

 private:
  c10::cuda::CUDAStream outer_;
  c10::cuda::CUDAStreamGuard guard_;
};

/// A step as LibTorch's kernels were launched in it. Random operators go on drawing from the default generator of the
/// device.
class RecordedGraph final : public Recording {
 public:
  /// A capture only writes down: the step is made by the first replay, which is part of this.
  RecordedGraph(StepFunction step, std::vector<at::Tensor> parameters, const c10::cuda::CUDAStream& stream,
                at::cuda::MempoolId_t pool)
      : gradients_(parameters), stream_(stream) {
    const OnStream on_stream(stream_);
    const at::Generator& generator = at::globalContext().defaultGenerator(stream_.device());
    const at::Generator spare = generator.clone();
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    try {
      result_ = step();
      graph_.capture_end();
    } catch (const c10::Error& error) {
      end_broken_capture(pool, generator, spare);
      throw FrozenRefusal("something that no CUDA graph takes", error.what_without_backtrace());
    } catch (...) {
      end_broken_capture(pool, generator, spare);
      throw;
    }
    if (result_.defined()) result_ = result_.detach();
    // Gradients that were there before and still are have been added to.
    gradients_.finish([&](const at::Tensor& gradient) {
      bool kept = false;
      for (const at::Tensor& parameter : parameters) kept |= parameter.grad().is_same(gradient);
      return kept;
    });
    graph_.replay();
  }

  void replay() const override {
    const c10::NoGradGuard no_grad;
    gradients_.enter();
    graph_.replay();
    gradients_.leave();
  }

  const at::Tensor& result() const override { return result_; }

  std::optional<FrozenDifference> verify(const FrozenState& state, StepFunction step) const override {
    std::optional<c10::NoGradGuard> no_grad(std::in_place);
    const StateCopy before(state);
    const GeneratorCopy drawn_before(state);
    no_grad.reset();
    at::Tensor eager;
    {
      const OnStream on_stream(stream_);
      eager = step();
    }
    no_grad.emplace();
    const StateCopy expected(state, eager);
    const GeneratorCopy drawn(state);
    before.restore(state);
    drawn_before.restore();
    replay();
    const StateCopy replayed(state, result_);
    std::string tensor = StateCopy::first_difference(state, expected, replayed);
    if (tensor.empty() && !GeneratorCopy::same(drawn, GeneratorCopy(state))) tensor = "the state of the random generator";
    if (tensor.empty()) return std::nullopt;
    expected.restore(state);
    drawn.restore();
    return FrozenDifference{std::move(tensor), "",
                            "a value on the host changed, or a kernel adds in no fixed order "
                            "(at::globalContext().setDeterministicAlgorithms(true, false) forbids those)"};
  }

 private:
  /// Where a capture broke, LibTorch leaves allocator and generator within it.
  void end_broken_capture(at::cuda::MempoolId_t pool, const at::Generator& generator, const at::Generator& spare) {
    try {
      graph_.capture_end();
      return;
    } catch (const c10::Error&) {  // says again that it is broken
    }
    static_cast<void>(cudaGetLastError());
    c10::cuda::CUDACachingAllocator::endAllocateToPool(stream_.device_index(), pool);
    at::Generator(generator).graphsafe_set_state(spare);
  }

  mutable at::cuda::CUDAGraph graph_;
  GradientPlaces gradients_;
  c10::cuda::CUDAStream stream_;
  at::Tensor result_;
};

/// The graphs of one optimizer share a stream and a memory pool: they are never replayed at the same time.
class GraphRecorder final : public StepRecorder {
 public:
  explicit GraphRecorder(at::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
        pool_(at::cuda::graph_pool_handle()) {}

  /// As torch.cuda.make_graphed_callables: libraries set themselves up in the first steps.
  std::size_t warm_ups() const override { return 3; }
  at::Tensor warm_up(StepFunction step) override {
    const OnStream on_stream(stream_);
    return step();
  }

  std::unique_ptr<Recording> record(StepFunction step, const std::vector<at::Tensor>& /*inputs*/,
                                    std::vector<at::Tensor> parameters) override {
    return std::make_unique<RecordedGraph>(step, std::move(parameters), stream_, pool_);
  }
  /// A capture only writes down.
  bool makes_refused_steps() const override { return false; }

 private:
  c10::cuda::CUDAStream stream_;
  at::cuda::MempoolId_t pool_;
};

inline const bool cuda_graphs_are_there = [] {
  make_cuda_recorder = [](at::Device device) -> std::unique_ptr<StepRecorder> {
    return std::make_unique<GraphRecorder>(device);
  };
  return true;
}();

}  // namespace fulgurite::detail
