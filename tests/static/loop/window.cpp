// SPDX-License-Identifier: MIT
#include <cstdint>
#include <optional>

#include <fulgurite/loop/window.hpp>

namespace fg = fulgurite;
using fg::detail::BatchWindow;
using fg::detail::Window;

namespace {
using fg::Accumulate;
using fg::PartialWindow;

constexpr Window opened(auto policy, std::optional<std::int64_t> remaining) {
  Window window;
  window.open(policy, 0, remaining, 0);
  return window;
}
constexpr Window after(Window window, int batches) {
  for (int i = 0; i < batches; ++i) window.add_batch();
  return window;
}
constexpr Window without_last(Window window) {
  window.leave_out();
  return window;
}
constexpr double correction(Window window, auto policy) { return window.take_correction(policy, true); }
constexpr double weighted(double a, double b) {
  Window window = after(opened(Accumulate<4>{}, std::nullopt), 2);
  window.add_weight(a);
  window.add_weight(b);
  return window.take_correction(Accumulate<4>{}, true);
}
constexpr double second_correction() {
  Window window = after(opened(Accumulate<4>{}, std::nullopt), 3);
  window.take_correction(Accumulate<4>{}, true);
  return window.take_correction(Accumulate<4>{}, true);
}

static_assert(!Window{}.is_open() && !opened(Accumulate<4>{}, std::nullopt).is_open() && after(opened(Accumulate<4>{}, std::nullopt), 1).is_open());
constexpr bool closes(Window window, bool last_of_epoch) { return window.closes(Accumulate<4>{}, 0, last_of_epoch); }
static_assert(!closes(opened(Accumulate<4>{}, std::nullopt), false) && closes(opened(Accumulate<4>{}, std::nullopt), true));
static_assert(!closes(after(opened(Accumulate<4>{}, std::nullopt), 2), false) && closes(after(opened(Accumulate<4>{}, std::nullopt), 3), false));
// The short window: foreseen it is divided by its own length, unforeseen it is corrected, and Lightning's way it is neither.
constexpr Accumulate<4> full{.partial = PartialWindow::full_divisor};
static_assert(opened(Accumulate<4>{}, 3).divisor() == 3 && correction(after(opened(Accumulate<4>{}, 3), 3), Accumulate<4>{}) == 1.0);
static_assert(opened(Accumulate<4>{}, std::nullopt).divisor() == 4);
static_assert(correction(after(opened(Accumulate<4>{}, std::nullopt), 3), Accumulate<4>{}) == 4.0 / 3.0);
static_assert(correction(without_last(after(opened(Accumulate<4>{}, std::nullopt), 4)), Accumulate<4>{}) == 4.0 / 3.0);
static_assert(correction(after(opened(full, 3), 3), full) == 1.0);
static_assert(opened(full, 3).divisor() == 4);
static_assert(after(opened(Accumulate<4>{}, std::nullopt), 4).take_correction(Accumulate<4>{}, false) == 1.0);
static_assert(weighted(3.0, 5.0) == 1.0 / 8.0);
static_assert(second_correction() == 1.0);
static_assert(without_last(after(opened(Accumulate<4>{}, std::nullopt), 1)).nothing_to_step_on());
static_assert(!without_last(after(opened(Accumulate<4>{}, std::nullopt), 2)).nothing_to_step_on());

constexpr BatchWindow with_weight(double weight) {
  BatchWindow window;
  window.begin_batch();
  window.add_weight(weight);
  return window;
}
constexpr double correction(BatchWindow window) { return window.take_correction(fg::NoAccumulation{}, true); }
constexpr BatchWindow left_out() {
  BatchWindow window;
  window.begin_batch();
  window.leave_out();
  return window;
}
static_assert(BatchWindow::at_first_batch() && BatchWindow::divisor() == 1);
static_assert(correction(with_weight(1.0)) == 1.0 && correction(with_weight(4.0)) == 0.25);
static_assert(BatchWindow{}.nothing_to_step_on() && left_out().nothing_to_step_on() && !with_weight(2.0).nothing_to_step_on());
}  // namespace
