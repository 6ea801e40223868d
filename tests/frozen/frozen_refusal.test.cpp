// SPDX-License-Identifier: MIT
#include <fulgurite/frozen/frozen_refusal.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace fg = fulgurite;

TEST_CASE("a refusal names the operator and the reason") {
  const fg::FrozenRefusal refusal("aten::nonzero", "its result has a size that depends on the data");
  CHECK(refusal.operator_name() == "aten::nonzero");
  CHECK(std::string(refusal.what()) ==
        "fulgurite: a step with aten::nonzero cannot be frozen: its result has a size that depends on the data");
}
