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
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/serialize/archive.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "mean.hpp"
#include "swapped_weights.hpp"

namespace fulgurite {

/// What becomes of floating-point buffers (the running statistics of batch norm). Others are copied either way. A buffer
/// that is written while the average is in the model (a count that validation keeps, say) is not averaged from then on, but
/// copied.
enum class BufferAveraging {
  copy,     ///< as they were at the last update
  average,  ///< averaged like parameters
};

/// Options of `AveragedModel`.
struct AveragedModelOptions {
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

/// Calls f(norm) if the module is a batch norm with running statistics.
template <class Module, class F>
void with_batch_norm(Module* module, F&& f) {
  const auto as = [&]<class Norm>(Norm* norm) {
    if (norm && norm->running_mean.defined()) f(*norm);
    return norm != nullptr;
  };
  const auto cast = [&]<class Norm>(std::type_identity<Norm>) {
    return as(dynamic_cast<std::conditional_t<std::is_const_v<Module>, const Norm, Norm>*>(module));
  };
  cast(std::type_identity<torch::nn::BatchNorm1dImpl>{}) || cast(std::type_identity<torch::nn::BatchNorm2dImpl>{}) ||
      cast(std::type_identity<torch::nn::BatchNorm3dImpl>{});
}

}  // namespace detail

/// The average of a model's weights over its updates: `EqualMean` (SWA) or `ExponentialMean` (EMA). All parameters take
/// part, frozen ones too; a shared one takes part once. torch.optim.swa_utils.AveragedModel, but only the tensors: the
/// average is seen through the model, `auto scope = average.swap_in(); model->forward(x);`.
///
///     fg::AveragedModel average(model, fg::ExponentialMean{.decay = 0.999});
///     ... optimizer.step(); average.update();
///     average.copy_to_model();
///
/// It refers to the tensors that the model has when it is made. A copy has an average of its own.
///
/// Into the model and out of it go parameters, averaged buffers and the statistics of batch norm. Other buffers are the
/// model's own and stay there as they are, unless the average was loaded from a file and not updated since.
template <Mean MeanType = EqualMean>
class AveragedModel {
 public:
  using mean_type = MeanType;

  /// `model`: a module, a ModuleHolder or a std::shared_ptr to a module. Throws std::invalid_argument if the mean makes
  /// no sense, or if the model has no weights.
  template <class Model>
  explicit AveragedModel(const Model& model, MeanType mean = {}, AveragedModelOptions options = {})
      : mean_(std::move(mean)), options_(options) {
    if constexpr (requires { mean_.problem(); }) {
      if (const char* problem = mean_.problem()) throw std::invalid_argument(std::string("fulgurite: ") + problem);
    }
    const auto& module = detail::module_in(model);
    const auto statistics = statistics_of(module);
    std::unordered_set<const at::TensorImpl*> seen;
    const auto add = [&](const std::string& name, const at::Tensor& tensor, Kind kind, bool averaged) {
      if (!seen.insert(tensor.unsafeGetTensorImpl()).second) return;
      averaged &= tensor.is_floating_point() || tensor.is_complex();
      weights_.push_back({name, tensor, {}, kind, averaged, std::make_shared<bool>(false)});
    };
    for (const auto& parameter : module.named_parameters()) add(parameter.key(), parameter.value(), Kind::parameter, true);
    for (const auto& buffer : module.named_buffers()) {
      const bool is_statistic = statistics.contains(buffer.value().unsafeGetTensorImpl());
      add(buffer.key(), buffer.value(), is_statistic ? Kind::statistic : Kind::buffer,
          options_.buffers == BufferAveraging::average);
    }
    if (weights_.empty()) throw std::invalid_argument("fulgurite: AveragedModel was given a model without weights");
  }

  AveragedModel(const AveragedModel& other)
      : mean_(other.mean_),
        options_(other.options_),
        weights_(other.weights_),
        count_(other.count_),
        buffers_of_file_(other.buffers_of_file_) {
    for (Weight& weight : weights_) {
      weight.written = std::make_shared<bool>(*weight.written);
      if (weight.average.defined()) weight.average = weight.average.clone();
    }
    if (count_ > 0) group();
  }
  AveragedModel(AveragedModel&&) noexcept = default;
  AveragedModel& operator=(AveragedModel other) noexcept {
    mean_ = std::move(other.mean_);
    options_ = other.options_;
    weights_ = std::move(other.weights_);
    groups_ = std::move(other.groups_);
    count_ = other.count_;
    buffers_of_file_ = other.buffers_of_file_;
    return *this;
  }
  ~AveragedModel() = default;

  /// Takes the model's weights into the average; the first time it becomes a copy of them.
  void update() {
    const c10::NoGradGuard no_grad;
    if (count_ == 0) {
      allocate();
    } else {
      const double newest = mean_.weight(count_);
      for (Group& group : groups_) group.lerp(newest);
      for (const Weight& weight : weights_) {
        if (!weight.is_averaged()) weight.average.copy_(weight.own);  // also over the mean of a buffer written since
      }
    }
    ++count_;
    buffers_of_file_ = false;
  }

