// SPDX-License-Identifier: MIT
// A running average of a model's weights, beside the model.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/_foreach_lerp.h>
#include <c10/core/Device.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <torch/serialize/archive.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "mean.hpp"
#include "swapped_weights.hpp"

namespace fulgurite {

/// What becomes of floating-point buffers (the running statistics of batch norm). Others are copied either way.
enum class BufferAveraging {
  copy,     ///< as they were at the last update
  average,  ///< averaged like parameters
};

/// Options of `AveragedWeights`.
struct AveragedWeightsOptions {
  BufferAveraging buffers = BufferAveraging::copy;       ///< what becomes of floating-point buffers
  std::optional<at::Device> device = std::nullopt;       ///< where the average lies; by default beside the weights
  std::optional<at::ScalarType> format = std::nullopt;   ///< of floating-point averages, at::kFloat beside bfloat16
                                                         ///< weights, say; by default as the weights
};

/// A module: it has named parameters and buffers.
template <class M>
concept HasWeights = requires(const M& model) {
  model.named_parameters();
  model.named_buffers();
};

namespace detail {

/// The module behind a ModuleHolder or a std::shared_ptr; the module itself otherwise.
template <class M>
decltype(auto) module_in(M& model) {
  if constexpr (HasWeights<M>) {
    return (model);
  } else {
    return (*model);
  }
}

}  // namespace detail

/// The average of a model's weights over its updates: `EqualMean` (SWA) or `ExponentialMean` (EMA). All parameters take
/// part, frozen ones too; a shared one takes part once. torch.optim.swa_utils.AveragedModel, but only the tensors: the
/// average is seen through the model, `auto scope = average.swap_in(); model->forward(x);`.
///
///     fg::AveragedWeights average(model, fg::ExponentialMean{.decay = 0.999});
///     ... optimizer.step(); average.update();
///     average.copy_to_model();
///
/// It refers to the tensors that the model has when it is made. A copy has an average of its own.
template <Mean MeanType = EqualMean>
class AveragedWeights {
 public:
  using mean_type = MeanType;

  /// `model`: a module, a ModuleHolder or a std::shared_ptr to a module. Throws std::invalid_argument if the mean makes
  /// no sense, or if the model has no weights.
  template <class Model>
  explicit AveragedWeights(const Model& model, MeanType mean = {}, AveragedWeightsOptions options = {})
      : mean_(std::move(mean)), options_(options) {
    if constexpr (requires { mean_.problem(); }) {
      if (const char* problem = mean_.problem()) throw std::invalid_argument(std::string("fulgurite: ") + problem);
    }
    const auto& module = detail::module_in(model);
    std::unordered_set<const at::TensorImpl*> seen;
    const auto add = [&](const std::string& name, const at::Tensor& tensor, bool averaged) {
      if (!tensor.defined() || !seen.insert(tensor.unsafeGetTensorImpl()).second) return;
      weights_.push_back({name, tensor, {}, averaged && (tensor.is_floating_point() || tensor.is_complex())});
    };
    for (const auto& parameter : module.named_parameters()) add(parameter.key(), parameter.value(), true);
    for (const auto& buffer : module.named_buffers()) {
      add(buffer.key(), buffer.value(), options_.buffers == BufferAveraging::average);
    }
    if (weights_.empty()) throw std::invalid_argument("fulgurite: AveragedWeights was given a model without weights");
  }

  AveragedWeights(const AveragedWeights& other)
      : mean_(other.mean_), options_(other.options_), weights_(other.weights_), count_(other.count_) {
    const c10::NoGradGuard no_grad;
    for (Weight& weight : weights_) {
      if (weight.average.defined()) weight.average = weight.average.clone();
    }
    if (count_ > 0) group();
  }
  AveragedWeights(AveragedWeights&&) noexcept = default;
  AveragedWeights& operator=(AveragedWeights other) noexcept {
    mean_ = std::move(other.mean_);
    options_ = other.options_;
    weights_ = std::move(other.weights_);
    groups_ = std::move(other.groups_);
    count_ = other.count_;
    return *this;
  }
  ~AveragedWeights() = default;

  /// Takes the model's weights into the average; the first time it becomes a copy of them.
  void update() {
    const c10::NoGradGuard no_grad;
    if (count_ == 0) {
      allocate();
    } else {
      const double newest = mean_.weight(count_);
      for (Group& group : groups_) group.lerp(newest);
      for (const Weight& weight : weights_) {
        if (!weight.averaged) weight.average.copy_(weight.own);
      }
    }
    ++count_;
  }

  /// The average in the model, for a scope; afterwards the model has its own weights back, bit for bit. Don't update
  /// meanwhile. Throws std::logic_error before the first update.
  SwappedWeights swap_in() const {
    require_average();
    std::vector<SwappedWeights::Swap> swaps;
    swaps.reserve(weights_.size());
    for (const Weight& weight : weights_) swaps.push_back({weight.own, weight.average});
    return SwappedWeights(swaps);
  }

  /// Overwrites the model's weights by the average. Throws std::logic_error before the first update.
  void copy_to_model() const {
    require_average();
    const c10::NoGradGuard no_grad;
    for (const Weight& weight : weights_) weight.own.copy_(weight.average);
  }

