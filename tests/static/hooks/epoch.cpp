// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/epoch.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_on_train_epoch_start {
  void on_train_epoch_start() {}
};
class Hides_on_train_epoch_start {
  [[maybe_unused]] int on_train_epoch_start = 0;
};
struct Has_on_train_epoch_end {
  void on_train_epoch_end() {}
};
class Hides_on_train_epoch_end {
  [[maybe_unused]] int on_train_epoch_end = 0;
};

static_assert(hooks::present<hooks::on_train_epoch_start_hook, Has_on_train_epoch_start> && hooks::present<hooks::on_train_epoch_start_hook, Hides_on_train_epoch_start>);
static_assert(!hooks::present<hooks::on_train_epoch_start_hook, None> &&
              !hooks::present<hooks::on_train_epoch_start_hook, Has_on_train_epoch_end>);
static_assert(hooks::present<hooks::on_train_epoch_end_hook, Has_on_train_epoch_end> && hooks::present<hooks::on_train_epoch_end_hook, Hides_on_train_epoch_end>);
static_assert(!hooks::present<hooks::on_train_epoch_end_hook, None> &&
              !hooks::present<hooks::on_train_epoch_end_hook, Has_on_train_epoch_start>);
}  // namespace
