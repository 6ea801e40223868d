// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/configure.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_setup {
  void setup() {}
};
class Hides_setup {
  [[maybe_unused]] int setup = 0;
};
struct Has_configure_optimizers {
  void configure_optimizers() {}
};
class Hides_configure_optimizers {
  [[maybe_unused]] int configure_optimizers = 0;
};
struct Has_teardown {
  void teardown() {}
};
class Hides_teardown {
  [[maybe_unused]] int teardown = 0;
};

static_assert(hooks::present<hooks::setup_hook, Has_setup> && hooks::present<hooks::setup_hook, Hides_setup>);
static_assert(!hooks::present<hooks::setup_hook, None> &&
              !hooks::present<hooks::setup_hook, Has_configure_optimizers> &&
              !hooks::present<hooks::setup_hook, Has_teardown>);
static_assert(hooks::present<hooks::configure_optimizers_hook, Has_configure_optimizers> && hooks::present<hooks::configure_optimizers_hook, Hides_configure_optimizers>);
static_assert(!hooks::present<hooks::configure_optimizers_hook, None> &&
              !hooks::present<hooks::configure_optimizers_hook, Has_setup> &&
              !hooks::present<hooks::configure_optimizers_hook, Has_teardown>);
static_assert(hooks::present<hooks::teardown_hook, Has_teardown> && hooks::present<hooks::teardown_hook, Hides_teardown>);
static_assert(!hooks::present<hooks::teardown_hook, None> &&
              !hooks::present<hooks::teardown_hook, Has_setup> &&
              !hooks::present<hooks::teardown_hook, Has_configure_optimizers>);
}  // namespace
