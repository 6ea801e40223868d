// SPDX-License-Identifier: MIT
// The world of LibTorch's tensors, as the engine sees it: how a loss is differentiated, how batches and parameters get
// to the device and number format of the policies.
#pragma once

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <c10/util/intrusive_ptr.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/concepts/backend.hpp>
#include <fulgurite/detail/inline.hpp>
#include <fulgurite/detail/nothing.hpp>
#include <fulgurite/logging/notice.hpp>
#include "detail/empty_parameter_list.hpp"
#include "for_each_tensor.hpp"
#include "gradients.hpp"
#include "guards.hpp"
#include "loss_scale.hpp"
#include "number.hpp"
#include "parameter_toggles.hpp"
#include "processor.hpp"
#include "shape.hpp"

namespace fulgurite {

constexpr at::ScalarType scalar_type(NumberFormat format) {
  switch (format) {
    case NumberFormat::float64: return at::kDouble;
    case NumberFormat::bfloat16: return at::kBFloat16;
    case NumberFormat::float16: return at::kHalf;
    default: return at::kFloat;
  }
}

template <class PrecisionPolicy>
class TensorBackend {
  static constexpr NumberFormat parameters = PrecisionPolicy::parameters;
  static constexpr NumberFormat autocast = PrecisionPolicy::autocast;
  static constexpr bool converts = parameters != NumberFormat::unchanged;
  /// The format of the forward pass, if the policy names one.
  static constexpr NumberFormat forward = autocast != NumberFormat::unchanged ? autocast : parameters;

 public:
  template <class>
  static constexpr bool supports_precision = true;
  template <class Loss>
  static constexpr bool accepts_loss = std::is_same_v<Loss, at::Tensor>;
  template <class Optimizer>
  static constexpr bool can_toggle = TellsParameters<Optimizer>;
  using Toggles = ParameterToggles;

  /// Throws std::invalid_argument if the machine has no such device; says once if its processor has no arithmetic in the
  /// format.
  TensorBackend(DevicePlace place, [[maybe_unused]] const PrecisionPolicy& precision)
      : device_(existing(place)), loss_scale_([&] {
          if constexpr (ScalesLoss<PrecisionPolicy>) {
            return LossScale(precision.loss_scale(), device_);
          } else {
            return detail::Nothing();
          }
        }()) {
    if constexpr (forward == NumberFormat::bfloat16 || forward == NumberFormat::float16) {
      if (device_.is_cpu()) detail::notice_slow_format(forward, processor_formats());
    }
  }

  LossScale& loss_scale()
    requires ScalesLoss<PrecisionPolicy>
  {
    return loss_scale_;
  }

  /// Moves parameters and buffers to the device and number format; they stay the same tensors for who holds them.
  template <class Model>
  void prepare(Model& model) const {
    if constexpr (requires { model.parameters(); model.buffers(); }) {
      for (auto& parameter : model.parameters()) convert(parameter);
      for (auto& buffer : model.buffers()) convert(buffer);
    }
  }

  /// The batch on the device and in the number format. Host batches travel to a GPU; whatever else lies elsewhere is
  /// refused, since a copy a batch from one device to another is a mistake that only costs time.
  template <class Batch>
  decltype(auto) take(const Batch& batch) const {
    if constexpr (!HoldsTensors<Batch>) {
      static_assert(!converts,
                    "the precision policy converts batches, and this type hides its tensors: give it "
                    "`template <class F> void for_each_tensor(F&& f)`. See docs/errors/batch-type.md");
      return (batch);
    } else if constexpr (converts) {
      return travelled(batch);
    } else {
      bool here = true;
      for_each_tensor(batch, [&](const at::Tensor& tensor) { here &= !tensor.defined() || tensor.device() == device_; });
      return here ? batch : travelled(batch);  // a copy counts references, it moves no data
    }
  }

  auto forward_guard() const {
    if constexpr (autocast == NumberFormat::unchanged) {
      return NoGuard{};
    } else {
      return AutocastGuard(device_.type(), scalar_type(autocast), true);
    }
  }
  auto full_precision_guard() const {
    if constexpr (autocast == NumberFormat::unchanged) {
      return NoGuard{};
    } else {
      return AutocastGuard(device_.type(), scalar_type(autocast), false);
    }
  }