  /// The average in the model, for a scope; afterwards the model has its own weights back, bit for bit. What is written
  /// meanwhile into a buffer that is not a statistic of batch norm stays. Don't update meanwhile. Throws std::logic_error
  /// before the first update.
  SwappedWeights swap_in() const {
    require_average();
    std::vector<SwappedWeights::Swap> swaps;
    for (const Weight& weight : weights_) {
      if (belongs_to_average(weight)) {
        swaps.push_back({weight.own, weight.average, weight.kind == Kind::buffer ? weight.written : nullptr});
      } else if (weight.kind == Kind::statistic) {
        swaps.push_back({weight.own, weight.own.clone()});  // for update_bn: the count of its batches is given back
      }
    }
    return SwappedWeights(swaps);
  }

  /// Overwrites the model's weights by the average. Throws std::logic_error before the first update.
  void copy_to_model() const {
    require_average();
    const c10::NoGradGuard no_grad;
    for (const Weight& weight : weights_) {
      if (belongs_to_average(weight)) weight.own.copy_(weight.average);
    }
  }

  /// After a load: the model has its buffers from elsewhere, so those that are not averaged stay as they are.
  void keep_buffers_of_model() { buffers_of_file_ = false; }

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
    c10::List<std::string> written;
    for (const Weight& weight : weights_) {
      if (count_ == 0) break;
      names.push_back(weight.name);
      averages.push_back(weight.average);
      if (*weight.written) written.push_back(weight.name);
    }
    archive.write("count", c10::IValue(count_));
    archive.write("names", c10::IValue(std::move(names)));
    archive.write("averages", c10::IValue(std::move(averages)));
    archive.write("written", c10::IValue(std::move(written)));
  }

  /// Reads what `save` wrote for a model of the same shape; the mean is the one of this object. Throws
  /// std::runtime_error that names what does not fit, and changes nothing then. `torch::load(average, path)`.
  void load(torch::serialize::InputArchive& archive) {
    const auto read = [&](const char* key) {
      c10::IValue value;  // None if the archive has no such key
      archive.try_read(key, value);
      return value;
    };
    const c10::IValue count = read("count"), names = read("names"), averages = read("averages"), written = read("written");
    if (!count.isInt() || !names.isList() || !averages.isTensorList()) refuse("it is not a saved average");
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
    for (Weight& weight : weights_) {
      *weight.written = written.isList() && std::ranges::any_of(written.toListRef(), [&](const c10::IValue& name) {
        return name.isString() && name.toStringRef() == weight.name;
      });
    }
    buffers_of_file_ = true;
    if (expected > 0) {
      allocate();
      for (std::size_t i = 0; i < expected; ++i) weights_[i].average.copy_(loaded[i]);
    }
    count_ = count.toInt();
  }

  friend torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive,
                                                     const AveragedModel& average) {
    average.save(archive);
    return archive;
  }
  friend torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive, AveragedModel& average) {
    average.load(archive);
    return archive;
  }

 private:
  enum class Kind { parameter, statistic, buffer };  // a statistic is one of batch norm's buffers

  struct Weight {
    std::string name;
    at::Tensor own;      // the model's
    at::Tensor average;  // undefined before the first update
    Kind kind;
    bool averaged;                  // copied otherwise
    std::shared_ptr<bool> written;  // a buffer that was written while the average was in the model

    bool is_averaged() const { return averaged && !*written; }
  };

  template <class Module>
  static std::unordered_set<const at::TensorImpl*> statistics_of(const Module& module) {
    std::unordered_set<const at::TensorImpl*> statistics;
    if constexpr (std::derived_from<Module, torch::nn::Module>) {
      const auto visit = [&](const torch::nn::Module* each) {
        detail::with_batch_norm(each, [&](const auto& norm) {
          for (const at::Tensor& tensor : {norm.running_mean, norm.running_var, norm.num_batches_tracked}) {
            statistics.insert(tensor.unsafeGetTensorImpl());
          }
        });
      };
      visit(&module);
      for (const auto& each : module.modules(/*include_self=*/false)) visit(each.get());
    }
    return statistics;
  }

  /// What moves into the model with the average. Other buffers are the model's own.
  bool belongs_to_average(const Weight& weight) const {
    if (*weight.written) return false;
    if (weight.averaged || weight.kind == Kind::parameter || buffers_of_file_) return true;
    return weight.kind == Kind::statistic && weight.own.is_floating_point();
  }

  // Averages on one device and of one type: one kernel on a GPU.
  struct Group {
    std::vector<at::Tensor> averages;
    std::vector<at::Tensor> own;

    void lerp(double weight) {
      std::vector<at::Tensor> newest;  // on the device and of the type of the averages
      for (std::size_t i = 0; i < own.size(); ++i) newest.push_back(alike(own[i], averages[i]));
      at::_foreach_lerp_(averages, newest, weight);
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
      if (!weight.is_averaged()) continue;
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
  AveragedModelOptions options_;
  std::vector<Weight> weights_;  // parameters, then buffers
  std::vector<Group> groups_;
  std::int64_t count_ = 0;
  bool buffers_of_file_ = false;  // loaded, and not updated since
};

}  // namespace fulgurite
