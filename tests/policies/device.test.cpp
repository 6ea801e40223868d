// SPDX-License-Identifier: MIT
#include <fulgurite/policies/device.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>

namespace fg = fulgurite;

TEST_CASE("a device is a place, equal to itself, with a printed form") {
  const fg::DevicePlace first;
  CHECK(first.kind == fg::DevicePlace::Kind::cpu);
  CHECK(first.index == 0);
  CHECK(fg::Cpu::place() == first);
  CHECK(fg::Cuda<2>::place() == fg::DevicePlace{fg::DevicePlace::Kind::cuda, 2});
  CHECK(fg::Cpu{} == fg::Cpu{});
  CHECK(fg::Cuda<1>{} == fg::Cuda<1>{});
  std::ostringstream out;
  out << fg::Cpu{} << ' ' << fg::Cuda<1>{};
  CHECK(out.str() == "Cpu Cuda<1>");
}
