// SPDX-License-Identifier: MIT
#include <fulgurite/loop/optimizer_index.hpp>

namespace fg = fulgurite;

namespace {
constexpr std::size_t concrete(fg::OptimizerIndex<1>) { return 1; }
constexpr std::size_t number(std::size_t index) { return index; }

static_assert(fg::optimizer_index<1> == 1 && fg::OptimizerIndex<2>::value == 2);
static_assert(concrete(fg::optimizer_index<1>) == 1 && number(fg::optimizer_index<3>) == 3);
static_assert(!std::is_same_v<fg::OptimizerIndex<0>, fg::OptimizerIndex<1>>);
}  // namespace
