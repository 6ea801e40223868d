// SPDX-License-Identifier: MIT
#include <fulgurite/policies/limits.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <sstream>

namespace fg = fulgurite;

TEST_CASE("without any limit a fit ends after 1000 epochs") {
  fg::Limits none, steps, time;
  CHECK(none.epochs() == 1000);
  steps.set(fg::MaxSteps{5});
  CHECK(steps.epochs() == std::nullopt);
  time.set(fg::MaxTime{std::chrono::hours{1}});
  CHECK(time.epochs() == std::nullopt);
}

TEST_CASE("limits without sense say so") {
  CHECK(fg::MaxEpochs{-1}.problem() != nullptr);
  CHECK(fg::MinEpochs{-1}.problem() != nullptr);
  CHECK(fg::MinSteps{-1}.problem() != nullptr);
  CHECK(fg::FastDevRun{0}.problem() != nullptr);
  CHECK(fg::MinEpochs{0}.problem() == nullptr);
  CHECK(fg::FastDevRun{}.problem() == nullptr);
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

TEST_CASE("limits are printed as they are written") {
  std::ostringstream out;
  out << fg::MinEpochs{2} << ' ' << fg::MinSteps{10} << ' ' << fg::FastDevRun{3} << ' '
      << fg::LimitBatches{.train = fg::Batches{3}};
  CHECK(out.str() ==
        "MinEpochs{.count = 2} MinSteps{.count = 10} FastDevRun{.batches = 3} "
        "LimitBatches{.train = Batches{3}, .validation = all}");
}
