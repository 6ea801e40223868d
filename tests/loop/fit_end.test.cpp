// SPDX-License-Identifier: MIT
#include <fulgurite/loop/fit_end.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>

namespace fg = fulgurite;
using fg::detail::FitClock;
using fg::detail::FitEnd;

TEST_CASE("a fit ends at its limits, whatever the minimum") {
  fg::Limits limits;
  limits.max_epochs = 2;
  limits.max_steps = 10;
  limits.min_epochs = limits.min_steps = 100;
  fg::Progress progress;
  bool stop = false;
  const FitClock clock;
  const FitEnd end(limits, progress, clock, stop);
  CHECK_FALSE(end.after_epoch());
  progress.global_step = 10;
  CHECK(end.after_batch());
  progress = {.epoch = 2, .global_step = 9};
  CHECK_FALSE(end.after_batch());
  CHECK(end.after_epoch());
  CHECK_FALSE(end.stops());
}

TEST_CASE("a request that comes too early is kept until both minima are reached") {
  fg::Limits limits;
  limits.min_epochs = 2;
  limits.min_steps = 10;
  fg::Progress progress;
  bool stop = true;
  const FitClock clock;
  const FitEnd end(limits, progress, clock, stop);
  CHECK_FALSE(end.after_batch());
  progress = {.epoch = 2, .global_step = 9};
  CHECK_FALSE(end.after_batch());
  progress = {.epoch = 1, .global_step = 10};
  CHECK_FALSE(end.after_batch());
  CHECK(stop);
  progress = {.epoch = 2, .global_step = 10};
  CHECK(end.after_batch());
  CHECK(end.stops());
}

TEST_CASE("time that is up is a request to stop") {
  fg::Limits limits;
  limits.max_time = std::chrono::seconds{0};
  limits.min_steps = 1;
  fg::Progress progress;
  bool stop = false;
  const FitClock clock;
  const FitEnd end(limits, progress, clock, stop);
  CHECK_FALSE(end.after_batch());
  progress.global_step = 1;
  CHECK(end.after_batch());
  CHECK(end.stops());
  CHECK_FALSE(stop);  // it is gone when there is more time

  limits.max_time = std::chrono::hours{24};
  bool other = false;
  CHECK_FALSE(FitEnd(limits, progress, clock, other).after_batch());
}
