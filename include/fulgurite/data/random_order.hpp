// SPDX-License-Identifier: MIT
// The order of a shuffled epoch. Written out to the last bit, since `std::shuffle` leaves its result to the
// library: a seed must give the same run on every machine, whatever else draws random numbers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace fulgurite::data {

namespace detail {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t state) : state_(state) {}

  constexpr std::uint64_t operator()() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  // Uniform over 0 … bound - 1, without bias: takes the bits that `bound` needs, and others if too large.
  constexpr std::uint64_t below(std::uint64_t bound) {
    const int surplus = std::countl_zero((bound - 1) | 1U);
    for (;;) {
      if (const std::uint64_t drawn = (*this)() >> surplus; drawn < bound) return drawn;
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace detail

/// A permutation of 0 … `count - 1`: a pure function of `seed` and `epoch`, every permutation equally likely.
///
/// Fisher and Yates's shuffle, from the back, over SplitMix64; the generator starts at `mix(seed) + epoch`,
/// mixed once more, so that neighbouring seeds and epochs share nothing.
inline std::vector<std::int64_t> random_order(std::int64_t count, std::uint64_t seed,
                                              std::int64_t epoch = 0) {
  const std::uint64_t mixed_seed = detail::SplitMix64{seed}();
  detail::SplitMix64 random{detail::SplitMix64{mixed_seed + static_cast<std::uint64_t>(epoch)}()};

  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[static_cast<std::size_t>(random.below(left))]);
  }
  return order;
}

}  // namespace fulgurite::data
