// SPDX-License-Identifier: MIT
#include <fulgurite/loop/loss.hpp>

namespace fg = fulgurite;
using fg::detail::loss_of;

namespace {
struct Loss {};

static_assert(std::same_as<loss_of<Loss>::type, Loss> && !loss_of<Loss>::weighted && !loss_of<Loss>::optional);
static_assert(std::same_as<loss_of<std::optional<Loss>>::type, Loss> && loss_of<std::optional<Loss>>::optional);
static_assert(loss_of<fg::WeightedLoss<Loss>>::weighted);
static_assert(std::same_as<loss_of<std::optional<fg::WeightedLoss<Loss>>>::type, Loss>);
}  // namespace
