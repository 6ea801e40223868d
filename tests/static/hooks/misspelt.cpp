// SPDX-License-Identifier: MIT
#include <fulgurite/hooks/misspelt.hpp>

namespace hooks = fulgurite::hooks;

namespace {
struct Good {
  void training_step() {}
  void on_train_epoch_end() {}
};
struct Old {
  void training_epoch_end() {}
};

static_assert(hooks::training_epoch_end_misspelt::named<Old>);
static_assert(!hooks::training_epoch_end_misspelt::named<Good> && !hooks::train_step_misspelt::named<Good>);
static_assert((hooks::require_well_spelt_hooks<Good>(), true));
}  // namespace
