// SPDX-License-Identifier: MIT
#include <fulgurite/logging/number.hpp>

#include <catch2/catch_test_macros.hpp>

#include <span>

namespace fg = fulgurite;

namespace {

/// A number that lies on a device.
struct Far {
  double value = 0.0;
};

}  // namespace

template <>
struct fulgurite::to_number<Far> {
  static double read(const Far& far) { return far.value; }
  static bool is_far(const Far&) { return true; }
  static Far keep(const Far& far) { return far; }
  static void read(std::span<const Far> kept, double* values) {
    for (const Far& far : kept) *values++ = far.value;
  }
};

TEST_CASE("what is on the host is read at once, what is on a device when it is asked for") {
  int near = 1;
  Far far{1.0};
  const fg::Number of_near(near), of_far(far);
  near = 2;
  far.value = 2.0;
  CHECK_FALSE(of_near.is_far());
  CHECK(of_near.value() == 1.0);
  CHECK(of_far.is_far());
  CHECK(of_far.value() == 2.0);
}
