// SPDX-License-Identifier: MIT
#include <fulgurite/logging/logged_value.hpp>

#include <fulgurite/logging/metrics.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <optional>
#include <sstream>
#include <stdexcept>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

struct Model : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("train_loss", batch);
    step.log("rate", 0.5);
    return toy::Loss{&weight, batch};
  }
};

}  // namespace

TEST_CASE("a metric that is not known, read as a number, is an error that names the known ones") {
  Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_MATCHES(*trainer.metric("val_loss"), std::out_of_range,
                       Catch::Matchers::Message("fulgurite: the metric val_loss is not known, since nothing has been logged "
                                                "under that name. Known metrics: none. Where it may be missing, ask "
                                                "has_value(), or value_or(number)"));
  trainer.fit(toy::counting(3));
  CHECK(*trainer.metric("train_loss") == 3.0);
  const auto typo = trainer.metric("trian_loss");
  const auto says = Catch::Matchers::Message(
      "fulgurite: the metric trian_loss is not known, since nothing has been logged under that name. Known metrics: train_loss, "
      "rate. Where it may be missing, ask has_value(), or value_or(number)");
  CHECK_THROWS_MATCHES(*typo, std::out_of_range, says);
  CHECK_THROWS_MATCHES(typo.value(), std::out_of_range, says);
  CHECK_THROWS_MATCHES(typo < 0.5, std::out_of_range, says);
  CHECK_THROWS_MATCHES(0.5 >= typo, std::out_of_range, says);
  CHECK_THROWS_MATCHES(typo > trainer.metric("rate"), std::out_of_range, says);
  CHECK_THROWS_MATCHES(trainer.metric("rate") > typo, std::out_of_range, says);
  CHECK_THROWS_AS(*trainer.metrics().value("nope"), std::out_of_range);
  CHECK_THROWS_AS(*trainer.metrics().batch_value("nope"), std::out_of_range);
  CHECK_FALSE(typo.has_value());
  CHECK_FALSE(typo);
  CHECK(typo.value_or(7.0) == 7.0);
  CHECK(std::optional<double>(typo) == std::nullopt);
}

TEST_CASE("a metric that is known is its number, and compares as one") {
  const fg::LoggedValue half = 0.5, one = 1.0, none(std::nullopt, "it is not known");
  CHECK(half.has_value());
  CHECK(half);
  CHECK(*half == 0.5);
  CHECK(half.value() == 0.5);
  CHECK(half.value_or(7.0) == 0.5);
  const std::optional<double> number = half;
  CHECK(number == 0.5);
  CHECK(half == number);
  CHECK(number == half);
  CHECK(half == 0.5);
  CHECK(one == 1);
  CHECK(half != one);
  CHECK(half != std::nullopt);
  CHECK(none == std::nullopt);
  CHECK(none != half);
  CHECK(none != 0.5);
  CHECK(half < one);
  CHECK(half < 0.75);
  CHECK(0.75 > half);
  CHECK(one >= 1.0);
  CHECK_FALSE(one < half);
  std::ostringstream text;
  text << half << ' ' << none;
  CHECK(text.str() == "0.5 unknown");
}
