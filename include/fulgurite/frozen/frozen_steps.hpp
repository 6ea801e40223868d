// SPDX-License-Identifier: MIT
// What fg::Frozen does in a trainer: which tape a batch is replayed on, when one is recorded and checked, and what becomes
// of a step that cannot be frozen.
#pragma once

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/loop/backend.hpp>
#include <fulgurite/optim/optimizer.hpp>
#include <fulgurite/policies/execution.hpp>
#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/for_each_tensor.hpp>
#include <fulgurite/tensors/number.hpp>
#include "batch_signature.hpp"
#include "detail/fingerprint.hpp"
#include "detail/recording.hpp"
#include "frozen_refusal.hpp"
#include "verification.hpp"

namespace fulgurite {

namespace detail {

/// A model as tapes see it: its tensors by name, and what must not change under them.
class FrozenModel {
 public:
  template <class Model>
  explicit FrozenModel(Model& model) {
    for (const auto& parameter : model.named_parameters()) {
      state_.parameters.emplace_back(parameter.key(), parameter.value());
    }
    state_.tensors = state_.parameters;
    for (const auto& buffer : model.named_buffers()) state_.tensors.emplace_back(buffer.key(), buffer.value());
    self_ = &model;
    below_ = model.modules(/*include_self=*/false);
  }

  const FrozenState& state() const { return state_; }
  /// Those that gradients are computed for at the moment.
  std::vector<at::Tensor> trained_parameters() const {
    std::vector<at::Tensor> trained;
    for (const auto& [name, parameter] : state_.parameters) {
      if (parameter.requires_grad()) trained.push_back(parameter);
    }
    return trained;
  }

  /// Another number if a tensor lies elsewhere, another parameter requires gradients, or a module changed its mode; in the
  /// middle of an accumulation window also if other parameters have gradients that are added to.
  std::size_t fingerprint(bool begins_window) const {
    std::size_t hash = 0;
    const auto mix = [&hash](std::size_t fact) { hash = (hash ^ fact) * 0x9e3779b97f4a7c15u; };
    for (const auto& [name, tensor] : state_.tensors) {
      mix(reinterpret_cast<std::size_t>(tensor.const_data_ptr()) + (tensor.requires_grad() ? 1 : 0));
    }
    if (!begins_window) {
      for (const auto& [name, parameter] : state_.parameters) mix(parameter.requires_grad() && parameter.grad().defined() ? 4 : 5);
    }
    mix(self_->is_training() ? 2 : 3);
    for (const auto& module : below_) mix(module->is_training() ? 2 : 3);
    return hash;
  }

 private:
  FrozenState state_;
  const torch::nn::Module* self_;
  std::vector<std::shared_ptr<torch::nn::Module>> below_;
};

/// Tensors beside the model's parameters and the batch that backward from `loss` leaves a gradient in.
inline std::vector<at::Tensor> other_leaves(const at::Tensor& loss, const FrozenState& state,
                                            const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  std::vector<const torch::autograd::Node*> to_visit{loss.grad_fn().get()};
  std::unordered_set<const torch::autograd::Node*> seen{nullptr};
  while (!to_visit.empty()) {
    const torch::autograd::Node* node = to_visit.back();
    to_visit.pop_back();
    if (!seen.insert(node).second) continue;
    for (const torch::autograd::Edge& edge : node->next_edges()) to_visit.push_back(edge.function.get());
    const auto* end = dynamic_cast<const torch::autograd::AccumulateGrad*>(node);
    if (!end) continue;
    const auto is_end = [end](const at::Tensor& tensor) { return tensor.is_same(end->variable); };
    const bool known = std::ranges::any_of(state.parameters, is_end, [](const auto& each) -> auto& { return each.second; }) ||
                       std::ranges::any_of(inputs, is_end);
    if (!known) leaves.push_back(end->variable);
  }
  return leaves;
}

/// What training_step logs while it is recorded, to be logged again after each replay.
class LoggedTensors {
 public:
  LogListener listener() {
    return {[](void* self, const LogCall& call) { static_cast<LoggedTensors*>(self)->add(call); }, this};
  }

  /// Throws FrozenRefusal if a tensor changed after it was logged: a replay would log what it became.
  void require_unchanged() const {
    for (const Call& call : calls_) {
      if (call.tensor._version() == call.version) continue;
      throw FrozenRefusal("step.log(\"" + call.name + "\", …)",
                          "the tensor is changed in place afterwards (`loss += …`), and a replay logs what it has become: "
                          "log a clone(), or write `loss = loss + …`");
    }
  }

