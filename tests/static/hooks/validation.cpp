// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/validation.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_on_validation_start {
  void on_validation_start() {}
};
class Hides_on_validation_start {
  [[maybe_unused]] int on_validation_start = 0;
};
struct Has_on_validation_epoch_start {
  void on_validation_epoch_start() {}
};
class Hides_on_validation_epoch_start {
  [[maybe_unused]] int on_validation_epoch_start = 0;
};
struct Has_on_validation_batch_start {
  void on_validation_batch_start() {}
};
class Hides_on_validation_batch_start {
  [[maybe_unused]] int on_validation_batch_start = 0;
};
struct Has_validation_step {
  void validation_step() {}
};
class Hides_validation_step {
  [[maybe_unused]] int validation_step = 0;
};
struct Has_on_validation_batch_end {
  void on_validation_batch_end() {}
};
class Hides_on_validation_batch_end {
  [[maybe_unused]] int on_validation_batch_end = 0;
};
struct Has_on_validation_epoch_end {
  void on_validation_epoch_end() {}
};
class Hides_on_validation_epoch_end {
  [[maybe_unused]] int on_validation_epoch_end = 0;
};
struct Has_on_validation_end {
  void on_validation_end() {}
};
class Hides_on_validation_end {
  [[maybe_unused]] int on_validation_end = 0;
};

static_assert(hooks::present<hooks::on_validation_start_hook, Has_on_validation_start> && hooks::present<hooks::on_validation_start_hook, Hides_on_validation_start>);
static_assert(!hooks::present<hooks::on_validation_start_hook, None> &&
              !hooks::present<hooks::on_validation_start_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::on_validation_start_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::on_validation_start_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_start_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::on_validation_start_hook, Has_on_validation_epoch_end> &&
              !hooks::present<hooks::on_validation_start_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_epoch_start> && hooks::present<hooks::on_validation_epoch_start_hook, Hides_on_validation_epoch_start>);
static_assert(!hooks::present<hooks::on_validation_epoch_start_hook, None> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_start> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_epoch_end> &&
              !hooks::present<hooks::on_validation_epoch_start_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_batch_start> && hooks::present<hooks::on_validation_batch_start_hook, Hides_on_validation_batch_start>);
static_assert(!hooks::present<hooks::on_validation_batch_start_hook, None> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_start> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_epoch_end> &&
              !hooks::present<hooks::on_validation_batch_start_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::validation_step_hook, Has_validation_step> && hooks::present<hooks::validation_step_hook, Hides_validation_step>);
static_assert(!hooks::present<hooks::validation_step_hook, None> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_start> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_epoch_end> &&
              !hooks::present<hooks::validation_step_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_batch_end> && hooks::present<hooks::on_validation_batch_end_hook, Hides_on_validation_batch_end>);
static_assert(!hooks::present<hooks::on_validation_batch_end_hook, None> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_start> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_epoch_end> &&
              !hooks::present<hooks::on_validation_batch_end_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_epoch_end> && hooks::present<hooks::on_validation_epoch_end_hook, Hides_on_validation_epoch_end>);
static_assert(!hooks::present<hooks::on_validation_epoch_end_hook, None> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_start> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::on_validation_epoch_end_hook, Has_on_validation_end>);
static_assert(hooks::present<hooks::on_validation_end_hook, Has_on_validation_end> && hooks::present<hooks::on_validation_end_hook, Hides_on_validation_end>);
static_assert(!hooks::present<hooks::on_validation_end_hook, None> &&
              !hooks::present<hooks::on_validation_end_hook, Has_on_validation_start> &&
              !hooks::present<hooks::on_validation_end_hook, Has_on_validation_epoch_start> &&
              !hooks::present<hooks::on_validation_end_hook, Has_on_validation_batch_start> &&
              !hooks::present<hooks::on_validation_end_hook, Has_validation_step> &&
              !hooks::present<hooks::on_validation_end_hook, Has_on_validation_batch_end> &&
              !hooks::present<hooks::on_validation_end_hook, Has_on_validation_epoch_end>);

struct Has_validation_scope {
  int validation_scope() { return 0; }
};
class Hides_validation_scope {
  [[maybe_unused]] int validation_scope = 0;
};
static_assert(hooks::present<hooks::validation_scope_hook, Has_validation_scope> &&
              hooks::present<hooks::validation_scope_hook, Hides_validation_scope> &&
              !hooks::present<hooks::validation_scope_hook, None> &&
              !hooks::present<hooks::validation_scope_hook, Has_validation_step> &&
              !hooks::present<hooks::validation_step_hook, Has_validation_scope>);
}  // namespace
