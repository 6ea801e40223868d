// SPDX-License-Identifier: MIT
#include <fulgurite/logging/metric.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <initializer_list>
#include <limits>

namespace fg = fulgurite;

namespace {
fg::Metric logged(fg::LogFlags flags, std::initializer_list<double> values) {
  fg::Metric metric{.name = "x"};
  metric.change_flags(flags);
  for (const double value : values) metric.add(value, 10.0);
  return metric;
}
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
}  // namespace

TEST_CASE("an epoch's values become their mean, sum, smallest or largest") {
  CHECK(logged(fg::on_epoch, {2.0, -1.0, 5.0}).value() == 2.0);
  CHECK(logged(fg::epoch_sum, {2.0, -1.0, 5.0}).value() == 6.0);
  CHECK(logged(fg::epoch_min, {2.0, -1.0, 5.0}).value() == -1.0);
  CHECK(logged(fg::epoch_max, {2.0, -1.0, 5.0}).value() == 5.0);
  CHECK(logged(fg::epoch_max, {-2.0, -1.0}).value() == -1.0);
  CHECK(logged(fg::epoch_min, {2.0, 3.0}).value() == 2.0);
  CHECK(logged(fg::on_step, {2.0, 5.0}).value() == 5.0);
}

TEST_CASE("a metric that was not logged yet has no value of an epoch, and begins with the first") {
  const fg::Metric fresh{.name = "x", .flags = fg::epoch_sum};
  CHECK_FALSE(fresh.in_epoch());
  CHECK(std::isnan(fresh.value()));
  CHECK(fresh.count == 0);
  CHECK(fresh.call == 0);
  CHECK_FALSE(fresh.at_edge);
  fg::Metric metric = fresh;
  metric.add(2.0, 1.0);
  CHECK(metric.value() == 2.0);
}

TEST_CASE("a nan is not lost in a smallest or largest value") {
  CHECK(std::isnan(logged(fg::epoch_min, {2.0, not_a_number, 1.0}).value()));
  CHECK(std::isnan(logged(fg::epoch_max, {not_a_number, 1.0}).value()));
  CHECK(std::isnan(logged(fg::epoch_max, {2.0, not_a_number, 1.0}).value()));
}

TEST_CASE("the mean is weighted") {
  fg::Metric metric{.name = "x"};
  metric.change_flags(fg::on_epoch);
  metric.add(1.0, 3.0);
  metric.add(5.0, 1.0);
  CHECK(metric.epoch_value() == 2.0);
}

TEST_CASE("an epoch's value stays until the next one has one") {
  fg::Metric metric = logged(fg::on_step | fg::on_epoch, {1.0, 3.0});
  metric.begin_epoch();
  CHECK(metric.value() == 2.0);
  metric.begin_epoch();  // of an epoch that logs nothing
  CHECK(metric.value() == 2.0);
  metric.add(7.0, 1.0);
  CHECK(metric.value() == 7.0);
}

TEST_CASE("an epoch's mean that is not a number stays as well, until the next epoch has one") {
  fg::Metric metric = logged(fg::on_epoch, {not_a_number, 3.0});
  metric.begin_epoch();
  CHECK(std::isnan(metric.value()));
}

TEST_CASE("names differ where a metric has a value of batches and one of epochs") {
  const auto both = logged(fg::on_step | fg::epoch_sum, {});
  CHECK(both.step_name == "x_step");
  CHECK(both.epoch_name == "x_epoch");
  CHECK(logged(fg::on_step, {}).step_name == "x");
  CHECK(logged(fg::on_epoch | fg::prog_bar, {}).epoch_name == "x");
}