  void repeat(Metrics& metrics, LogPlace place) const {
    for (const Call& call : calls_) metrics.log(call.name, call.tensor, call.weight, call.flags, Stage::training, place);
  }

 private:
  void add(const LogCall& call) {
    const at::Tensor* tensor = call.number.source<at::Tensor>();
    if (!tensor) {
      throw FrozenRefusal("step.log(\"" + std::string(call.name) + "\", …)",
                          "a number on the host would stay what it was; log a tensor, or log it in on_train_batch_end");
    }
    calls_.push_back({std::string(call.name), *tensor, tensor->_version(), call.weight, call.flags});
  }

  struct Call {
    std::string name;
    at::Tensor tensor;
    std::int64_t version;
    double weight;
    LogFlags flags;
  };
  std::vector<Call> calls_;
};

}  // namespace detail

/// Where in an accumulation window a batch stands: each place has a tape of its own.
struct FrozenPlace {
  bool first;            ///< it begins the window: gradients are written, not added to
  double divisor;  ///< of its gradients

  friend bool operator==(FrozenPlace, FrozenPlace) = default;
};

/// The recordings of one optimizer of a trainer.
class FrozenSteps {
 public:
  explicit FrozenSteps(const Frozen& policy) : policy_(policy) {}

  /// Forward and backward pass of a batch: `pass(batch)`, which returns the loss, or its replay. Returns the loss.
  /// Throws FrozenRefusal for what cannot be frozen if the policy is strict.
  template <class Model, class Batch, class Pass>
  at::Tensor run(Model& model, Metrics& metrics, LogPlace log_place, const Batch& batch, FrozenPlace place, Pass&& pass) {
    current_ = nullptr;
    if (gave_up_ || !is_ready(model)) return pass(batch);
    const BatchSignature signature(batch);
    const std::size_t fingerprint = model_->fingerprint(place.first);
    auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.fingerprint == fingerprint && entry.place == place && entry.signature == signature;
    });
    if (found == entries_.end()) {
      if (entries_.size() >= policy_.tapes) entries_.pop_front();
      found = entries_.insert(entries_.end(), Entry{signature, fingerprint, place});
    }
    if (found->warm_ups < recorder_->warm_ups()) {
      ++found->warm_ups;
      return recorder_->warm_up([&] { return pass(batch); });
    }
    if (found->recording && !found->checked) return check(*found, batch, pass);
    if (found->recording) {
      fill(found->inputs, batch);
      found->recording->replay();
    } else if (!record(*found, metrics, batch, pass)) {
      return pass(batch);
    }
    current_ = &*found;
    found->logs->repeat(metrics, log_place);
    return copy_of(found->recording->result());
  }

  /// Clipping and update after the batch that `run` had last: `update()`, or its replay. The first that finds the optimizer
  /// as the last one after such a batch found it is recorded, the next is checked.
  template <RepeatsUpdate Optimizer, class Update>
  void update(Optimizer& optimizer, Update&& update) {
    if (!current_) return update();
    optimizer.bring_rates();
    Entry& entry = *current_;
    if (entry.revision != optimizer.revision()) {
      entry.revision = optimizer.revision();
      entry.update.reset();
      return update();
    }
    if (!entry.update) return record_update(entry, optimizer, update);
    if (!entry.update->fits(optimizer)) return update();
    if (!entry.update->checked) return check_update(*entry.update, optimizer, update);
    entry.update->recording->replay();
  }

  /// Why steps are not frozen; nothing if they are, or nobody knows yet.
  const std::optional<std::string>& refusal() const { return gave_up_; }
  /// Kinds of batches that have a tape, or will have one.
  std::size_t tapes() const { return entries_.size(); }

 private:
  /// Clipping and update after one kind of batch, on gradients that lie where its tape writes them.
  struct FrozenUpdate {
    std::unique_ptr<detail::Recording> recording;
    std::vector<const void*> gradients;  // nullptr: none
    bool checked = false;

    template <class Optimizer>
    bool fits(const Optimizer& optimizer) const {
      bool same = true;
      auto gradient = gradients.begin();
      optimizer.for_each_parameter([&](const at::Tensor& parameter) { same &= *gradient++ == address_of(parameter.grad()); });
      return same;
    }

    static const void* address_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }
  };

  struct Entry {
    BatchSignature signature;
    std::size_t fingerprint;
    FrozenPlace place;
    std::size_t warm_ups = 0;
    std::vector<at::Tensor> inputs{};
    std::vector<at::Tensor> leaves{};  // beside the model's, while it was recorded
    std::unique_ptr<detail::Recording> recording{};
    std::unique_ptr<detail::LoggedTensors> logs{};
    bool checked = false;
    std::optional<std::uint64_t> revision{};  // of the optimizer, before it last updated after such a batch
    std::optional<FrozenUpdate> update{};
  };

  /// Whether steps of this model can be recorded, as far as one can tell before.
  template <class Model>
  bool is_ready(Model& model) {
    if (recorder_) return true;
    model_.emplace(model);
    const auto& tensors = model_->state().tensors;
    try {
      recorder_ = detail::recorder_for(tensors.empty() ? at::Device(at::kCPU) : tensors.front().second.device());
    } catch (const FrozenRefusal& refusal) {
      give_up(refusal);
    }
    return recorder_ != nullptr;
  }

  /// False if it cannot be recorded; then the state is that before.
  template <class Batch, class Pass>
  bool record(Entry& entry, Metrics& metrics, const Batch& batch, Pass& pass) {
    const detail::StateCopy before(model_->state());
    entry.inputs = copies_of(batch);
    entry.logs = std::make_unique<detail::LoggedTensors>();
    const Batch fixed = filled(batch, entry.inputs);
    auto changing = defined(entry.inputs);
    for (const auto& [name, tensor] : model_->state().tensors) changing.push_back(tensor);
    const auto step = [&] {
      at::Tensor loss = pass(fixed);
      entry.leaves = detail::other_leaves(loss, model_->state(), entry.inputs);
      return loss;
    };
    try {
      const Listening listening(metrics, *entry.logs);
      auto recording = recorder_->record(step, changing, model_->trained_parameters());
      entry.logs->require_unchanged();
      require_unchanged(batch, entry.inputs);
      entry.recording = std::move(recording);
    } catch (const FrozenRefusal& refusal) {
      give_up(refusal);
      const c10::NoGradGuard no_grad;
      before.restore(model_->state());
      return false;
    }
    return true;
  }

  template <class Batch, class Pass>
  at::Tensor check(Entry& entry, const Batch& batch, Pass& pass) {
    fill(entry.inputs, batch);
    const Batch fixed = filled(batch, entry.inputs);
    at::Tensor loss;
    const auto difference = entry.recording->verify(model_->state(), [&] { return loss = pass(fixed); });
    if (difference) {
      give_up(*difference);
      return loss;
    }
    for (const at::Tensor& leaf : detail::other_leaves(loss, model_->state(), entry.inputs)) {
      const bool lasts = std::ranges::any_of(entry.leaves, [&](const at::Tensor& then) { return then.is_same(leaf); });
      if (!lasts) continue;  // made by the step itself
      give_up(FrozenRefusal("a trained tensor of shape " + c10::str(leaf.sizes()) + " that is no parameter of the model",
                            "a replay would not know where its gradient belongs: register_parameter or register_module it"));
      return loss;
    }
    entry.leaves.clear();
    entry.checked = true;
    current_ = &entry;
    return loss;
  }

  template <class Optimizer, class Update>
  void record_update(Entry& entry, Optimizer& optimizer, Update& update) {
    std::vector<at::Tensor> changing;
    std::vector<const void*> gradients;
    optimizer.for_each_parameter([&](const at::Tensor& parameter) {
      changing.push_back(parameter);
      changing.push_back(parameter.grad());
      gradients.push_back(FrozenUpdate::address_of(parameter.grad()));
    });
    try {
      entry.update.emplace(FrozenUpdate{recorder_->record(without_result(update), changing, {}), std::move(gradients)});
    } catch (const FrozenRefusal& refusal) {
      if (!recorder_->makes_refused_steps()) {
        if constexpr (requires { optimizer.begin_anew(); }) optimizer.begin_anew();  // a clipping that was never computed
        update();
      }
      give_up(refusal);
    }
  }

  template <class Optimizer, class Update>
  void check_update(FrozenUpdate& frozen, const Optimizer& optimizer, Update& update) {
    FrozenState state = model_->state();
    const auto add = [&](const std::string& name, const at::Tensor& tensor) { state.tensors.emplace_back(name, tensor); };
    optimizer.for_each_state(add);
    const auto difference = frozen.recording->verify(state, without_result(update));
    if (difference) return give_up(*difference);
    frozen.checked = true;
  }

  template <class Update>
  static auto without_result(Update& update) {
    return [&update] {
      update();
      return at::Tensor();
    };
  }

  void give_up(const FrozenDifference& difference) {
    if (policy_.strict) throw FrozenRefusal(difference.operator_name, difference.message());
    go_on_eagerly(difference.message());
  }

  void give_up(const FrozenRefusal& refusal) {
    if (policy_.strict) throw refusal;
    go_on_eagerly(refusal.what());
  }

  void go_on_eagerly(const std::string& why) {
    gave_up_ = why;
    current_ = nullptr;
    entries_.clear();
    TORCH_WARN(why, ". The training goes on eagerly; fg::Frozen{.strict = true} stops instead.");
  }

  /// The loss, which the next replay writes anew. Without the dispatcher, since it is copied in every step.
  static at::Tensor copy_of(const at::Tensor& loss) {
    if (!loss.is_cpu() || !loss.is_contiguous()) return loss.clone();
    at::Tensor copy(at::detail::empty_cpu(loss.sizes(), loss.scalar_type()));
    std::memcpy(copy.mutable_data_ptr(), loss.const_data_ptr(), loss.nbytes());
    return copy;
  }

  template <class Batch>
  static std::vector<at::Tensor> copies_of(const Batch& batch) {
    std::vector<at::Tensor> copies;
    for_each_tensor(batch, [&](const at::Tensor& tensor) {
      copies.push_back(tensor.defined() ? tensor.detach().clone() : tensor);
    });
    return copies;
  }

  /// Throws FrozenRefusal if the step has written its batch, of which it was given a copy.
  template <class Batch>
  static void require_unchanged(const Batch& batch, const std::vector<at::Tensor>& copies) {
    std::size_t next = 0;
    for_each_tensor(batch, [&](const at::Tensor& tensor) {
      if (detail::same_bits(tensor, copies[next++])) return;
      throw FrozenRefusal("a batch that it writes", "it is given a copy, so the batch itself would stay as it is: let "
                                                    "training_step change a clone()");
    });
  }

  static std::vector<at::Tensor> defined(std::vector<at::Tensor> tensors) {
    std::erase_if(tensors, [](const at::Tensor& tensor) { return !tensor.defined(); });
    return tensors;
  }

  /// A batch whose tensors are the fixed ones.
  template <class Batch>
  static Batch filled(const Batch& batch, const std::vector<at::Tensor>& inputs) {
    Batch fixed = batch;
    std::size_t next = 0;
    for_each_tensor(fixed, [&](at::Tensor& tensor) { tensor = inputs[next++]; });
    return fixed;
  }

  template <class Batch>
  static void fill(const std::vector<at::Tensor>& inputs, const Batch& batch) {
    const c10::NoGradGuard no_grad;
    std::size_t next = 0;
    for_each_tensor(batch, [&](const at::Tensor& tensor) {
      const at::Tensor& input = inputs[next++];
      if (!tensor.defined()) return;
      if (tensor.is_cpu() && tensor.is_contiguous() && input.is_contiguous()) {  // of one shape and format: the signature's
        std::memcpy(input.mutable_data_ptr(), tensor.const_data_ptr(), tensor.nbytes());
      } else {
        input.copy_(tensor);
      }
    });
  }

  struct Listening {
    Metrics& metrics;
    LogListener listener;
    Listening(Metrics& heard, detail::LoggedTensors& logs) : metrics(heard), listener(logs.listener()) {
      metrics.set_listener(&listener);
    }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    ~Listening() { metrics.set_listener(nullptr); }
  };

  Frozen policy_;
  std::optional<detail::FrozenModel> model_;
  std::unique_ptr<detail::StepRecorder> recorder_;
  std::list<Entry> entries_;  // the oldest first
  Entry* current_ = nullptr;  // of the last batch; nullptr: it was trained eagerly
  std::optional<std::string> gave_up_;
};

namespace detail {

template <class Precision>
struct frozen_steps_of<TensorBackend<Precision>> {
  using type = FrozenSteps;
  template <class Model>
  static constexpr bool knows = requires(Model& model) {
    model.named_parameters();
    model.named_buffers();
    model.modules(false);
  };
  template <class Batch>
  static constexpr bool holds_only_tensors = only_tensors<std::remove_cv_t<Batch>>;
};

}  // namespace detail

}  // namespace fulgurite
