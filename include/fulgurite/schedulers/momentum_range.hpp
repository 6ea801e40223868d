// SPDX-License-Identifier: MIT
// The momentum of cyclic schedules.
#pragma once

#include <cstdint>
#include <ostream>

#include <fulgurite/detail/print.hpp>
#include "per_group.hpp"

namespace fulgurite {

/// The momentum (beta1 for the Adam family) that a cyclic schedule drives against the learning rate.
struct MomentumRange {
  PerGroup base = 0.85;  ///< where the learning rate is highest
  PerGroup max = 0.95;   ///< where it is lowest

  void require_groups(const char* name, std::int64_t count) const {
    base.require_groups(name, count);
    max.require_groups(name, count);
  }

  friend bool operator==(const MomentumRange&, const MomentumRange&) = default;
  friend std::ostream& operator<<(std::ostream& out, const MomentumRange& range) {
    return detail::print(out, "MomentumRange", detail::field("base", range.base), detail::field("max", range.max));
  }
};

}  // namespace fulgurite
