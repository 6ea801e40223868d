// SPDX-License-Identifier: MIT
// Slots: when validation comes in a fit, and a first one before it. Run-time values, as the limits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

#include <fulgurite/detail/print.hpp>
#include "batch_limit.hpp"

namespace fulgurite {

namespace slots {
struct Validation;
struct SanityCheck;
}  // namespace slots

/// How far validations lie apart in an epoch: so many batches, such a part of the training range, or all of
/// it.
class ValidationInterval {
 public:
  constexpr ValidationInterval() = default;
  constexpr ValidationInterval(Batches batches) : batches_(batches.count) {}
  constexpr ValidationInterval(Fraction fraction) : fraction_(fraction.of_range) {}

  /// The one validation comes when the epoch ends, be its size known or not.
  constexpr bool is_whole_epoch() const { return !batches_ && (!fraction_ || *fraction_ == 1.0); }

  /// The number of batches, in an epoch of that size (nothing: unknown); at least 1. Not for whole epochs.
  /// Throws std::invalid_argument for a fraction of an unknown size, and for more batches than there are.
  std::int64_t in(std::optional<std::int64_t> size) const {
    if (batches_) {
      if (size && *batches_ > *size) {
        throw std::invalid_argument(
            "fulgurite: ValidateEvery takes an interval of " + std::to_string(*batches_) +
            " batches, but an epoch has only " + std::to_string(*size) +
            ", so validation would never come: take fewer, or count on through the epochs with "
            "fg::ValidateAcrossEpochs");
      }
      return *batches_;
    }
    if (!size) {
      throw std::invalid_argument(
          "fulgurite: ValidateEvery takes a Fraction of the training range, whose size is unknown: give the "
          "interval in "
          "fg::Batches");
    }
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(*size) * *fraction_));
  }

  constexpr bool makes_sense() const {
    return (!batches_ || *batches_ >= 1) && (!fraction_ || (*fraction_ > 0.0 && *fraction_ <= 1.0));
  }

  friend constexpr bool operator==(const ValidationInterval&, const ValidationInterval&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ValidationInterval& interval) {
    if (interval.batches_) return out << "Batches{" << *interval.batches_ << '}';
    if (interval.fraction_) return out << "Fraction{" << *interval.fraction_ << '}';
    return out << "whole epoch";
  }

 private:
  std::optional<std::int64_t> batches_;
  std::optional<double> fraction_;
};

/// Validates after every `interval` of an epoch, in every `epochs`-th epoch:
/// `ValidateEvery{.interval = fg::Fraction{0.25}}`. Batches are counted from the beginning of the epoch, so
/// that 5 of 23 are batches 5, 10, 15 and 20, and not the epoch's end.
struct ValidateEvery {
  using slot = slots::Validation;
  ValidationInterval interval{};  ///< `fg::Batches{n}`, `fg::Fraction{f}`, or whole epochs
  std::int64_t epochs = 1;        ///< 2 takes the second epoch, the fourth, and so on

  constexpr const char* problem() const {
    if (!interval.makes_sense())
      return "ValidateEvery.interval must be Batches of 1 or more, or a Fraction in (0, 1]";
    return epochs >= 1 ? nullptr
                       : "ValidateEvery.epochs must be 1 or more; to validate nothing, use "
                         "LimitBatches{.validation = Batches{0}}";
  }

  friend constexpr bool operator==(const ValidateEvery&, const ValidateEvery&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ValidateEvery& times) {
    return detail::print(out, "ValidateEvery", detail::field("interval", times.interval),
                         detail::field("epochs", times.epochs));
  }
};

/// Validates after every so many batches of the training, counted on through the epochs.
struct ValidateAcrossEpochs {
  using slot = slots::Validation;
  std::int64_t batches = 1;  ///< from one validation to the next, 1 or more

  constexpr const char* problem() const {
    return batches >= 1 ? nullptr : "ValidateAcrossEpochs.batches must be 1 or more";
  }

  friend constexpr bool operator==(ValidateAcrossEpochs, ValidateAcrossEpochs) = default;
  friend std::ostream& operator<<(std::ostream& out, ValidateAcrossEpochs times) {
    return detail::print(out, "ValidateAcrossEpochs", detail::field("batches", times.batches));
  }
};

/// Validates on the first batches before anything is trained, to find errors in validation code early. What
/// it logs is forgotten, and no random stream moves. Off unless given.
struct SanityCheck {
  using slot = slots::SanityCheck;
  std::int64_t batches = 2;  ///< of the validation range; 0 is none

  constexpr const char* problem() const {
    return batches >= 0 ? nullptr : "SanityCheck.batches must be 0 or more";
  }

  friend constexpr bool operator==(SanityCheck, SanityCheck) = default;
  friend std::ostream& operator<<(std::ostream& out, SanityCheck check) {
    return detail::print(out, "SanityCheck", detail::field("batches", check.batches));
  }
};

/// When validation comes in one epoch.
struct EpochValidation {
  bool wanted = true;          ///< in this epoch at all
  std::int64_t every = 0;      ///< batches; 0: when the epoch ends
  bool across_epochs = false;  ///< those of the whole training are counted

  constexpr bool due_after(std::int64_t batches_of_epoch, std::int64_t batches_in_all) const {
    return wanted && every > 0 && (across_epochs ? batches_in_all : batches_of_epoch) % every == 0;
  }
  constexpr bool due_at_end() const { return wanted && every == 0; }
};

/// The two policies of the slot as one value.
class ValidationTimes {
 public:
  constexpr ValidationTimes(const ValidateEvery& times = {}) : times_(times) {}
  constexpr ValidationTimes(ValidateAcrossEpochs times) : across_(times.batches) {}

  /// Once an epoch, when it ends.
  constexpr bool at_epoch_ends() const {
    return across_ == 0 && times_.interval.is_whole_epoch() && times_.epochs == 1;
  }

  constexpr bool across_epochs() const { return across_ > 0; }

  /// Throws std::invalid_argument if the interval does not fit an epoch of that size (nothing: unknown).
  EpochValidation in(std::int64_t epoch, std::optional<std::int64_t> size) const {
    if (across_ > 0) return {.every = across_, .across_epochs = true};
    return {.wanted = (epoch + 1) % times_.epochs == 0,
            .every = times_.interval.is_whole_epoch() ? 0 : times_.interval.in(size)};
  }

 private:
  ValidateEvery times_{};
  std::int64_t across_ = 0;  // batches; 0: times_ counts
};

}  // namespace fulgurite
