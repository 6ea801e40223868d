// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/checkpoint.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_on_save_checkpoint {
  void on_save_checkpoint() {}
};
class Hides_on_save_checkpoint {
  [[maybe_unused]] int on_save_checkpoint = 0;
};
struct Has_on_load_checkpoint {
  void on_load_checkpoint() {}
};
class Hides_on_load_checkpoint {
  [[maybe_unused]] int on_load_checkpoint = 0;
};

static_assert(hooks::present<hooks::on_save_checkpoint_hook, Has_on_save_checkpoint> &&
              hooks::present<hooks::on_save_checkpoint_hook, Hides_on_save_checkpoint>);
static_assert(!hooks::present<hooks::on_save_checkpoint_hook, None> &&
              !hooks::present<hooks::on_save_checkpoint_hook, Has_on_load_checkpoint>);
static_assert(hooks::present<hooks::on_load_checkpoint_hook, Has_on_load_checkpoint> &&
              hooks::present<hooks::on_load_checkpoint_hook, Hides_on_load_checkpoint>);
static_assert(!hooks::present<hooks::on_load_checkpoint_hook, None> &&
              !hooks::present<hooks::on_load_checkpoint_hook, Has_on_save_checkpoint>);
}  // namespace
