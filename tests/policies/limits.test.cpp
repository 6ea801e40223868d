// SPDX-License-Identifier: MIT
#include <fulgurite/policies/limits.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <sstream>

#include "support/problems.hpp"

namespace fg = fulgurite;

TEST_CASE("without any limit a fit ends after 1000 epochs") {
  fg::Limits none, steps, time;
  CHECK(none.epochs() == 1000);
  steps.set(fg::MaxSteps{5});
  CHECK(steps.epochs() == std::nullopt);
  time.set(fg::MaxTime{std::chrono::hours{1}});
  CHECK(time.epochs() == std::nullopt);
}

TEST_CASE("invalid limits say what is wrong") {
  CHECK(support::problem_of(fg::MaxEpochs{-1}) == "MaxEpochs must be 0 or more");
  CHECK(support::problem_of(fg::MinEpochs{-1}) == "MinEpochs must be 0 or more");
  CHECK(support::problem_of(fg::MinSteps{-1}) == "MinSteps must be 0 or more");
  CHECK(support::problem_of(fg::FastDevRun{0}) ==
        "FastDevRun.batches must be 1 or more; for a whole training leave FastDevRun out");
  CHECK(support::problem_of(fg::MaxSteps{-1}) == "MaxSteps must be 0 or more");
  CHECK(support::problem_of(fg::MaxTime{std::chrono::seconds(-1)}) == "MaxTime must be 0 or more seconds");
  CHECK(support::problem_of(fg::LimitBatches{.train = fg::Fraction{1.5}}) ==
        "LimitBatches.train must be Batches of 0 or more, or a Fraction in [0, 1]");
  CHECK(support::problem_of(fg::LimitBatches{.validation = fg::Batches{-1}}) ==
        "LimitBatches.validation must be Batches of 0 or more, or a Fraction in [0, 1]");
  CHECK(support::problem_of(fg::LogEvery{0}) == "LogEvery must be 1 or more steps");
  CHECK(fg::MaxSteps{0}.problem() == nullptr);
  CHECK(fg::MaxTime{std::chrono::seconds(0)}.problem() == nullptr);
  CHECK(fg::LimitBatches{.train = fg::Fraction{1.0}, .validation = fg::Batches{0}}.problem() == nullptr);
  CHECK(fg::MinEpochs{0}.problem() == nullptr);
  CHECK(fg::FastDevRun{}.problem() == nullptr);
  CHECK(fg::MaxEpochs{0}.problem() == nullptr);
  CHECK(fg::MinSteps{0}.problem() == nullptr);
  CHECK(fg::LogEvery{1}.problem() == nullptr);
}

TEST_CASE("the default limits") {
  CHECK(fg::MaxEpochs{}.count == 1000);
  CHECK(fg::MaxSteps{}.count == 0);
  CHECK(fg::MinEpochs{}.count == 0);
  CHECK(fg::MinSteps{}.count == 0);
  CHECK(fg::FastDevRun{}.batches == 1);
  CHECK(fg::LogEvery{}.steps == 50);
  const fg::Limits none;
  CHECK(none.min_epochs == 0);
  CHECK(none.min_steps == 0);
  CHECK(none.sanity_batches == 0);
  CHECK_FALSE(none.is_rehearsal);
}

TEST_CASE("a rehearsal overrides every limit before it") {
  fg::Limits limits;
  limits.set(fg::MaxEpochs{20});
  limits.set(fg::MinSteps{100});
  limits.set(fg::ValidateEvery{.interval = fg::Batches{50}});
  limits.set(fg::SanityCheck{});
  limits.set(fg::FastDevRun{.batches = 3});
  CHECK(limits.max_epochs == 1);
  CHECK(limits.max_steps == std::nullopt);  // steps count for each optimizer, the rehearsal counts batches
  CHECK(limits.min_steps == 0);
  CHECK(limits.sanity_batches == 0);
  CHECK(limits.validation.at_epoch_ends());
  CHECK(limits.batches == fg::LimitBatches{.train = fg::Batches{3}, .validation = fg::Batches{3}});
}

TEST_CASE("the limits that a loop of the program's own does not look at are named") {
  fg::Limits limits;
  CHECK(limits.idle_in_own_loop().empty());
  limits.set(fg::LimitBatches{.train = fg::Batches{3}, .validation = fg::Batches{3}});
  CHECK(limits.idle_in_own_loop() == "the training part of fg::LimitBatches does");
  limits.set(fg::MaxEpochs{1});
  limits.set(fg::ValidateEvery{.epochs = 2});
  CHECK(limits.idle_in_own_loop() == "fg::MaxEpochs, the training part of fg::LimitBatches and fg::ValidateEvery do");
  limits.set(fg::SanityCheck{1});
  CHECK(limits.idle_in_own_loop() ==
        "fg::MaxEpochs, the training part of fg::LimitBatches, fg::ValidateEvery and fg::SanityCheck do");
  limits.set(fg::MaxSteps{1});
  limits.set(fg::MaxTime{std::chrono::hours{1}});
  limits.set(fg::MinEpochs{1});
  limits.set(fg::MinSteps{1});
  limits.set(fg::ValidateAcrossEpochs{2});
  CHECK(limits.idle_in_own_loop() ==
        "fg::MaxEpochs, fg::MaxSteps, fg::MaxTime, fg::MinEpochs, fg::MinSteps, the training part of fg::LimitBatches, "
        "fg::ValidateAcrossEpochs and fg::SanityCheck do");
  limits.set(fg::FastDevRun{});
  CHECK(limits.idle_in_own_loop() == "fg::FastDevRun does");
}

TEST_CASE("limits are printed as they are written") {
  std::ostringstream out;
  out << fg::MaxTime{std::chrono::seconds(2)} << ' ';
  out << fg::MaxEpochs{3} << ' ' << fg::MaxSteps{4} << ' ' << fg::LogEvery{5} << ' ';
  out << fg::MinEpochs{2} << ' ' << fg::MinSteps{10} << ' ' << fg::FastDevRun{3} << ' '
      << fg::LimitBatches{.train = fg::Batches{3}};
  CHECK(out.str() ==
        "MaxTime{.duration = 2 s} MaxEpochs{.count = 3} MaxSteps{.count = 4} LogEvery{.steps = 5} MinEpochs{.count = 2} MinSteps{.count = 10} FastDevRun{.batches = 3} "
        "LimitBatches{.train = Batches{3}, .validation = all}");
}
