// SPDX-License-Identifier: MIT
#include <fulgurite/loop/window.hpp>

namespace fg = fulgurite;
using fg::detail::Window;

namespace {
constexpr Window opened(auto policy, std::int64_t remaining) {
  Window window;
  window.open(policy, 0, remaining);
  return window;
}
constexpr Window after(Window window, int batches) {
  for (int i = 0; i < batches; ++i) {
    window.add_contribution();
    window.add_batch();
  }
  return window;
}
constexpr Window weighted(double a, double b) {
  Window window = opened(fg::Accumulate<4>{}, -1);
  window.add_weight(a);
  window.add_weight(b);
  return window;
}

static_assert(!Window{}.is_open() && opened(fg::Accumulate<4>{}, -1).is_open());
static_assert(opened(fg::NoAccumulation{}, -1).closes(false));
static_assert(!opened(fg::Accumulate<4>{}, -1).closes(false) && opened(fg::Accumulate<4>{}, -1).closes(true));
static_assert(!after(opened(fg::Accumulate<4>{}, -1), 2).closes(false) && after(opened(fg::Accumulate<4>{}, -1), 3).closes(false));
// The short window: foreseen it is divided by its own length, unforeseen it is corrected, and Lightning's way it is neither.
static_assert(opened(fg::Accumulate<4>{}, 3).divisor() == 3 && after(opened(fg::Accumulate<4>{}, 3), 3).correction() == 1.0);
static_assert(opened(fg::Accumulate<4>{}, -1).divisor() == 4);
static_assert(after(opened(fg::Accumulate<4>{}, -1), 3).correction() == 4.0 / 3.0);
static_assert(after(opened(fg::Accumulate<4>{.partial = fg::PartialWindow::full_divisor}, 3), 3).correction() == 1.0);
static_assert(opened(fg::Accumulate<4>{.partial = fg::PartialWindow::full_divisor}, 3).divisor() == 4);
static_assert(weighted(3.0, 5.0).correction() == 1.0 / 8.0);
static_assert(opened(fg::Accumulate<4>{}, -1).nothing_to_step_on() && !after(opened(fg::Accumulate<4>{}, -1), 1).nothing_to_step_on());
}  // namespace