  /// The random generators that a training draws from: the host's, and the device's.
  std::vector<at::Generator> generators() const {
    const at::Generator& host = at::globalContext().defaultGenerator(at::kCPU);
    if (device_.is_cpu()) return {host};
    return {host, at::globalContext().defaultGenerator(device_)};
  }
  RandomGuard random_guard() const { return RandomGuard(generators()); }

  template <class Model>
  EvaluationGuard<Model> evaluation_guard(Model& model) const {
    return EvaluationGuard<Model>(model, generators());
  }

  /// Gradients are recorded, as in PyTorch Lightning, also within a torch::NoGradGuard of the caller. Throws
  /// std::logic_error within c10::InferenceMode, in which none can be.
  c10::AutoGradMode training_guard() const {
    if (c10::InferenceMode::is_enabled()) {
      throw std::logic_error(
          "fulgurite: a training was begun within c10::InferenceMode, in which LibTorch records no gradients: "
          "train outside of its scope");
    }
    return c10::AutoGradMode(true);
  }

  static constexpr bool explains_errors = true;
  /// Calls `act`. To an error of LibTorch that leaves it is added where it comes from, `where()`, and what `batch` holds.
  template <class Batch, class Where, class Act>
  FULGURITE_INLINE static decltype(auto) in_context(const Batch& batch, const Where& where, const Act& act) {
    try {
      return act();
    } catch (c10::Error& error) {
      error.add_context("fulgurite: " + where() + contents_of(batch));
      throw;
    }
  }

  template <class Model, class ForEachParameter>
  void note_parameters(Model& model, const ForEachParameter&) {
    if constexpr (requires { model.named_parameters(); }) {
      for (const auto& each : model.named_parameters()) parameters_[each.key()] = each.value().unsafeGetTensorImpl();
    }
  }

  /// Throws std::logic_error if an optimizer trains a tensor that was a parameter of the model when the trainer was made,
  /// and is none any more. A parameter that has come since, and that no optimizer trains, is a notice, if all optimizers
  /// tell theirs.
  template <class Model, class ForEachParameter>
  void require_same_parameters(Model& model, const ForEachParameter& for_each_parameter) const {
    if constexpr (requires { model.named_parameters(); }) {
      std::set<const at::TensorImpl*> trained, present;
      const bool all_known =
          for_each_parameter([&](const at::Tensor& parameter) { trained.insert(parameter.unsafeGetTensorImpl()); });
      const auto now = model.named_parameters();
      for (const auto& each : now) present.insert(each.value().unsafeGetTensorImpl());
      for (const auto& [name, tensor] : parameters_) {
        if (present.count(tensor) != 0 || trained.count(tensor) == 0) continue;
        throw std::logic_error(
            "fulgurite: the parameter " + name + " was " + (now.contains(name) ? "replaced" : "removed") +
            " after the trainer was made, and the optimizer still trains the tensor that it was: make the "
            "trainer when the model is complete, or copy new values into the parameter");
      }
      if (!all_known) return;
      for (const auto& each : now) {
        const bool is_new = parameters_.count(each.key()) == 0 && trained.count(each.value().unsafeGetTensorImpl()) == 0;
        if (!is_new || !each.value().requires_grad()) continue;
        detail::notice("fulgurite: the parameter " + each.key() + " was added after the trainer was made, and no "
                                  "optimizer trains it: make the trainer when the model is complete");
        return;
      }
    }
  }

  /// Throws std::invalid_argument for an optimizer without parameters.
  template <class Optimizer>
  void require_parameters(Optimizer& optimizer) const {
    if constexpr (TellsParameters<Optimizer>) {
      bool any = false;
      optimizer.for_each_parameter([&](const at::Tensor&) { any = true; });
      if (!any) {
        throw std::invalid_argument(std::string("fulgurite: an optimizer was given no parameters: ") +
                                    detail::empty_parameter_list);
      }
    }
  }

