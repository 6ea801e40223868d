// SPDX-License-Identifier: MIT
// The printed and compared forms of the orders.
#include <fulgurite/data/order.hpp>

#include <sstream>

#include <catch2/catch_test_macros.hpp>

namespace data = fulgurite::data;

static_assert(data::Shuffled{.seed = 7} == data::Shuffled{7} && data::Shuffled{7} != data::Shuffled{});
static_assert(data::Order{} == data::Order{data::InOrder{}});

TEST_CASE("orders print as they are written") {
  std::ostringstream out;
  out << data::InOrder{} << ' ' << data::Shuffled{.seed = 7};
  CHECK(out.str() == "InOrder Shuffled{.seed = 7}");
}
