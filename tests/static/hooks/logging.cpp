// SPDX-License-Identifier: MIT
// Each hook of the phase is found by its own name and by no other, whatever its access.
#include <fulgurite/hooks/logging.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct None {};
struct Has_log_metrics {
  void log_metrics() {}
};
class Hides_log_metrics {
  [[maybe_unused]] int log_metrics = 0;
};
struct Has_log_hyperparameters {
  void log_hyperparameters() {}
};
class Hides_log_hyperparameters {
  [[maybe_unused]] int log_hyperparameters = 0;
};

static_assert(hooks::present<hooks::log_metrics_hook, Has_log_metrics> &&
              hooks::present<hooks::log_metrics_hook, Hides_log_metrics>);
static_assert(!hooks::present<hooks::log_metrics_hook, None> &&
              !hooks::present<hooks::log_metrics_hook, Has_log_hyperparameters>);
static_assert(hooks::present<hooks::log_hyperparameters_hook, Has_log_hyperparameters> &&
              hooks::present<hooks::log_hyperparameters_hook, Hides_log_hyperparameters>);
static_assert(!hooks::present<hooks::log_hyperparameters_hook, None> &&
              !hooks::present<hooks::log_hyperparameters_hook, Has_log_metrics>);
}  // namespace
