// SPDX-License-Identifier: MIT
#include <fulgurite/version.hpp>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("the version is three numbers") {
  STATIC_REQUIRE(FULGURITE_VERSION_MAJOR >= 0);
  STATIC_REQUIRE(FULGURITE_VERSION_MINOR >= 0);
  STATIC_REQUIRE(FULGURITE_VERSION_PATCH >= 0);
}
