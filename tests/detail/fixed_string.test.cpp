// SPDX-License-Identifier: MIT
#include <fulgurite/detail/fixed_string.hpp>

#include <catch2/catch_test_macros.hpp>

#include <type_traits>

using fulgurite::detail::FixedString;

namespace {
template <FixedString Name>
struct Named {};
}  // namespace

TEST_CASE("a text as a part of a type is the text") {
  constexpr FixedString name = "val_loss";
  CHECK(name.view() == "val_loss");
  CHECK_FALSE(name.empty());
  CHECK(FixedString("").empty());
  CHECK(FixedString("").view().empty());
  STATIC_CHECK(std::is_same_v<Named<"a">, Named<"a">>);
  STATIC_CHECK_FALSE(std::is_same_v<Named<"a">, Named<"b">>);
}
