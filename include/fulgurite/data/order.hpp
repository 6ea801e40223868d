// SPDX-License-Identifier: MIT
// In which order an epoch visits the examples of a data set.
#pragma once

#include <cstdint>
#include <ostream>
#include <variant>

#include <fulgurite/detail/print.hpp>

namespace fulgurite::data {

/// Every epoch visits the examples as they lie.
struct InOrder {
  friend constexpr bool operator==(InOrder, InOrder) = default;
  friend std::ostream& operator<<(std::ostream& out, InOrder) { return out << "InOrder"; }
};

/// Every epoch has an order of its own, a pure function of seed and epoch: see `random_order`.
struct Shuffled {
  std::uint64_t seed = 0;  ///< the same seed gives the same orders, on every machine

  friend constexpr bool operator==(Shuffled, Shuffled) = default;
  friend std::ostream& operator<<(std::ostream& out, Shuffled order) {
    return fulgurite::detail::print(out, "Shuffled", fulgurite::detail::field("seed", order.seed));
  }
};

using Order = std::variant<InOrder, Shuffled>;

}  // namespace fulgurite::data
