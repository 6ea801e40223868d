// SPDX-License-Identifier: MIT
// Schedule: one schedule after another.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>
#include "detail/fields.hpp"
#include "detail/parts.hpp"
#include "running_schedule.hpp"
#include "schedule_state.hpp"

namespace fulgurite {

/// One schedule after another; each milestone is the step at which the next one takes over and starts from its step 0:
/// `SequentialLR{{5}, LinearLR{.steps = 5}, CosineAnnealingLR{.t_max = 95}}`.
/// torch.optim.lr_scheduler.SequentialLR. A schedule that takes over restarts from the initial rate, whatever the one
/// before it left, unless it is one that only multiplies (MultiplicativeLR) or starts where the rate is (SWALR).
template <class... Schedules>
class SequentialLR {
 public:
  template <std::size_t Milestones>
  explicit SequentialLR(const std::int64_t (&milestones)[Milestones], Schedules... schedules)
      : schedules_(std::move(schedules)...) {
    static_assert(Milestones + 1 == sizeof...(Schedules),
                  "fg::SequentialLR takes one schedule more than it has milestones: each milestone is the step at "
                  "which the next schedule takes over. See docs/errors/sequential-schedule.md");
    if constexpr (Milestones + 1 == sizeof...(Schedules)) std::copy_n(milestones, Milestones, milestones_.begin());
  }

  const std::tuple<Schedules...>& schedules() const { return schedules_; }
  std::tuple<Schedules...>& schedules() { return schedules_; }
  const auto& milestones() const { return milestones_; }

  const char* problem() const {
    if (!std::is_sorted(milestones_.begin(), milestones_.end())) return "SequentialLR's milestones must ascend";
    return milestones_.front() >= 0 ? nullptr : "SequentialLR's milestones must be 0 or more";
  }

  /// Calls f("SequentialLR.milestones", …): for the schedule's state, which has those of its parts beside it.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("SequentialLR.milestones", schedule.milestones_);
  }

  friend bool operator==(const SequentialLR&, const SequentialLR&) = default;
  friend std::ostream& operator<<(std::ostream& out, const SequentialLR& schedule) {
    out << "SequentialLR{" << detail::Listed{schedule.milestones_};
    std::apply([&](const auto&... part) { ((out << ", " << part), ...); }, schedule.schedules_);
    return out << '}';
  }

  /// A sequence under way.
  class Running : public detail::RunningParts<Schedules...> {
    using Base = detail::RunningParts<Schedules...>;
    using Base::initial_lrs_, Base::parts_, Base::read_last_lrs, Base::steps_;

   public:
    explicit Running(SequentialLR schedule) : Base(schedule.schedules_), schedule_(std::move(schedule)) {
      detail::require_sensible(schedule_);
    }

    template <class Optimizer>
    void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
      steps_ = 0;
      parts_.attach(optimizer, initial_lrs);  // each sets its first rates, as if it were alone
      detail::set_lrs(optimizer, initial_lrs);
      initial_lrs_ = initial_lrs;
      undo();
      parts_.visit(0, [&](auto& part) { part.begin(optimizer); });
      read_last_lrs(optimizer);
    }

    template <class Optimizer>
    void advance(Optimizer& optimizer) {
      const std::int64_t step = steps_ + 1;
      const auto& milestones = schedule_.milestones_;
      const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin();
      const auto now = static_cast<std::size_t>(passed);
      const bool takes_over = std::binary_search(milestones.begin(), milestones.end(), step);
      this->move_all_or_none(optimizer, [&] {
        parts_.visit(now, [&](auto& part) { takes_over ? part.restart(optimizer) : part.advance(optimizer); });
        steps_ = step;
      });
    }

    // What a sequence does to its parts; PyTorch leaves the inner sequence's own count alone.
    void undo() {
      parts_.each([](auto& part) { part.undo(); });
    }
    template <class Optimizer>
    void begin(Optimizer& optimizer) {
      advance(optimizer);
    }
    template <class Optimizer>
    void restart(Optimizer& optimizer) {  // PyTorch has no such thing: as if attached
      reattach(optimizer);
    }
    template <class Optimizer>
    void reattach(Optimizer& optimizer) {
      this->move_all_or_none(optimizer, [&] {
        steps_ = 0;
        detail::set_lrs(optimizer, initial_lrs_);
        parts_.visit(0, [&](auto& part) { part.reattach(optimizer); });
      });
    }

    ScheduleState state() const {
      ScheduleState saved;
      this->save_progress(saved);
      detail::save_fields(schedule_, saved);
      parts_.save(saved);
      return saved;
    }
    /// Throws std::invalid_argument if the state is another kind's, or was saved with other values of a schedule.
    void load_state(const ScheduleState& saved) {
      detail::require_same_fields(schedule_, saved);
      this->load_progress(state(), saved, [&] { parts_.load(saved); });
    }
    /// As load_state, but takes the values of the schedules over as well.
    void take_over(const ScheduleState& saved) {
      const auto load = [&](const SequentialLR&) {
        this->load_progress(state(), saved, [&] { parts_.take_over(saved); });
      };
      detail::with_fields_of(saved, schedule_, load);
    }

    const SequentialLR& schedule() const { return schedule_; }

   private:
    SequentialLR schedule_;
  };

 private:
  static_assert(detail::parts_work<Schedules...>,
                "fg::SequentialLR holds schedules that follow no metric: attach a plateau schedule by an .lr_scheduler of its "
                "own. See docs/errors/plateau-in-sequence.md");

  std::array<std::int64_t, sizeof...(Schedules) - 1> milestones_{};
  std::tuple<Schedules...> schedules_;
};

template <std::size_t Milestones, class... Schedules>
SequentialLR(const std::int64_t (&)[Milestones], Schedules...) -> SequentialLR<Schedules...>;

}  // namespace fulgurite
