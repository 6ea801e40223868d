// SPDX-License-Identifier: MIT
#include <fulgurite/policies/validation.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "support/problems.hpp"

namespace fg = fulgurite;

namespace {

/// The batches, counted from 1, after which an epoch of so many has a validation in its middle.
std::vector<std::int64_t> due(const fg::EpochValidation& validation, std::int64_t size,
                              std::int64_t before = 0) {
  std::vector<std::int64_t> batches;
  for (std::int64_t batch = 1; batch <= size; ++batch) {
    if (validation.due_after(batch, before + batch)) batches.push_back(batch);
  }
  return batches;
}

fg::EpochValidation first_epoch(const fg::ValidationTimes& times, std::optional<std::int64_t> size) {
  return times.in(0, size);
}

}  // namespace

TEST_CASE("by default validation comes when an epoch ends, whether its size is known or not") {
  const fg::ValidationTimes times;
  CHECK(times.at_epoch_ends());
  CHECK(first_epoch(times, std::nullopt).due_at_end());
  CHECK(due(first_epoch(times, 23), 23).empty());
  CHECK(fg::ValidationTimes(fg::ValidateEvery{.interval = fg::Fraction{1.0}}).at_epoch_ends());
}

TEST_CASE("a part of an epoch is counted in whole batches from its beginning, and may leave a rest") {
  const auto quarter = first_epoch(fg::ValidateEvery{.interval = fg::Fraction{0.25}}, 23);
  CHECK(due(quarter, 23) == std::vector<std::int64_t>{5, 10, 15, 20});
  CHECK_FALSE(quarter.due_at_end());
  CHECK(due(first_epoch(fg::ValidateEvery{.interval = fg::Fraction{0.001}}, 3), 3) ==
        std::vector<std::int64_t>{1, 2, 3});
  CHECK(due(first_epoch(fg::ValidateEvery{.interval = fg::Batches{10}}, std::nullopt), 23) ==
        std::vector<std::int64_t>{10, 20});
}

TEST_CASE("validation in every n-th epoch only") {
  const fg::ValidationTimes times(fg::ValidateEvery{.interval = fg::Batches{2}, .epochs = 3});
  CHECK(due(times.in(0, 4), 4).empty());
  CHECK(due(times.in(1, 4), 4).empty());
  CHECK(due(times.in(2, 4), 4) == std::vector<std::int64_t>{2, 4});
  CHECK_FALSE(times.at_epoch_ends());
  const fg::ValidationTimes whole(fg::ValidateEvery{.epochs = 2});
  CHECK_FALSE(whole.in(0, 4).due_at_end());
  CHECK(whole.in(1, 4).due_at_end());
  CHECK_FALSE(whole.at_epoch_ends());
}

TEST_CASE("batches may be counted on through the epochs, also more than one holds") {
  const fg::ValidationTimes times(fg::ValidateAcrossEpochs{.batches = 10});
  CHECK(due(times.in(0, 7), 7).empty());
  CHECK(due(times.in(1, 7), 7, 7) == std::vector<std::int64_t>{3});
  CHECK(due(times.in(2, 7), 7, 14) == std::vector<std::int64_t>{6});
  CHECK_FALSE(times.at_epoch_ends());
}

TEST_CASE("an interval that does not fit an epoch is refused with the fix") {
  CHECK_THROWS_MATCHES(
      first_epoch(fg::ValidateEvery{.interval = fg::Batches{100}}, 4), std::invalid_argument,
      Catch::Matchers::Message(
          "fulgurite: ValidateEvery takes an interval of 100 batches, but an epoch has only 4, so "
          "validation would never come: take fewer, or count on through the epochs with "
          "fg::ValidateAcrossEpochs"));
  CHECK_THROWS_MATCHES(
      first_epoch(fg::ValidateEvery{.interval = fg::Fraction{0.5}}, std::nullopt), std::invalid_argument,
      Catch::Matchers::Message(
          "fulgurite: ValidateEvery takes a Fraction of the training range, whose size is unknown: give "
          "the interval in fg::Batches"));
}

TEST_CASE("invalid values say what is wrong") {
  CHECK(fg::ValidateEvery{}.problem() == nullptr);
  CHECK(support::problem_of(fg::ValidateEvery{.interval = fg::Batches{0}}) ==
        "ValidateEvery.interval must be Batches of 1 or more, or a Fraction in (0, 1]");
  CHECK(support::problem_of(fg::ValidateEvery{.interval = fg::Fraction{0.0}}) ==
        "ValidateEvery.interval must be Batches of 1 or more, or a Fraction in (0, 1]");
  CHECK(support::problem_of(fg::ValidateEvery{.interval = fg::Fraction{1.5}}) ==
        "ValidateEvery.interval must be Batches of 1 or more, or a Fraction in (0, 1]");
  CHECK(support::problem_of(fg::ValidateEvery{.epochs = 0}) ==
        "ValidateEvery.epochs must be 1 or more; to validate nothing, use LimitBatches{.validation = Batches{0}}");
  CHECK(support::problem_of(fg::ValidateAcrossEpochs{.batches = 0}) == "ValidateAcrossEpochs.batches must be 1 or more");
  CHECK(support::problem_of(fg::SanityCheck{.batches = -1}) == "SanityCheck.batches must be 0 or more");
  CHECK(fg::ValidateAcrossEpochs{.batches = 1}.problem() == nullptr);
  CHECK(fg::SanityCheck{.batches = 0}.problem() == nullptr);
}

TEST_CASE("they are printed as they are written") {
  std::ostringstream out;
  out << fg::ValidateEvery{} << ' ' << fg::ValidateEvery{.interval = fg::Batches{5}} << ' '
      << fg::ValidateEvery{.interval = fg::Fraction{0.25}, .epochs = 2} << ' '
      << fg::ValidateAcrossEpochs{.batches = 10} << ' ' << fg::SanityCheck{};
  CHECK(out.str() ==
        "ValidateEvery{.interval = whole epoch, .epochs = 1} ValidateEvery{.interval = Batches{5}, .epochs = "
        "1} "
        "ValidateEvery{.interval = Fraction{0.25}, .epochs = 2} ValidateAcrossEpochs{.batches = 10} "
        "SanityCheck{.batches = 2}");
}

TEST_CASE("validation across epochs may come after each batch; by default an epoch has one, at its end") {
  const fg::ValidationTimes each(fg::ValidateAcrossEpochs{});
  CHECK(each.across_epochs());
  CHECK(due(each.in(0, 2), 2) == std::vector<std::int64_t>{1, 2});
  CHECK_FALSE(fg::ValidationTimes().across_epochs());
  CHECK(fg::EpochValidation{}.due_at_end());
  CHECK_FALSE(fg::EpochValidation{.wanted = false}.due_at_end());
  CHECK_FALSE(fg::EpochValidation{.wanted = false, .every = 1}.due_after(1, 1));
  CHECK_FALSE(fg::EpochValidation{}.across_epochs);
}
