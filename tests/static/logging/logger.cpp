// SPDX-License-Identifier: MIT
#include <fulgurite/logging/logger.hpp>

namespace fg = fulgurite;

namespace {
struct Good {
  using slot = fg::slots::Callback;
  void log_metrics(const fg::MetricsRow&) {}
};
struct NoSlot {
  void log_metrics(const fg::MetricsRow&) {}
};
struct TakesNothing {
  using slot = fg::slots::Callback;
  void log_metrics() {}
};
}  // namespace

static_assert(fg::Logger<Good>);
static_assert(!fg::Logger<NoSlot> && !fg::Logger<TakesNothing>);
