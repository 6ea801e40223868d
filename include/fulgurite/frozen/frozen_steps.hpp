// SPDX-License-Identifier: MIT
// What fg::Frozen does in a trainer: which tape a batch is replayed on, when one is recorded and checked, and what becomes
// of a step that cannot be frozen.
#pragma once

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/concepts/backend.hpp>
#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/logging/notice.hpp>
#include <fulgurite/policies/execution.hpp>
#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/for_each_tensor.hpp>
#include "batch_signature.hpp"
#include "detail/fingerprint.hpp"
#include "detail/frozen_model.hpp"
#include "detail/recording.hpp"
#include "detail/step_notes.hpp"
#include "frozen_refusal.hpp"
#include "verification.hpp"

namespace fulgurite {

/// Where in an accumulation window a batch stands: each place has a tape of its own.
struct FrozenPlace {
  bool first;      ///< it begins the window: gradients are written, not added to
  double divisor;  ///< of its gradients

  friend bool operator==(FrozenPlace, FrozenPlace) = default;
};

/// The recordings of one optimizer of a trainer.
class FrozenSteps {
 public:
  /// `recorder_for(device)` makes what records the steps of a model there.
  explicit FrozenSteps(const Frozen& policy, detail::MakeRecorder recorder_for = &detail::recorder_for)
      : policy_(policy), recorder_for_(recorder_for) {}

  /// Forward and backward pass of a batch: `pass(batch)`, which returns the loss, or its replay. Returns the loss.
  /// Throws FrozenRefusal for what cannot be frozen if the policy is strict.
  template <class Model, class Optimizer, class Step, class Batch, class Pass>
  at::Tensor run(Model& model, Optimizer& optimizer, const Step& step, const Batch& batch, FrozenPlace place, Pass&& pass) {
    current_ = nullptr;
    if (gave_up_ || !is_ready(model, optimizer)) return pass(batch);
    ++batches_;
    Entry* entry = entry_for(step, {BatchSignature(batch), model_->fingerprint(place.first), place});
    if (!entry) return pass(batch);
    if (entry->warm_ups < recorder_->warm_ups()) {
      ++entry->warm_ups;
      return recorder_->warm_up([&] { return pass(batch); });
    }
    if (!entry->recording) return has_credit() ? record(*entry, step, batch, pass) : pass(batch);
    if (is_check_due(*entry, step.epoch())) return check(*entry, step, batch, pass);
    fill(entry->inputs, batch);
    entry->recording->replay();
    ++entry->replays;
    ++replays_;
    current_ = entry;
    entry->notes->repeat(step);
    return copy_of(entry->recording->result());
  }

  /// Clipping and update after the batch that `run` had last: `update()`, or its replay. The first that finds the optimizer
  /// as the last one after such a batch found it is recorded, the next is checked, and so is that of each batch whose tape
  /// is.
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
    if (!entry.update->checked || entry.replays == 0) return check_update(*entry.update, optimizer, update);
    entry.update->recording->replay();
  }

  /// Says what has to be said once an epoch.
  void end_epoch() { say_kinds(); }

  /// Why steps are not frozen; std::nullopt if they are, or if it is not known yet.
  const std::optional<std::string>& refusal() const { return gave_up_; }
  /// Kinds of batches that have a tape, or will have one.
  std::size_t tapes() const { return entries_.size(); }
  /// Kinds of batches so far: with as many `fg::Frozen{.tapes}` each has one.
  std::size_t kinds() const { return entries_.size() + kinds_without_tape_.size(); }

 private:
  // A tape is checked at its first batch of an epoch, and after this number of replays, which doubles each time. Where
  // epochs are short, not at each of them after the first ones: the checks would cost more than replays save.
  static constexpr std::size_t first_distance = 64;
  static constexpr std::size_t epochs_always_checked = 32;
  static constexpr std::size_t least_distance = 4;
  // Recordings beyond those that fill all tapes are paid for by replays, and tapes that are in use are kept.
  static constexpr std::size_t replays_per_recording = 16;
  static constexpr std::size_t batches_unused = 256;
  // Checks in a row that another thread may have disturbed, until the step itself is blamed.
  static constexpr std::size_t most_doubts = 4;
  // Batches without a tape after which this is said in the middle of an epoch.
  static constexpr std::size_t batches_until_said = 256;

  /// Clipping and update after one kind of batch, on gradients that lie where its tape writes them.
  struct FrozenUpdate {
    std::unique_ptr<detail::Recording> recording;
    std::vector<const void*> gradients;  // nullptr: none
    bool checked = false;
    std::size_t doubts = 0;

