// SPDX-License-Identifier: MIT
// What training_step may return: a loss, a loss with a weight, or either of them optionally (nothing skips the batch).
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

namespace fulgurite {

/// A sum of losses and what it sums over (tokens in a padded batch, say). The gradients of an accumulation window are
/// divided by its total weight, so each unit of weight counts the same, in whichever batch it was. The weight is finite
/// and above 0. Made by `fg::weighted(loss_sum, tokens)`.
template <class Loss>
struct WeightedLoss {
  Loss sum;
  double weight = 1.0;
};

/// `return fg::weighted(loss_sum, tokens);`, with a weight of any arithmetic type.
template <class Loss, class Weight>
  requires std::is_arithmetic_v<Weight>
WeightedLoss<Loss> weighted(Loss sum, Weight weight) {
  return {std::move(sum), static_cast<double>(weight)};
}

namespace detail {

template <class Result>
struct loss_of {
  using type = Result;
  static constexpr bool weighted = false;
  static constexpr bool optional = false;
};
template <class Loss>
struct loss_of<WeightedLoss<Loss>> : loss_of<Loss> {
  static constexpr bool weighted = true;
};
template <class Result>
struct loss_of<std::optional<Result>> : loss_of<Result> {
  static constexpr bool optional = true;
};

}  // namespace detail

}  // namespace fulgurite
