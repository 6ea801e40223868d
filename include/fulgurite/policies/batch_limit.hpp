// SPDX-License-Identifier: MIT
// Numbers of batches, absolute or as a part of a range.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <fulgurite/detail/number_text.hpp>

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

/// At most so many batches, at most such a part, or all. Two types instead of one number: 1 and 1.0 don't
/// mean the same.
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
    if (batches_) return std::min(*batches_, size.value_or(*batches_));
    if (!fraction_ || *fraction_ == 1.0) return size;
    if (!size) {
      throw std::invalid_argument(std::string("fulgurite: LimitBatches takes a Fraction of the ") + range +
                                  " range, whose size is unknown: give it in fg::Batches");
    }
    const auto count = static_cast<std::int64_t>(std::floor(static_cast<double>(*size) * *fraction_));
    if (count == 0 && *fraction_ > 0.0 && *size > 0) {
      throw std::invalid_argument(std::string("fulgurite: LimitBatches takes ") + detail::text_of(*fraction_) + " of the " +
                                  range + " range, which is less than one of its " + std::to_string(*size) +
                                  " batches: take more");
    }
    return count;
  }

  /// It takes none of any range, on purpose.
  constexpr bool takes_none() const { return batches_ == 0 || fraction_ == 0.0; }

  constexpr bool makes_sense() const {
    return (!batches_ || batches_ >= 0) && (!fraction_ || (fraction_ >= 0.0 && fraction_ <= 1.0));
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

}  // namespace fulgurite
