// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/fit.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_on_fit_start {
  void on_fit_start() {}
};
class Hides_on_fit_start {
  [[maybe_unused]] int on_fit_start = 0;
};
struct Has_on_train_start {
  void on_train_start() {}
};
class Hides_on_train_start {
  [[maybe_unused]] int on_train_start = 0;
};
struct Has_on_train_end {
  void on_train_end() {}
};
class Hides_on_train_end {
  [[maybe_unused]] int on_train_end = 0;
};
struct Has_on_fit_end {
  void on_fit_end() {}
};
class Hides_on_fit_end {
  [[maybe_unused]] int on_fit_end = 0;
};

static_assert(hooks::present<hooks::on_fit_start_hook, Has_on_fit_start> && hooks::present<hooks::on_fit_start_hook, Hides_on_fit_start>);
static_assert(!hooks::present<hooks::on_fit_start_hook, None> &&
              !hooks::present<hooks::on_fit_start_hook, Has_on_train_start> &&
              !hooks::present<hooks::on_fit_start_hook, Has_on_train_end> &&
              !hooks::present<hooks::on_fit_start_hook, Has_on_fit_end>);
static_assert(hooks::present<hooks::on_train_start_hook, Has_on_train_start> && hooks::present<hooks::on_train_start_hook, Hides_on_train_start>);
static_assert(!hooks::present<hooks::on_train_start_hook, None> &&
              !hooks::present<hooks::on_train_start_hook, Has_on_fit_start> &&
              !hooks::present<hooks::on_train_start_hook, Has_on_train_end> &&
              !hooks::present<hooks::on_train_start_hook, Has_on_fit_end>);
static_assert(hooks::present<hooks::on_train_end_hook, Has_on_train_end> && hooks::present<hooks::on_train_end_hook, Hides_on_train_end>);
static_assert(!hooks::present<hooks::on_train_end_hook, None> &&
              !hooks::present<hooks::on_train_end_hook, Has_on_fit_start> &&
              !hooks::present<hooks::on_train_end_hook, Has_on_train_start> &&
              !hooks::present<hooks::on_train_end_hook, Has_on_fit_end>);
static_assert(hooks::present<hooks::on_fit_end_hook, Has_on_fit_end> && hooks::present<hooks::on_fit_end_hook, Hides_on_fit_end>);
static_assert(!hooks::present<hooks::on_fit_end_hook, None> &&
              !hooks::present<hooks::on_fit_end_hook, Has_on_fit_start> &&
              !hooks::present<hooks::on_fit_end_hook, Has_on_train_start> &&
              !hooks::present<hooks::on_fit_end_hook, Has_on_train_end>);
}  // namespace
