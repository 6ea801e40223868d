// SPDX-License-Identifier: MIT
#include <fulgurite/policies/device.hpp>

namespace fg = fulgurite;

namespace {
struct Chosen {
  using slot = fg::slots::Device;
  int index = 0;
  fg::DevicePlace place() const { return {fg::DevicePlace::Kind::cuda, index}; }
};

static_assert(fg::DevicePolicy<fg::Cpu> && fg::DevicePolicy<fg::Cuda<1>> && fg::DevicePolicy<Chosen>);
static_assert(!fg::DevicePolicy<int>);
static_assert(fg::Cpu::place() == fg::DevicePlace{});
static_assert(fg::Cuda<2>::place() == fg::DevicePlace{fg::DevicePlace::Kind::cuda, 2});
}  // namespace
