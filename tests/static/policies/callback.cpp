// SPDX-License-Identifier: MIT
#include <fulgurite/policies/callback.hpp>

namespace fg = fulgurite;

namespace {
struct Observer {
  using slot = fg::slots::Callback;
  void on_train_start(auto&) {}
};
struct Elsewhere {
  using slot = int;
};

static_assert(fg::Callback<Observer>);
static_assert(!fg::Callback<Elsewhere> && !fg::Callback<int>);
}  // namespace