    template <class Optimizer>
    bool fits(const Optimizer& optimizer) const {
      bool same = true;
      auto gradient = gradients.begin();
      optimizer.for_each_parameter(
          [&](const at::Tensor& parameter) { same &= *gradient++ == address_of(parameter.grad()); });
      return same;
    }

    static const void* address_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }
  };

  /// Batches that one tape may serve, as far as one can tell before training_step has run.
  struct Kind {
    BatchSignature signature;
    std::size_t fingerprint;
    FrozenPlace place;

    friend bool operator==(const Kind&, const Kind&) = default;
    std::size_t hash() const {
      return signature.hash() ^ fingerprint ^ std::hash<double>()(place.first ? place.divisor : -place.divisor);
    }
  };

  struct Entry {
    Kind kind;
    std::size_t warm_ups = 0;
    std::uint64_t last_used = 0;           // by which batch
    std::vector<at::Tensor> inputs{};
    std::vector<at::Tensor> leaves{};      // beside the model's, while it was recorded
    std::unique_ptr<detail::Recording> recording{};
    std::unique_ptr<detail::StepNotes> notes{};  // what training_step did while it was recorded
    detail::AskedNumbers asked{};          // numbers for which it holds
    std::size_t doubts = 0;                // checks in a row that were uncertain
    std::size_t replays = 0;               // since the last check that was certain
    std::size_t distance = first_distance;
    std::size_t epochs_checked = 0;
    std::optional<std::int64_t> epoch{};   // of the last check
    std::optional<std::uint64_t> revision{};  // of the optimizer, before it last updated after such a batch
    std::optional<FrozenUpdate> update{};
  };

  /// Whether steps of this model can be recorded, as far as one can tell before.
  template <class Model, class Optimizer>
  bool is_ready(Model& model, Optimizer& optimizer) {
    if (recorder_) return true;
    model_.emplace(model, optimizer);
    const auto& tensors = model_->state().tensors;
    try {
      recorder_ = recorder_for_(tensors.empty() ? at::Device(at::kCPU) : tensors.front().second.device());
    } catch (const FrozenRefusal& refusal) {
      give_up(refusal);
    }
    return recorder_ != nullptr;
  }

  /// nullptr: there is no tape for this batch, and no room for another.
  template <class Step>
  Entry* entry_for(const Step& step, Kind kind) {
    bool is_known = false;
    for (Entry& entry : entries_) {
      if (!(entry.kind == kind)) continue;
      is_known = true;
      const bool holds =
          std::ranges::all_of(entry.asked, [&](const auto& asked) { return number_of(step, asked.first) == asked.second; });
      if (!holds) continue;
      entry.last_used = batches_;
      return &entry;
    }
    if (!make_room(step)) {
      ++batches_without_tape_;
      if (kinds_without_tape_.size() < most_kinds) kinds_without_tape_.insert(kind.hash() + (is_known ? 1 : 0));
      if (batches_without_tape_ == batches_until_said) say_kinds();
      return nullptr;
    }
    kinds_without_tape_.erase(kind.hash() + (is_known ? 1 : 0));
    entries_.push_back(Entry{std::move(kind)});
    entries_.back().last_used = batches_;
    if (is_known) entries_.back().warm_ups = recorder_->warm_ups();
    return &entries_.back();
  }

  /// Whether one more tape may be made. Those of an epoch that is over go first, then one that has not been used for long.
  template <class Step>
  bool make_room(const Step& step) {
    if (entries_.size() < policy_.tapes) return true;
    const auto is_over = [&](const Entry& entry) {
      return std::ranges::any_of(entry.asked, [&](const auto& asked) {
        return asked.first == detail::StepNumber::epoch && asked.second != step.epoch();
      });
    };
    if (std::erase_if(entries_, is_over) > 0) return true;
    const auto oldest = std::ranges::min_element(entries_, {}, &Entry::last_used);
    if (batches_ - oldest->last_used < batches_unused || !has_credit()) return false;
    entries_.erase(oldest);
    return true;
  }

  /// A step may be recorded: to do so again and again would be slower than to train eagerly.
  bool has_credit() const { return recordings_ < policy_.tapes + replays_ / replays_per_recording; }

  /// Once, and not before the kinds of a whole epoch were met if it is short: that more of them have no tape.
  void say_kinds() {
    if (said_kinds_ || gave_up_ || batches_without_tape_ == 0) return;
    said_kinds_ = true;
    const std::string met =
        "fulgurite: " + std::to_string(batches_) + " batches had " + std::to_string(kinds()) +
        " kinds (shapes, places in an accumulation window, parameters that require gradients) so far, more "
        "than fg::Frozen{.tapes = " +
        std::to_string(policy_.tapes) + "} has tapes for, and batches of the rest train eagerly. ";
    if (kinds_without_tape_.size() * 2 > batches_without_tape_ && batches_without_tape_ >= 16) {
      detail::notice(
          met +
          "Most of them had a kind that came only once: bring batches to fewer shapes (padding, buckets), or leave "
          "fg::Frozen out");
    } else {
      detail::notice(met + "Set fg::Frozen{.tapes = " + std::to_string(kinds()) + "}, or bring batches to fewer shapes");
    }
  }

  static bool is_check_due(const Entry& entry, std::int64_t epoch) {
    if (entry.replays >= entry.distance) return true;
    return entry.epoch != epoch && (entry.epochs_checked < epochs_always_checked || entry.replays >= least_distance);
  }

  /// The batch's loss. If it cannot be recorded, the batch is trained eagerly all the same.
  template <class Step, class Batch, class Pass>
  at::Tensor record(Entry& entry, const Step& step, const Batch& batch, Pass& pass) {
    const detail::StateCopy before(model_->state());
    const detail::GeneratorCopy generators(model_->state());
    const bool makes_step = recorder_->makes_refused_steps();
    const std::vector<at::Tensor> inputs = copies_of(batch);
    const Batch fixed = filled(batch, inputs);
    auto changing = inputs;
    for (const auto& [name, tensor] : model_->state().tensors) changing.push_back(tensor);
    auto notes = std::make_unique<detail::StepNotes>(batch, makes_step);
    at::Tensor loss;
    const auto make_step = [&] {
      const detail::WatchingStep watching(*notes);
      at::Tensor made = pass(fixed);
      notes->end_step();
      entry.leaves = detail::other_leaves(made, model_->state(), inputs);
      return loss = made;
    };
    try {
      const std::size_t modes = model_->modes();
      auto recording = recorder_->record(make_step, changing, model_->written_parameters(entry.kind.place.first));
      notes->require_repeatable();
      require_unchanged(batch, inputs);
      require_same_modes(modes);
      entry.recording = std::move(recording);
    } catch (const FrozenRefusal& refusal) {
      const bool is_made = makes_step && loss.defined();
      if (is_made) write_back(inputs, batch);
      give_up(refusal);
      if (is_made) return loss;
      {
        const c10::NoGradGuard no_grad;
        before.restore(model_->state());
        generators.restore();
      }
      return pass(batch);
    }
    ++recordings_;
    entry.inputs = inputs;
    entry.asked = notes->asked();
    entry.notes = std::move(notes);
    current_ = &entry;
    if (!makes_step) entry.notes->repeat(step);
    return copy_of(entry.recording->result());
  }

  template <class Step, class Batch, class Pass>
  at::Tensor check(Entry& entry, const Step& step, const Batch& batch, Pass& pass) {
    const std::size_t replays = std::exchange(entry.replays, 0);
    fill(entry.inputs, batch);
    const Batch fixed = filled(batch, entry.inputs);
    const std::size_t modes = model_->modes();
    detail::StepNotes notes(batch, /*logs=*/true);
    at::Tensor loss;
    const auto difference = entry.recording->verify(model_->state(), [&] {
      const detail::WatchingStep watching(notes);
      loss = pass(fixed);
      notes.end_step();
      return loss;
    });
    try {
      notes.require_repeatable();
      if (difference) {
        if (difference->uncertain && ++entry.doubts < most_doubts) {
          entry.replays = replays;  // so the next batch is checked
          return loss;
        }
        throw FrozenRefusal(difference->operator_name, difference->reason, difference->message());
      }
      notes.require_same_logs(*entry.notes);
      require_unchanged(batch, entry.inputs);
      require_same_modes(modes);
      require_known_leaves(entry, loss);
    } catch (const FrozenRefusal& refusal) {
      write_back(entry.inputs, batch);
      give_up(replays == 0 ? refusal : found_late(refusal, replays));
      return loss;
    }
    for (const auto& asked : notes.asked()) {
      if (std::ranges::find(entry.asked, asked) == entry.asked.end()) entry.asked.push_back(asked);
    }
    if (entry.epoch != step.epoch()) {
      entry.epoch = step.epoch();
      ++entry.epochs_checked;
    } else {
      entry.distance *= 2;
    }
    entry.doubts = 0;
    current_ = &entry;
    return loss;
  }

  /// Throws FrozenRefusal for a trained tensor that is neither the model's nor made by the step itself.
  void require_known_leaves(Entry& entry, const at::Tensor& loss) const {
    for (const at::Tensor& leaf : detail::other_leaves(loss, model_->state(), entry.inputs)) {
      const bool lasts = std::ranges::any_of(entry.leaves, [&](const at::Tensor& then) { return then.is_same(leaf); });
      if (!lasts) continue;
      throw FrozenRefusal("a trained tensor of shape " + c10::str(leaf.sizes()) + " that is not a parameter of the model",
                          "a replay would not know where its gradient belongs: register_parameter or register_module it");
    }
    entry.leaves.clear();
  }

  /// Throws FrozenRefusal if the step leaves the model in other modes than it found.
  void require_same_modes(std::size_t before) const {
    if (model_->modes() == before) return;
    throw FrozenRefusal(
        "set_requires_grad, train(), eval() or set_data within training_step",
        "it leaves the model otherwise than it found it, and a replay does not do that again: do it in a hook "
        "before or after the step (on_train_epoch_start, on_train_batch_start, on_train_batch_end)");
  }

  static FrozenRefusal found_late(const FrozenRefusal& refusal, std::size_t replays) {
    return {refusal.operator_name(), refusal.reason(),
            std::string(refusal.what()) + ". This was found when the tape was checked anew; the " + std::to_string(replays) +
                " steps of its kind before were replayed as they had been recorded"};
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
      if (!recorder_->makes_refused_steps()) update();
      give_up(refusal);
    }
  }

  template <class Optimizer, class Update>
  void check_update(FrozenUpdate& frozen, const Optimizer& optimizer, Update& update) {
    frozen.checked = false;
    FrozenState state = model_->state();
    const auto add = [&](const std::string& name, const at::Tensor& tensor) { state.tensors.emplace_back(name, tensor); };
    optimizer.for_each_state(add);
    const auto difference = frozen.recording->verify(state, without_result(update));
    if (difference) {
      if (difference->uncertain && ++frozen.doubts < most_doubts) return;
      return give_up(FrozenRefusal(difference->operator_name, difference->reason, difference->message()));
    }
    frozen.checked = true;
    frozen.doubts = 0;
  }

  template <class Update>
  static auto without_result(Update& update) {
    return [&update] {
      update();
      return at::Tensor();
    };
  }

  /// From here on all trains eagerly; a strict policy throws instead. Entries are gone afterwards.
  void give_up(const FrozenRefusal& refusal) {
    current_ = nullptr;
    if (policy_.strict) throw FrozenRefusal(refusal);
    gave_up_ = refusal.what();
    entries_.clear();
    detail::notice(*gave_up_ + ". The training goes on eagerly; fg::Frozen{.strict = true} stops instead");
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

  /// What the step has written into its copy of a batch, the batch gets too.
  template <class Batch>
  static void write_back(const std::vector<at::Tensor>& copies, const Batch& batch) {
    const c10::NoGradGuard no_grad;
    std::size_t next = 0;
    for_each_tensor(batch, [&](const at::Tensor& tensor) {
      const at::Tensor& copy = copies[next++];
      if (!detail::same_bits(tensor, copy)) at::Tensor(tensor).copy_(copy);
    });
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
      if (tensor.numel() == 0) return;                  // nor has an undefined one any
      if (tensor.is_cpu() && tensor.is_contiguous()) {  // of one shape and format: the signature's
        std::memcpy(input.mutable_data_ptr(), tensor.const_data_ptr(), tensor.nbytes());
      } else {
        input.copy_(tensor);
      }
    });
  }

  Frozen policy_;
  detail::MakeRecorder recorder_for_;
  std::optional<detail::FrozenModel> model_;
  std::unique_ptr<detail::StepRecorder> recorder_;
  std::list<Entry> entries_;
  Entry* current_ = nullptr;  // of the last batch; nullptr: it was trained eagerly
  std::optional<std::string> gave_up_;
  std::uint64_t batches_ = 0;
  std::size_t replays_ = 0;
  std::size_t recordings_ = 0;
  static constexpr std::size_t most_kinds = 4096;        // that are counted
  std::unordered_set<std::size_t> kinds_without_tape_;  // their hashes
  std::uint64_t batches_without_tape_ = 0;
  bool said_kinds_ = false;
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
