// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/detail/fields.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/schedulers.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;
using fg::detail::as_numbers;
using fg::detail::take_numbers;

using Numbers = std::vector<double>;
using Fields = std::vector<std::pair<std::string, Numbers>>;

namespace {

template <class Schedule>
Fields fields_of(const Schedule& schedule) {
  fg::ScheduleState saved;
  fg::detail::save_fields(schedule, saved);
  Fields fields;
  for (const auto& entry : saved.entries()) fields.emplace_back(entry.name, entry.values);
  return fields;
}

}  // namespace

TEST_CASE("a schedule saves each of its values, which are PyTorch's by default") {
  CHECK(fields_of(fg::StepLR{}) == Fields{{"StepLR.step_size", {1}}, {"StepLR.gamma", {0.1}}});
  CHECK(fields_of(fg::MultiStepLR{}) == Fields{{"MultiStepLR.milestones", {}}, {"MultiStepLR.gamma", {0.1}}});
  CHECK(fields_of(fg::ExponentialLR{}) == Fields{{"ExponentialLR.gamma", {0}}});
  CHECK(fields_of(fg::ConstantLR{}) ==
        Fields{{"ConstantLR.factor", {1.0 / 3.0}}, {"ConstantLR.steps", {5}}});
  CHECK(fields_of(fg::LinearLR{}) == Fields{{"LinearLR.start_factor", {1.0 / 3.0}},
                                                  {"LinearLR.end_factor", {1}}, {"LinearLR.steps", {5}}});
  CHECK(fields_of(fg::LinearWarmup{}) == Fields{{"LinearWarmup.steps", {0}}, {"LinearWarmup.start_factor", {0.01}}});
  CHECK(fields_of(fg::PolynomialLR{}) == Fields{{"PolynomialLR.steps", {5}}, {"PolynomialLR.power", {1}}});
  CHECK(fields_of(fg::CosineAnnealingLR{}) == Fields{{"CosineAnnealingLR.t_max", {0}}, {"CosineAnnealingLR.min_lr", {0}}});
  CHECK(fields_of(fg::CosineAnnealingWarmRestarts{}) ==
        Fields{{"CosineAnnealingWarmRestarts.period", {0}}, {"CosineAnnealingWarmRestarts.multiplier", {1}}, {"CosineAnnealingWarmRestarts.min_lr", {0}}});
  CHECK(fields_of(fg::SWALR{}) == Fields{{"SWALR.target", {0}}, {"SWALR.period", {10}}, {"SWALR.anneal", {0}}});
  CHECK(fields_of(fg::CyclicLR{}) ==
        Fields{{"CyclicLR.base_lr", {0}}, {"CyclicLR.max_lr", {0}}, {"CyclicLR.steps_up", {2000}},
               {"CyclicLR.steps_down", {}}, {"CyclicLR.mode", {0}}, {"CyclicLR.gamma", {1}},
               {"CyclicLR.momentum_range", {1, 0.8, 0.9}}});
  CHECK(fields_of(fg::CyclicLR{}.scaled_by([](std::int64_t) { return 1.0; }, fg::ScaleBy::step)).back() ==
        std::pair<std::string, Numbers>("CyclicLR.by", {1}));
  CHECK(fields_of(fg::OneCycleLR{}) ==
        Fields{{"OneCycleLR.max_lr", {0}}, {"OneCycleLR.total_steps", {0}}, {"OneCycleLR.epochs", {0}},
               {"OneCycleLR.steps_per_epoch", {0}}, {"OneCycleLR.rising", {0.3}}, {"OneCycleLR.div_factor", {25}},
               {"OneCycleLR.final_div_factor", {1e4}}, {"OneCycleLR.anneal", {0}}, {"OneCycleLR.three_phase", {0}},
               {"OneCycleLR.momentum_range", {1, 0.85, 0.95}}});
  CHECK(fields_of(fg::ReduceLROnPlateau<"loss">{}) ==
        Fields{{"ReduceLROnPlateau.mode", {0}}, {"ReduceLROnPlateau.factor", {0.1}}, {"ReduceLROnPlateau.patience", {10}}, {"ReduceLROnPlateau.threshold", {1e-4}},
               {"ReduceLROnPlateau.threshold_mode", {0}}, {"ReduceLROnPlateau.cooldown", {0}}, {"ReduceLROnPlateau.min_lr", {0}}, {"ReduceLROnPlateau.eps", {1e-8}}});
}

