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
  CHECK(fields_of(fg::StepDecay{}) == Fields{{"StepDecay.step_size", {1}}, {"StepDecay.gamma", {0.1}}});
  CHECK(fields_of(fg::MultiStepDecay{}) == Fields{{"MultiStepDecay.milestones", {}}, {"MultiStepDecay.gamma", {0.1}}});
  CHECK(fields_of(fg::ExponentialDecay{}) == Fields{{"ExponentialDecay.gamma", {0}}});
  CHECK(fields_of(fg::ConstantSchedule{}) ==
        Fields{{"ConstantSchedule.factor", {1.0 / 3.0}}, {"ConstantSchedule.steps", {5}}});
  CHECK(fields_of(fg::LinearSchedule{}) == Fields{{"LinearSchedule.start_factor", {1.0 / 3.0}},
                                                  {"LinearSchedule.end_factor", {1}}, {"LinearSchedule.steps", {5}}});
  CHECK(fields_of(fg::LinearWarmup{}) == Fields{{"LinearWarmup.steps", {0}}, {"LinearWarmup.start_factor", {0.01}}});
  CHECK(fields_of(fg::PolynomialDecay{}) == Fields{{"PolynomialDecay.steps", {5}}, {"PolynomialDecay.power", {1}}});
  CHECK(fields_of(fg::CosineAnnealing{}) == Fields{{"CosineAnnealing.period", {0}}, {"CosineAnnealing.min_lr", {0}}});
  CHECK(fields_of(fg::CosineWarmRestarts{}) ==
        Fields{{"CosineWarmRestarts.period", {0}}, {"CosineWarmRestarts.multiplier", {1}}, {"CosineWarmRestarts.min_lr", {0}}});
  CHECK(fields_of(fg::AnnealTo{}) == Fields{{"AnnealTo.target", {0}}, {"AnnealTo.period", {10}}, {"AnnealTo.anneal", {0}}});
  CHECK(fields_of(fg::CyclicSchedule{}) ==
        Fields{{"CyclicSchedule.base_lr", {0}}, {"CyclicSchedule.max_lr", {0}}, {"CyclicSchedule.steps_up", {2000}},
               {"CyclicSchedule.steps_down", {}}, {"CyclicSchedule.mode", {0}}, {"CyclicSchedule.gamma", {1}},
               {"CyclicSchedule.momentum_range", {1, 0.8, 0.9}}});
  CHECK(fields_of(fg::CyclicSchedule{}.scaled_by([](std::int64_t) { return 1.0; }, fg::ScaleBy::step)).back() ==
        std::pair<std::string, Numbers>("CyclicSchedule.by", {1}));
  CHECK(fields_of(fg::OneCycle{}) ==
        Fields{{"OneCycle.max_lr", {0}}, {"OneCycle.total_steps", {0}}, {"OneCycle.epochs", {0}},
               {"OneCycle.steps_per_epoch", {0}}, {"OneCycle.rising", {0.3}}, {"OneCycle.div_factor", {25}},
               {"OneCycle.final_div_factor", {1e4}}, {"OneCycle.anneal", {0}}, {"OneCycle.three_phase", {0}},
               {"OneCycle.momentum_range", {1, 0.85, 0.95}}});
  CHECK(fields_of(fg::Plateau<"loss">{}) ==
        Fields{{"Plateau.mode", {0}}, {"Plateau.factor", {0.1}}, {"Plateau.patience", {10}}, {"Plateau.threshold", {1e-4}},
               {"Plateau.threshold_mode", {0}}, {"Plateau.cooldown", {0}}, {"Plateau.min_lr", {0}}, {"Plateau.eps", {1e-8}}});
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