  template <class Model>
  std::string modes_to_mention(Model& model) const {
    if constexpr (requires { model.is_training(); model.named_modules(std::string(), false); }) {
      constexpr const char* effect =
          "dropout and batch norm act there as in evaluation. If that is not meant, call model.train() before";
      if (!model.is_training()) {
        return std::string("fulgurite: the training begins with the model in evaluation mode: ") + effect;
      }
      std::string first;
      std::size_t count = 0;
      for (const auto& each : model.named_modules(std::string(), /*include_self=*/false)) {
        if (!each.value()->is_training() && count++ == 0) first = each.key();
      }
      if (count == 0) return {};
      return "fulgurite: the training begins with " + first +
             (count > 1 ? " and " + std::to_string(count - 1) + " more" : "") + " in evaluation mode: " + effect;
    } else {
      return {};
    }
  }

  template <class Optimizer>
  void note_gradient(std::size_t index, Optimizer& optimizer) {
    if (const at::Tensor gradient = first_gradient(optimizer); gradient.defined()) {
      stepped_on_.insert_or_assign(index, WeakTensor(gradient.getIntrusivePtr()));
    }
  }
  template <class Optimizer>
  bool has_same_gradient(std::size_t index, Optimizer& optimizer) const {
    const auto before = stepped_on_.find(index);
    const at::Tensor gradient = first_gradient(optimizer);
    return before != stepped_on_.end() && gradient.defined() &&
           before->second.lock().get() == gradient.unsafeGetTensorImpl();
  }

  /// Throws std::invalid_argument if `loss` cannot be differentiated. An undefined one has no element.
  FULGURITE_INLINE void check_loss(const at::Tensor& loss) const {
    if (loss.numel() != 1 || !loss.requires_grad() || loss.is_complex()) refuse_loss(loss);
  }

  FULGURITE_INLINE std::optional<double> host_value(const at::Tensor& loss) const { return read_number(loss); }

  /// Adds the gradient of loss / divisor to the parameters'. The division is done on the gradient that backward starts
  /// from: the same numbers without an operator and a node of its own.
  void backward(const at::Tensor& loss, double divisor) {
    const at::Tensor& seed = seed_for(loss, divisor);
    if constexpr (ScalesLoss<PrecisionPolicy>) {
      loss.backward(seed.mul(loss_scale_.factor()).to(loss.scalar_type()));
    } else {
      loss.backward(seed);
    }
  }

  /// Examples of a batch: the first size of its first tensor.
  template <class Batch>
  double batch_size(const Batch& batch) const {
    double size = 1.0;
    if constexpr (HoldsTensors<Batch>) {
      bool found = false;
      for_each_tensor(batch, [&](const at::Tensor& tensor) {
        if (!found && tensor.defined() && tensor.dim() > 0) size = static_cast<double>(tensor.size(0));
        found = true;
      });
    }
    return size;
  }

  /// The name of the first parameter whose gradient is not finite; empty if there is none.
  template <class Model>
  std::string first_non_finite_gradient(Model& model) const {
    if constexpr (requires { model.named_parameters(); }) {
      for (const auto& parameter : model.named_parameters()) {
        const at::Tensor values = detail::gradient_values(parameter.value());
        if (values.defined() && !at::isfinite(values).all().template item<bool>()) return parameter.key();
      }
    }
    return {};
  }

  /// The name of the first parameter that is not finite; empty if all are.
  template <class Model>
  std::string first_non_finite_parameter(Model& model) const {
    if constexpr (requires { model.named_parameters(); }) {
      for (const auto& parameter : model.named_parameters()) {
        if (!at::isfinite(parameter.value().detach()).all().template item<bool>()) return parameter.key();
      }
    }
    return {};
  }

  const at::Device& device() const { return device_; }

 private:
  using WeakTensor = c10::weak_intrusive_ptr<at::TensorImpl, c10::UndefinedTensorImpl>;

  template <class Optimizer>
  static at::Tensor first_gradient(Optimizer& optimizer) {
    at::Tensor first;
    if constexpr (TellsParameters<Optimizer>) {
      optimizer.for_each_parameter([&](const at::Tensor& parameter) {
        if (!first.defined()) first = parameter.grad();
      });
    }
    return first;
  }

