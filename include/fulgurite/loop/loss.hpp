// SPDX-License-Identifier: MIT
// What training_step may return: a loss, a loss with a weight, or either of them optionally (nothing skips the batch).
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>

namespace fulgurite {

/// A sum of losses and what it sums over (tokens in a padded batch, say). The gradients of an accumulation window are
/// divided by its total weight, so each unit of weight counts the same, in whichever batch it was.
/// `fg::WeightedLoss{.sum = loss, .weight = tokens}`; the weight is above 0.
template <class Loss>
struct WeightedLoss {
  Loss sum;
  double weight = 1.0;
};

template <class Loss, class Weight>
WeightedLoss(Loss, Weight) -> WeightedLoss<Loss>;

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
