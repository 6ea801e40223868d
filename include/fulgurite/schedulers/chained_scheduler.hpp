// SPDX-License-Identifier: MIT
// Schedule: several schedules at once.
#pragma once

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

/// Several schedules that advance together, each on what the one before it wrote:
/// `ChainedScheduler{ConstantLR{.factor = 0.1}, ExponentialLR{.gamma = 0.9}}`. All start from the same rates.
/// torch.optim.lr_scheduler.ChainedScheduler.
template <class... Schedules>
class ChainedScheduler {
  static_assert(sizeof...(Schedules) > 0, "fg::ChainedScheduler needs a schedule");
  static_assert(detail::parts_work<Schedules...>,
                "fg::ChainedScheduler holds schedules that follow no metric: attach a plateau schedule by an .lr_scheduler of its "
                "own. See docs/errors/plateau-in-sequence.md");

 public:
  explicit ChainedScheduler(Schedules... schedules) : schedules_(std::move(schedules)...) {}

  const std::tuple<Schedules...>& schedules() const { return schedules_; }
  std::tuple<Schedules...>& schedules() { return schedules_; }

  friend bool operator==(const ChainedScheduler&, const ChainedScheduler&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ChainedScheduler& schedule) {
    const char* separator = "";
    const auto print_one = [&](const auto& part) {
      out << separator << part;
      separator = ", ";
    };
    out << "ChainedScheduler{";
    std::apply([&](const auto&... part) { (print_one(part), ...); }, schedule.schedules_);
    return out << '}';
  }

  /// A chain under way.
  class Running : public detail::RunningParts<Schedules...> {
    using Base = detail::RunningParts<Schedules...>;
    using Base::initial_lrs_, Base::parts_, Base::read_last_lrs, Base::steps_;

   public:
    explicit Running(ChainedScheduler schedule) : Base(schedule.schedules_), schedule_(std::move(schedule)) {}

    template <class Optimizer>
    void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
      steps_ = 0;
      parts_.attach(optimizer, initial_lrs);
      initial_lrs_ = initial_lrs;
      read_last_lrs(optimizer);
    }

    template <class Optimizer>
    void advance(Optimizer& optimizer) {
      this->move_all_or_none(optimizer, [&] {
        ++steps_;
        parts_.each([&](auto& part) { part.advance(optimizer); });
      });
    }

    // What a sequence does to its parts.
    void undo() {
      --steps_;
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
        parts_.each([&](auto& part) { part.reattach(optimizer); });
      });
    }

    ScheduleState state() const {
      ScheduleState saved;
      this->save_progress(saved);
      parts_.save(saved);
      return saved;
    }
    /// Throws std::invalid_argument if the state is another kind's, or was saved with other values of a schedule.
    void load_state(const ScheduleState& saved) {
      this->load_progress(state(), saved, [&] { parts_.load(saved); });
    }
    /// As load_state, but takes the values of the schedules over as well.
    void take_over(const ScheduleState& saved) {
      const auto load = [&](const ChainedScheduler&) {
        this->load_progress(state(), saved, [&] { parts_.take_over(saved); });
      };
      detail::with_fields_of(saved, schedule_, load);
    }

    const ChainedScheduler& schedule() const { return schedule_; }

   private:
    ChainedScheduler schedule_;
  };

 private:
  std::tuple<Schedules...> schedules_;
};

}  // namespace fulgurite
