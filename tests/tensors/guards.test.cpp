// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/guards.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

namespace fg = fulgurite;

TEST_CASE("autocast ends with its scope, also inside of another") {
  {
    const fg::AutocastGuard on(at::kCPU, at::kBFloat16, true);
    CHECK(at::autocast::is_autocast_enabled(at::kCPU));
    {
      const fg::AutocastGuard off(at::kCPU, at::kBFloat16, false);
      CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    }
    CHECK(at::autocast::is_autocast_enabled(at::kCPU));
  }
  CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}
