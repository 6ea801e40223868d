// SPDX-License-Identifier: MIT
#include <fulgurite/logging/log_flags.hpp>

namespace fg = fulgurite;

static_assert((fg::on_step | fg::prog_bar).has(fg::on_step) &&
              !(fg::on_step | fg::prog_bar).has(fg::on_epoch));
static_assert(fg::epoch_sum.has(fg::on_epoch) && fg::epoch_min.has(fg::on_epoch) &&
              fg::epoch_max.has(fg::on_epoch));
static_assert(!fg::on_epoch.has(fg::epoch_sum) && !fg::epoch_sum.has(fg::epoch_min) &&
              !fg::epoch_min.has(fg::epoch_max));
static_assert(fg::detail::reduces_in_one_way(fg::on_step | fg::on_epoch | fg::epoch_max));
static_assert(!fg::detail::reduces_in_one_way(fg::epoch_sum | fg::epoch_max));
static_assert(fg::Weight{3}.value == 3.0);
