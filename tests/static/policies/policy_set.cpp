// SPDX-License-Identifier: MIT
#include <fulgurite/policies/policy_set.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

using fg::detail::policies_of;
static_assert(std::is_same_v<policies_of<fg::Accumulate<2>, fg::ClipNorm>, policies_of<fg::ClipNorm, fg::Accumulate<2>>>);
static_assert(std::is_same_v<policies_of<fg::ClipNorm>, policies_of<fg::MaxEpochs, fg::ClipNorm>>);
static_assert(!fg::Policy<int> && fg::ModelsItsSlot<fg::Fixed<fg::ClipNorm{.max = 0.5}>>);
