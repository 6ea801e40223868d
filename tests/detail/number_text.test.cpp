// SPDX-License-Identifier: MIT
#include <fulgurite/detail/number_text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>

using fulgurite::detail::text_of;

TEST_CASE("a number is as short as it can be, and never taken for another") {
  CHECK(text_of(0.1) == "0.1");
  CHECK(text_of(-1.0) == "-1");
  CHECK(text_of(-1e-9) == "-1e-09");
  CHECK(text_of(1.0 - 0x1p-53) == "0.9999999999999999");
  CHECK(text_of(std::nan("")) == "nan");
  CHECK(text_of(-std::nan("")) == "nan");
  CHECK(text_of(-std::numeric_limits<double>::infinity()) == "-inf");
}
