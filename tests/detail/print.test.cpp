// SPDX-License-Identifier: MIT
#include <fulgurite/detail/print.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace detail = fulgurite::detail;

TEST_CASE("a value is printed with its type and its fields, a list in braces") {
  const auto printed = [](const auto&... fields) {
    std::ostringstream out;
    detail::print(out, "Type", fields...);
    return out.str();
  };
  CHECK(printed() == "Type");
  CHECK(printed(detail::field("one", 1)) == "Type{.one = 1}");
  CHECK(printed(detail::field("one", 1), detail::field("two", "2"), detail::field("three", 0.5)) ==
        "Type{.one = 1, .two = 2, .three = 0.5}");
  const std::vector<int> none, some{1, 2, 3};
  std::ostringstream out;
  out << detail::Listed{none} << ' ' << detail::Listed{some};
  CHECK(out.str() == "{} {1, 2, 3}");
}
