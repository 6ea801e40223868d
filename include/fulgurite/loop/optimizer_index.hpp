// SPDX-License-Identifier: MIT
// Which of several optimizers, as a value whose type says it.
#pragma once

#include <cstddef>
#include <type_traits>

namespace fulgurite {

/// Tells one of several optimizers from the others when the program is compiled: a model with two has
/// `training_step(batch, step, fg::OptimizerIndex<0>)` and `…<1>`, or one `training_step(batch, step, auto index)` with
/// `if constexpr (index == 0)`.
template <std::size_t I>
struct OptimizerIndex : std::integral_constant<std::size_t, I> {};

/// `step.optimizer(fg::optimizer_index<1>)`
template <std::size_t I>
inline constexpr OptimizerIndex<I> optimizer_index{};

}  // namespace fulgurite
