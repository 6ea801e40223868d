// SPDX-License-Identifier: MIT
#include <fulgurite/policies/batch_limit.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <optional>
#include <sstream>
#include <stdexcept>

namespace fg = fulgurite;
using Catch::Matchers::Message;

TEST_CASE("a limit takes batches or a fraction") {
  CHECK(fg::BatchLimit{}.of(7, "training") == 7);
  CHECK(fg::BatchLimit{fg::Batches{3}}.of(std::nullopt, "training") == 3);
  CHECK(fg::BatchLimit{fg::Batches{9}}.of(7, "training") == 7);
  CHECK(fg::BatchLimit{fg::Fraction{0.5}}.of(7, "training") == 3);
  CHECK_THROWS_MATCHES(
      fg::BatchLimit{fg::Fraction{0.5}}.of(std::nullopt, "training"), std::invalid_argument,
      Message("fulgurite: LimitBatches takes a Fraction of the training range, whose size is unknown: give it in "
              "fg::Batches"));
  CHECK_THROWS_MATCHES(fg::BatchLimit{fg::Fraction{0.1}}.of(7, "training"), std::invalid_argument,
                       Message("fulgurite: LimitBatches takes 0.1 of the training range, which is less than one of its 7 "
                               "batches: take more"));
  CHECK_THROWS_MATCHES(fg::BatchLimit{fg::Fraction{0.5}}.of(1, "training"), std::invalid_argument,
                       Message("fulgurite: LimitBatches takes 0.5 of the training range, which is less than one of its 1 "
                               "batches: take more"));
  CHECK(fg::BatchLimit{fg::Fraction{0.5}}.of(0, "validation") == 0);  // that it is empty is said elsewhere
  CHECK(fg::BatchLimit{fg::Fraction{0.0}}.of(7, "training") == 0);
  CHECK(fg::BatchLimit{fg::Fraction{}}.of(std::nullopt, "training") == std::nullopt);
}

TEST_CASE("a limit is valid if it is a number of batches from 0 on, or a fraction from 0 to 1") {
  CHECK(fg::BatchLimit{}.makes_sense());
  CHECK(fg::BatchLimit{fg::Batches{}}.makes_sense());
  CHECK_FALSE(fg::BatchLimit{fg::Batches{-1}}.makes_sense());
  CHECK(fg::BatchLimit{fg::Fraction{0.0}}.makes_sense());
  CHECK(fg::BatchLimit{fg::Fraction{1.0}}.makes_sense());
  CHECK_FALSE(fg::BatchLimit{fg::Fraction{-0.5}}.makes_sense());
  CHECK_FALSE(fg::BatchLimit{fg::Fraction{1.5}}.makes_sense());
}

TEST_CASE("a limit that takes none says so, and unsaid it takes all of a range and no batch") {
  CHECK(fg::BatchLimit{fg::Batches{0}}.takes_none());
  CHECK(fg::BatchLimit{fg::Fraction{0.0}}.takes_none());
  CHECK_FALSE(fg::BatchLimit{}.takes_none());
  CHECK_FALSE(fg::BatchLimit{fg::Batches{1}}.takes_none());
  CHECK_FALSE(fg::BatchLimit{fg::Fraction{1.0}}.takes_none());
  CHECK(fg::Batches{}.count == 0);
  CHECK(fg::Fraction{}.of_range == 1.0);
}

TEST_CASE("a limit is printed as it is written") {
  std::ostringstream out;
  out << fg::BatchLimit{} << ' ' << fg::BatchLimit{fg::Batches{3}} << ' '
      << fg::BatchLimit{fg::Fraction{0.5}};
  CHECK(out.str() == "all Batches{3} Fraction{0.5}");
}
