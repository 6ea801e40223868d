// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/swa_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate goes to its target along a line or half a cosine, and stays there") {
  const fg::SWALR line{.target = 0.25, .period = 3, .anneal = fg::Anneal::linear};
  // SWALR(optimizer, 0.25, anneal_epochs=3, anneal_strategy="linear") from 1.0
  toy::check_same(toy::rates(line, 5), {1.0, 0.75, 0.5, 0.25, 0.25, 0.25});
  const fg::SWALR cosine{.target = 0.25, .period = 4};
  toy::check_same(toy::rates(cosine, 5), {1.0, 0.8901650429449553, 0.625, 0.35983495705504465, 0.25, 0.25});
  toy::check_resumes(line);
  toy::check_resumes(cosine);
}

TEST_CASE("without a period the rate begins at its target") {
  toy::check_same(toy::rates(fg::SWALR{.target = 0.25, .period = 0}, 2), {0.25, 0.25, 0.25});
}

TEST_CASE("each parameter group has a target of its own") {
  toy::Rates optimizer{{1.0, 2.0}};
  auto schedule = fg::schedule(optimizer, fg::SWALR{.target = {0.5, 1.0}, .period = 2, .anneal = fg::Anneal::linear});
  schedule.step();
  toy::check_same(optimizer.lrs, {0.75, 1.5});
  CHECK(fg::SWALR{.target = {0.5, 1.0}, .period = 0}.lr({.step = 1, .base = 1.0, .current = 1.0}) == 0.5);  // the first
}

TEST_CASE("a target that is not a learning rate and a negative period are refused") {
  CHECK(support::problem_of(fg::SWALR{}) == "SWALR.target must be above 0");
  CHECK(support::problem_of(fg::SWALR{.target = 0.1, .period = -1}) ==
        "SWALR.period must be 0 or more: the steps until the target");
  CHECK(fg::SWALR{.target = 0.1}.problem() == nullptr);
}
