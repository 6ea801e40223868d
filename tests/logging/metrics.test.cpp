// SPDX-License-Identifier: MIT
#include <fulgurite/logging/metrics.hpp>

#include <catch2/catch_test_macros.hpp>

namespace fg = fulgurite;

TEST_CASE("a metric is a weighted mean over the epoch, or the last value") {
  fg::Metrics metrics;
  metrics.log("mean", 1.0, 3.0, fg::on_epoch, fg::Stage::validation);
  metrics.log("mean", 5.0, 1.0, fg::on_epoch, fg::Stage::validation);
  metrics.log("last", 7.0, 1.0, fg::on_step, fg::Stage::training);
  CHECK(metrics.value("mean") == 2.0);
  CHECK(metrics.value("last") == 7.0);
  CHECK_FALSE(metrics.value("unknown").has_value());
}

TEST_CASE("a metric is found by its name and knows how often it was logged") {
  fg::Metrics metrics;
  CHECK(metrics.find("loss") == nullptr);
  metrics.log("loss", 1.0, 1.0, fg::on_step, fg::Stage::training);
  metrics.log("loss", 2.0, 1.0, fg::on_step, fg::Stage::training);
  REQUIRE(metrics.find("loss") != nullptr);
  CHECK(metrics.find("loss")->count == 2);
  CHECK(metrics.find("loss")->last == 2.0);
}
