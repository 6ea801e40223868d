// SPDX-License-Identifier: MIT
#include <fulgurite/loop/errors.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <limits>
#include <string>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a non-finite loss names epoch, batch and gradient") {
  const fg::NonFiniteLoss error(2, 5, std::numeric_limits<double>::infinity(), "net.0.weight");
  CHECK_THAT(error.what(),
             ContainsSubstring("fulgurite: the loss is inf in epoch 2, batch 5; first non-finite gradient: net.0.weight"));
  CHECK(error.epoch() == 2);
  CHECK(error.batch() == 5);
  CHECK(error.gradient() == "net.0.weight");
  CHECK_THAT(error.what(),
             ContainsSubstring("No optimizer has stepped on it. To leave such batches out, use fg::SkipNonFinite; lower the "
                               "learning rate or clip gradients to avoid them"));
}

TEST_CASE("a non-finite loss says what is so, and advises what the trainer can take") {
  const auto text = [](const fg::NonFiniteCircumstances& circumstances) {
    return std::string(fg::NonFiniteLoss(0, 1, std::nan(""), "", circumstances).what());
  };
  const auto unskippable = text({.can_be_skipped = false});
  CHECK_THAT(
      unskippable,
      ContainsSubstring("the loss is nan in epoch 0, batch 1. No optimizer has stepped on it. Lower the learning rate or clip "
                        "gradients to avoid such losses"));
  CHECK_THAT(unskippable, !ContainsSubstring("SkipNonFinite"));

  const auto spoilt = text({.parameter = "net.0.weight"});
  CHECK_THAT(spoilt,
             ContainsSubstring("The parameter net.0.weight is not finite, so an update wrote that before: its gradient was not "
                               "finite, or its step too long. To stop before such an update, clip by fg::ClipNorm{.max = ..., "
                               ".error_if_nonfinite = true}"));
  CHECK_THAT(spoilt, !ContainsSubstring("No optimizer has stepped") && !ContainsSubstring("SkipNonFinite"));

  const auto searching = text({.parameter = "net.0.weight", .within_search = true, .can_be_skipped = false});
  CHECK_THAT(searching, ContainsSubstring(
                            "An optimizer that evaluates the loss several times per step (LBFGS) was in the middle of one: the "
                            "parameters are where it evaluated last. A lower learning rate keeps it from going so far"));
  CHECK_THAT(searching, !ContainsSubstring("No optimizer has stepped") && !ContainsSubstring("SkipNonFinite"));
}
