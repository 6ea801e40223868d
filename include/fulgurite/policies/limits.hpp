// SPDX-License-Identifier: MIT
// Slots: when a fit ends and how much of a range it takes. Limits are run-time values and change no code, so a trainer
// may be given them without naming them among its template arguments.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// So many batches.
struct Batches {
  std::int64_t count = 0;

  friend constexpr bool operator==(Batches, Batches) = default;
};

/// A part of a range of known size, in [0, 1].
struct Fraction {
  double of_range = 1.0;

  friend constexpr bool operator==(Fraction, Fraction) = default;
};

/// At most so many batches, at most such a part, or all. Two types instead of one number: 1 and 1.0 don't mean the same.
class BatchLimit {
 public:
  constexpr BatchLimit() = default;
  constexpr BatchLimit(Batches batches) : batches_(batches.count) {}
  constexpr BatchLimit(Fraction fraction) : fraction_(fraction.of_range) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  constexpr BatchLimit(Number) {
    static_assert(!std::is_arithmetic_v<Number>,
                  "fg::LimitBatches takes no bare number, since 1 and 1.0 would not mean the same: write fg::Batches{10} or "
                  "fg::Fraction{0.25}. See docs/errors/limit-batches.md");
  }

  /// How many batches of a range of that size (nothing: unknown) are taken; nothing means all.
  /// Throws std::invalid_argument for a fraction of an unknown size, or one that leaves no batch.
  std::optional<std::int64_t> of(std::optional<std::int64_t> size, const char* range) const {
    if (batches_) return size ? std::min(*batches_, *size) : *batches_;
    if (!fraction_ || *fraction_ == 1.0) return size;
    if (!size) {
      throw std::invalid_argument(std::string("fulgurite: LimitBatches takes a Fraction of the ") + range +
                                  " range, whose size is unknown: give it in fg::Batches");
    }
    const auto count = static_cast<std::int64_t>(std::floor(static_cast<double>(*size) * *fraction_));
    if (count == 0 && *fraction_ > 0.0 && *size > 0) {
      throw std::invalid_argument(std::string("fulgurite: LimitBatches takes ") + std::to_string(*fraction_) + " of the " +
                                  range + " range, which is less than one of its " + std::to_string(*size) +
                                  " batches: take more");
    }
    return count;
  }

  constexpr bool makes_sense() const {
    return (!batches_ || *batches_ >= 0) && (!fraction_ || (*fraction_ >= 0.0 && *fraction_ <= 1.0));
  }

  friend constexpr bool operator==(const BatchLimit&, const BatchLimit&) = default;
  friend std::ostream& operator<<(std::ostream& out, const BatchLimit& limit) {
    if (limit.batches_) return out << "Batches{" << *limit.batches_ << '}';
    if (limit.fraction_) return out << "Fraction{" << *limit.fraction_ << '}';
    return out << "all";
  }

 private:
  std::optional<std::int64_t> batches_;
  std::optional<double> fraction_;
};

namespace slots {
struct MaxEpochs;
struct MaxSteps;
struct MaxTime;
struct LimitBatches;
}  // namespace slots

/// `fit` ends after so many epochs in all. Without any of `MaxEpochs`, `MaxSteps` and `MaxTime` it ends after 1000.
struct MaxEpochs {
  using slot = slots::MaxEpochs;
  std::int64_t count = 1000;  ///< 0 trains nothing

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MaxEpochs must be 0 or more"; }

  friend constexpr bool operator==(MaxEpochs, MaxEpochs) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxEpochs limit) {
    return detail::print(out, "MaxEpochs", detail::field("count", limit.count));
  }
};

/// `fit` ends after the batch in which `global_step` reaches this number, be it in the middle of an epoch.
struct MaxSteps {
  using slot = slots::MaxSteps;
  std::int64_t count = 0;  ///< optimizer steps; 0 trains nothing

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MaxSteps must be 0 or more"; }

  friend constexpr bool operator==(MaxSteps, MaxSteps) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxSteps limit) {
    return detail::print(out, "MaxSteps", detail::field("count", limit.count));
  }
};

/// `fit` ends after the batch that is running when this much time has passed since it began.
struct MaxTime {
  using slot = slots::MaxTime;
  std::chrono::duration<double> duration{};  ///< any std::chrono duration converts: `MaxTime{std::chrono::minutes{20}}`

  constexpr const char* problem() const {
    return duration.count() >= 0.0 ? nullptr : "MaxTime must be 0 or more seconds";
  }

  friend constexpr bool operator==(MaxTime, MaxTime) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxTime limit) {
    return out << "MaxTime{.duration = " << limit.duration.count() << " s}";
  }
};

/// Takes only so much of the ranges in every epoch: `LimitBatches{.train = fg::Batches{10}}`.
struct LimitBatches {
  using slot = slots::LimitBatches;
  BatchLimit train{};       ///< of the training range; Batches{0} trains nothing
  BatchLimit validation{};  ///< of the validation range; Batches{0} validates nothing

  constexpr const char* problem() const {
    if (!train.makes_sense()) return "LimitBatches.train must be Batches of 0 or more, or a Fraction in [0, 1]";
    if (!validation.makes_sense()) return "LimitBatches.validation must be Batches of 0 or more, or a Fraction in [0, 1]";
    return nullptr;
  }

  friend constexpr bool operator==(const LimitBatches&, const LimitBatches&) = default;
  friend std::ostream& operator<<(std::ostream& out, const LimitBatches& limit) {
    return detail::print(out, "LimitBatches", detail::field("train", limit.train),
                         detail::field("validation", limit.validation));
  }
};

/// All limits of a trainer, as the loop reads them.
struct Limits {
  std::optional<std::int64_t> max_epochs;
  std::optional<std::int64_t> max_steps;
  std::optional<std::chrono::duration<double>> max_time;
  LimitBatches batches;

  void set(MaxEpochs limit) { max_epochs = limit.count; }
  void set(MaxSteps limit) { max_steps = limit.count; }
  void set(MaxTime limit) { max_time = limit.duration; }
  void set(const LimitBatches& limit) { batches = limit; }

  /// 1000 unless some limit was given; nothing means no end.
  std::optional<std::int64_t> epochs() const {
    if (max_epochs || max_steps || max_time) return max_epochs;
    return MaxEpochs{}.count;
  }
};

/// Concept of these slots.
template <class P>
concept Limit = requires(Limits& limits, const P& limit) { limits.set(limit); };

namespace slots {
struct MaxEpochs {
  template <class P>
  static constexpr bool accepts = Limit<P>;
};
struct MaxSteps : MaxEpochs {};
struct MaxTime : MaxEpochs {};
struct LimitBatches : MaxEpochs {};
}  // namespace slots

}  // namespace fulgurite