TEST_CASE("values go into numbers and come back") {
  std::int64_t whole = 0;
  CHECK(take_numbers(as_numbers(std::int64_t{7}), whole));
  CHECK(whole == 7);
  std::vector<std::int64_t> list{1};
  CHECK(take_numbers(as_numbers(std::vector<std::int64_t>{3, 4}), list));
  CHECK(list == std::vector<std::int64_t>{3, 4});
  std::array<std::int64_t, 2> pair{};
  CHECK(take_numbers(as_numbers(std::array<std::int64_t, 2>{5, 6}), pair));
  CHECK(pair == std::array<std::int64_t, 2>{5, 6});
  std::optional<std::int64_t> perhaps = 1;
  CHECK(take_numbers(as_numbers(std::optional<std::int64_t>()), perhaps));
  CHECK(perhaps == std::nullopt);
  CHECK(take_numbers(as_numbers(std::optional<std::int64_t>(8)), perhaps));
  CHECK(perhaps == 8);
  fg::PerGroup groups = 0.0;
  CHECK(take_numbers(as_numbers(fg::PerGroup{0.5, 0.25}), groups));
  CHECK(groups == fg::PerGroup{0.5, 0.25});
  CHECK(take_numbers(as_numbers(fg::PerGroup(0.5)), groups));
  CHECK(groups == fg::PerGroup(0.5));
}

TEST_CASE("a momentum range goes into numbers and comes back, its two lists together") {
  std::optional<fg::MomentumRange> range = fg::MomentumRange{};
  CHECK(take_numbers({}, range));
  CHECK(range == std::nullopt);
  for (const fg::MomentumRange& given : {fg::MomentumRange{}, fg::MomentumRange{.base = {0.5, 0.6}, .max = {0.7, 0.8}},
                                         fg::MomentumRange{.base = {0.5, 0.6}, .max = 0.9}}) {
    CHECK(take_numbers(as_numbers(std::optional(given)), range));
    CHECK(range == given);
  }
}

TEST_CASE("numbers that do not form such a value are not taken") {
  std::int64_t whole = 7;
  CHECK_FALSE(take_numbers({}, whole));
  CHECK_FALSE(take_numbers({1, 2}, whole));
  CHECK(whole == 7);
  std::array<std::int64_t, 2> pair{};
  CHECK_FALSE(take_numbers({1}, pair));
  CHECK_FALSE(take_numbers({1, 2, 3}, pair));
  std::optional<std::int64_t> perhaps;
  CHECK_FALSE(take_numbers({1, 2}, perhaps));
  fg::PerGroup groups = 0.5;
  CHECK_FALSE(take_numbers({}, groups));
  std::optional<fg::MomentumRange> range;
  CHECK_FALSE(take_numbers({0, 1, 2}, range));  // no number of `base`
  CHECK_FALSE(take_numbers({2, 1, 2}, range));  // none of `max`
  CHECK_FALSE(take_numbers({1}, range));
  CHECK_FALSE(take_numbers({3, 1, 2}, range));
  CHECK_FALSE(take_numbers({-1, 1, 2}, range));
  CHECK(take_numbers({1, 1, 2}, range));
}

TEST_CASE("numbers are named in messages as they would be written") {
  using fg::detail::text_of;
  CHECK(text_of(Numbers{}) == "nothing");
  CHECK(text_of(Numbers{0.1}) == "0.1");
  CHECK(text_of(Numbers{10, 20.5}) == "{10, 20.5}");
}
