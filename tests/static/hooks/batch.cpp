// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/batch.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_on_train_batch_start {
  void on_train_batch_start() {}
};
class Hides_on_train_batch_start {
  [[maybe_unused]] int on_train_batch_start = 0;
};
struct Has_training_step {
  void training_step() {}
};
class Hides_training_step {
  [[maybe_unused]] int training_step = 0;
};
struct Has_on_train_batch_end {
  void on_train_batch_end() {}
};
class Hides_on_train_batch_end {
  [[maybe_unused]] int on_train_batch_end = 0;
};

static_assert(hooks::present<hooks::on_train_batch_start_hook, Has_on_train_batch_start> && hooks::present<hooks::on_train_batch_start_hook, Hides_on_train_batch_start>);
static_assert(!hooks::present<hooks::on_train_batch_start_hook, None> &&
              !hooks::present<hooks::on_train_batch_start_hook, Has_training_step> &&
              !hooks::present<hooks::on_train_batch_start_hook, Has_on_train_batch_end>);
static_assert(hooks::present<hooks::training_step_hook, Has_training_step> && hooks::present<hooks::training_step_hook, Hides_training_step>);
static_assert(!hooks::present<hooks::training_step_hook, None> &&
              !hooks::present<hooks::training_step_hook, Has_on_train_batch_start> &&
              !hooks::present<hooks::training_step_hook, Has_on_train_batch_end>);
static_assert(hooks::present<hooks::on_train_batch_end_hook, Has_on_train_batch_end> && hooks::present<hooks::on_train_batch_end_hook, Hides_on_train_batch_end>);
static_assert(!hooks::present<hooks::on_train_batch_end_hook, None> &&
              !hooks::present<hooks::on_train_batch_end_hook, Has_on_train_batch_start> &&
              !hooks::present<hooks::on_train_batch_end_hook, Has_training_step>);
}  // namespace