  std::int64_t count() const { return count_; }  ///< updates in the average
  const MeanType& mean() const { return mean_; }

  /// The average of a parameter or buffer, not a copy. Throws std::invalid_argument for a name that the model does not
  /// have, std::logic_error before the first update.
  const at::Tensor& at(std::string_view name) const {
    require_average();
    for (const Weight& weight : weights_) {
      if (weight.name == name) return weight.average;
    }
    throw std::invalid_argument("fulgurite: the averaged model has no weight called " + std::string(name));
  }

  /// Writes the average and its count. `torch::save(average, path)` does so into a file.
  void save(torch::serialize::OutputArchive& archive) const {
    c10::List<std::string> names;
    c10::List<at::Tensor> averages;
    for (const Weight& weight : weights_) {
      if (count_ == 0) break;
      names.push_back(weight.name);
      averages.push_back(weight.average);
    }
    archive.write("count", c10::IValue(count_));
    archive.write("names", c10::IValue(std::move(names)));
    archive.write("averages", c10::IValue(std::move(averages)));
  }

  /// Reads what `save` wrote for a model of the same shape; the mean is the one of this object. Throws
  /// std::runtime_error that names what does not fit, and changes nothing then. `torch::load(average, path)`.
  void load(torch::serialize::InputArchive& archive) {
    c10::IValue count, names, averages;
    if (!archive.try_read("count", count) || !archive.try_read("names", names) ||
        !archive.try_read("averages", averages) || !count.isInt() || !names.isList() || !averages.isTensorList()) {
      refuse("it is no saved average");
    }
    const auto loaded_names = names.toListRef();
    const std::vector<at::Tensor> loaded = averages.toTensorVector();
    const std::size_t expected = count.toInt() == 0 ? 0 : weights_.size();
    if (loaded.size() != expected || loaded_names.size() != expected) {
      refuse("it has " + std::to_string(loaded.size()) + " weights, the model has " + std::to_string(weights_.size()));
    }
    for (std::size_t i = 0; i < expected; ++i) {
      const std::string& name = loaded_names[i].toStringRef();
      if (name != weights_[i].name) refuse("it has " + name + " where the model has " + weights_[i].name);
      if (!loaded[i].sizes().equals(weights_[i].own.sizes())) {
        refuse(name + " is " + shape_of(loaded[i]) + " there and " + shape_of(weights_[i].own) + " in the model");
      }
    }
    const c10::NoGradGuard no_grad;
    if (expected > 0) {
      allocate();
      for (std::size_t i = 0; i < expected; ++i) weights_[i].average.copy_(loaded[i]);
    }
    count_ = count.toInt();
  }

  friend torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive,
                                                     const AveragedWeights& average) {
    average.save(archive);
    return archive;
  }
  friend torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive, AveragedWeights& average) {
    average.load(archive);
    return archive;
  }

 private:
  struct Weight {
    std::string name;
    at::Tensor own;      // the model's
    at::Tensor average;  // undefined before the first update
    bool averaged;       // copied otherwise
  };

  // Averages on one device and of one type: one kernel on a GPU.
  struct Group {
    std::vector<at::Tensor> averages;
    std::vector<at::Tensor> own;
    std::vector<at::Tensor> newest;  // the same, on the device and of the type of the averages

    void lerp(double weight) {
      newest.clear();
      for (std::size_t i = 0; i < own.size(); ++i) newest.push_back(alike(own[i], averages[i]));
      at::_foreach_lerp_(averages, newest, weight);
      newest.clear();
    }

    static at::Tensor alike(const at::Tensor& tensor, const at::Tensor& model) {
      if (tensor.scalar_type() == model.scalar_type() && tensor.device() == model.device()) return tensor;
      return tensor.to(model.options());
    }
  };

  // New memory for the averages, which are copies of the weights.
  void allocate() {
    for (Weight& weight : weights_) {
      auto options = weight.own.options().requires_grad(false);
      if (options_.device) options = options.device(*options_.device);
      if (options_.format && weight.own.is_floating_point()) options = options.dtype(*options_.format);
      weight.average = weight.own.detach().to(options, /*non_blocking=*/false, /*copy=*/true);
    }
    group();
  }

  void group() {
    groups_.clear();
    for (const Weight& weight : weights_) {
      if (!weight.averaged) continue;
      const auto place = std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) {
        const at::Tensor& first = group.averages.front();
        return first.device() == weight.average.device() && first.scalar_type() == weight.average.scalar_type();
      });
      Group& group = place == groups_.end() ? groups_.emplace_back() : *place;
      group.averages.push_back(weight.average);
      group.own.push_back(weight.own);
    }
  }

  void require_average() const {
    if (count_ == 0) throw std::logic_error("fulgurite: nothing has been averaged yet: call update() first");
  }

  [[noreturn]] static void refuse(const std::string& why) {
    throw std::runtime_error("fulgurite: the archive does not hold an average of this model's weights: " + why);
  }

  static std::string shape_of(const at::Tensor& tensor) {
    std::ostringstream shape;
    shape << tensor.sizes();
    return shape.str();
  }

  MeanType mean_;
  AveragedWeightsOptions options_;
  std::vector<Weight> weights_;  // parameters, then buffers
  std::vector<Group> groups_;
  std::int64_t count_ = 0;
};

}  // namespace fulgurite
