// SPDX-License-Identifier: MIT
// A data set in parts (training, validation, test) that share no example.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <fulgurite/detail/number_text.hpp>
#include "random_order.hpp"
#include "tensor_dataset.hpp"

namespace fulgurite::data {

/// Deals the examples out at random, `fractions[i]` of them to part `i`: every example to exactly one part.
///
///     auto [train, validation, test] = fg::data::split(digits, {0.7, 0.15, 0.15}, /*seed=*/0);
///
/// The same data set, fractions and seed give the same parts everywhere. The parts are copies.
/// Throws `std::invalid_argument` when a fraction is negative or they do not sum to one, or the data set has no tensors.
template <std::size_t Parts>
std::array<TensorDataset, Parts> split(const TensorDataset& dataset, const double (&fractions)[Parts],
                                       std::uint64_t seed) {
  double sum = 0;
  for (double fraction : fractions) {
    if (!(fraction >= 0)) {
      throw std::invalid_argument("fulgurite: split cannot take " + fulgurite::detail::text_of(fraction) + " of a data set");
    }
    sum += fraction;
  }
  if (!(std::abs(sum - 1) < 1e-6)) {
    throw std::invalid_argument("fulgurite: the fractions of split sum to " + fulgurite::detail::text_of(sum) +
                                " instead of 1");
  }

  if (!dataset.inputs().defined()) throw std::invalid_argument("fulgurite: split was given a data set without tensors");
  const auto count = static_cast<std::int64_t>(dataset.size());
  auto drawn = random_order(count, seed);
  const at::Tensor order = at::from_blob(drawn.data(), {count}, at::kLong);

  // Rounding the running sums, not the sizes, hands out every example.
  std::array<TensorDataset, Parts> parts;
  double running = 0;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < Parts; ++i) {
    running += fractions[i];
    const auto last =
        i + 1 == Parts ? count : std::int64_t{std::llround(std::min(running, 1.0) * double(count))};
    const at::Tensor chosen = order.narrow(0, first, last - first).to(dataset.inputs().device());
    parts[i] = {dataset.inputs().index_select(0, chosen), dataset.targets().index_select(0, chosen)};
    first = last;
  }
  return parts;
}

}  // namespace fulgurite::data