  /// " (the batch holds Float [8, 4], Float [8, 1])".
  template <class Batch>
  __attribute__((noinline, cold)) static std::string contents_of(const Batch& batch) {
    std::string kinds;
    if constexpr (HoldsTensors<Batch>) {
      std::size_t count = 0;
      for_each_tensor(batch, [&](const at::Tensor& tensor) {
        if (++count > most_kinds) return;
        kinds += (kinds.empty() ? "" : ", ") + detail::kind_of(tensor);
      });
      if (count > most_kinds) kinds += ", and " + std::to_string(count - most_kinds) + " more";
    }
    return kinds.empty() ? kinds : " (the batch holds " + kinds + ")";
  }
  static constexpr std::size_t most_kinds = 8;

  static at::Device existing(DevicePlace place) {
    if (place.kind == DevicePlace::Kind::cpu) return at::kCPU;
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(place.index));
    if (place.index >= cuda_devices()) {
      throw std::invalid_argument("fulgurite: the trainer's device is " + device.str() + ", and this machine has " +
                                  std::to_string(cuda_devices()) +
                                  " CUDA device(s) that LibTorch can use: use fg::Cpu" +
                                  (cuda_devices() > 0 ? ", or a lower index" : "") +
                                  ", or a LibTorch with CUDA on a machine with a GPU");
    }
    return device;
  }

  /// 0 with a LibTorch without CUDA.
  static int cuda_devices() { return static_cast<int>(at::detail::getCUDAHooks().deviceCount()); }

  /// 1 / divisor in the shape and format of the loss. Those of the last few are kept: a training uses one or two.
  const at::Tensor& seed_for(const at::Tensor& loss, double divisor) {
    for (const Seed& seed : seeds_) {
      if (seed.divisor == divisor && seed.value.scalar_type() == loss.scalar_type() &&
          seed.value.device() == loss.device() && seed.value.sizes() == loss.sizes()) {
        return seed.value;
      }
    }
    if (seeds_.size() == most_seeds) seeds_.erase(seeds_.begin());
    seeds_.push_back({divisor, at::ones(loss.sizes(), loss.options()) / divisor});
    return seeds_.back().value;
  }

  at::TensorOptions target(const at::Tensor& tensor) const {
    auto options = tensor.options().device(device_);
    return converts && tensor.is_floating_point() ? options.dtype(scalar_type(parameters)) : options;
  }

  void convert(at::Tensor& tensor) const {
    const auto options = target(tensor);
    if (tensor.device() != device_ || tensor.scalar_type() != at::typeMetaToScalarType(options.dtype())) {
      tensor.set_data(tensor.detach().to(options));
    }
  }

  at::Tensor moved(const at::Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    if (tensor.device() != device_ && !tensor.is_cpu()) {
      throw std::invalid_argument("fulgurite: a batch has a tensor on " + tensor.device().str() +
                                  ", but the trainer's device is " + device_.str() +
                                  ": move the batch, or name its device among the trainer's policies (fg::Cuda<0>)");
    }
    return tensor.to(target(tensor), /*non_blocking=*/true);
  }

  template <class Batch>
  Batch travelled(const Batch& batch) const {
    Batch taken = batch;
    for_each_tensor(taken, [&](at::Tensor& tensor) { tensor = moved(tensor); });
    return taken;
  }

  [[noreturn]] static void refuse_loss(const at::Tensor& loss) {
    std::string what = "fulgurite: training_step returned ";
    if (!loss.defined()) {
      what += "an undefined tensor: return the loss";
    } else if (loss.numel() != 1) {
      what += "a loss of shape " + detail::shape_of(loss) + ", which is not a scalar: return its mean() or sum()";
    } else if (loss.is_complex()) {
      what += "a complex loss: return a real one, torch::abs(loss) or torch::real(loss)";
    } else {
      what +=
          "a loss without gradient: no parameter that requires one takes part in it, or it was detached, or computed within "
          "a torch::NoGradGuard";
    }
    throw std::invalid_argument(what);
  }

  at::Device device_;
  struct Seed {  // the gradient that backward starts from
    double divisor;
    at::Tensor value;
  };
  static constexpr std::size_t most_seeds = 16;
  std::vector<Seed> seeds_;
  std::map<std::string, const at::TensorImpl*> parameters_;  // of the model, when the trainer was made
  std::map<std::size_t, WeakTensor> stepped_on_;              // by hand: a gradient of each optimizer's first step
  [[no_unique_address]] std::conditional_t<ScalesLoss<PrecisionPolicy>, LossScale, detail::Nothing> loss_scale_;
};

}  // namespace fulgurite
