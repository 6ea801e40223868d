// SPDX-License-Identifier: MIT
#include <fulgurite/policies/clipping.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/problems.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;

TEST_CASE("clipping policies print and know their problems") {
  std::ostringstream out;
  out << fg::ClipNorm{.max = 0.5};
  CHECK(out.str() == "ClipNorm{.max = 0.5, .norm_type = 2}");
  CHECK(support::problem_of(fg::ClipNorm{.max = 0.0}) == "ClipNorm.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK(support::problem_of(fg::ClipNorm{.max = 1.0, .norm_type = 0.0}) ==
        "ClipNorm.norm_type must be above 0: 2 is the usual norm, infinity the largest value");
  CHECK(support::problem_of(fg::ClipValue{.max = -1.0}) ==
        "ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK(fg::ClipValue{}.problem() == nullptr);
  CHECK(support::problem_of(fg::ClipValue{.max = 0.0}) == "ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK(fg::ClipNorm{.max = 0.5, .norm_type = 0.5}.problem() == nullptr);
  CHECK(fg::ClipNorm{} == fg::ClipNorm{.max = 1.0, .norm_type = 2.0});
  out.str("");
  out << fg::ClipNorm{.max = 0.5, .error_if_nonfinite = true} << ' ' << fg::NoClipping{} << ' ' << fg::ClipValue{};
  CHECK(out.str() == "ClipNorm{.max = 0.5, .norm_type = 2, .error_if_nonfinite = 1} NoClipping ClipValue{.max = 1}");
  CHECK(fg::NoClipping{} == fg::NoClipping{});
}

namespace {
/// Gradients that can be asked whether their norm is finite, and count how often they were clipped.
struct Asked {
  bool finite = true;
  int clipped = 0;
  double asked_for = 0.0;

  bool is_finite(double norm_type) {
    asked_for = norm_type;
    return finite;
  }
  void clip_norm(double, double) { ++clipped; }
};
}  // namespace

TEST_CASE("a norm that is not finite is an error before anything is clipped, if that is asked for") {
  Asked finite, infinite{.finite = false};
  const fg::ClipNorm strict{.max = 1.0, .norm_type = 3.0, .error_if_nonfinite = true}, lenient{.max = 1.0};
  strict.clip(finite);
  CHECK(finite.clipped == 1);
  CHECK(finite.asked_for == 3.0);
  CHECK_THROWS_WITH(strict.clip(infinite),
                    "fulgurite: the norm of the gradients is not finite, and ClipNorm.error_if_nonfinite is set. No parameter "
                    "was updated by them");
  CHECK(infinite.clipped == 0);
  lenient.clip(infinite);
  CHECK(infinite.clipped == 1);
  CHECK(infinite.asked_for == 3.0);  // the lenient one does not ask: on a GPU it would wait
  CHECK(std::string(fg::NonFiniteGradient("in batch 3 of epoch 0").what()).find("not finite in batch 3 of epoch 0, and") !=
        std::string::npos);
}

TEST_CASE("frozen steps leave a clipping out of their tape only if it decides on the host") {
  CHECK(fg::detail::decides_on_host(fg::ClipNorm{.error_if_nonfinite = true}));
  CHECK_FALSE(fg::detail::decides_on_host(fg::ClipNorm{}));
  CHECK_FALSE(fg::detail::decides_on_host(fg::ClipValue{}));
}

namespace {
struct SaysNothing {};
struct Repeats {
  static constexpr bool repeats = false;
};
struct DecidesOnHost : Repeats {
  bool host = true;
  const bool& decides_on_host() const { return host; }
};
struct Sealed final : Repeats {};
struct RepeatsByChance {
  const bool repeats = true;
};
struct RepeatsAsNumber {
  static constexpr int repeats = 1;
};
class Hidden {
  static constexpr bool repeats = true;
};
}  // namespace

TEST_CASE("what a clipping policy says to frozen steps is a constant and a function, or nothing") {
  using fg::detail::AnswersFrozen;
  STATIC_CHECK(AnswersFrozen<SaysNothing>);
  STATIC_CHECK(AnswersFrozen<Repeats>);
  STATIC_CHECK(AnswersFrozen<DecidesOnHost>);
  STATIC_CHECK(AnswersFrozen<Sealed>);
  STATIC_CHECK(AnswersFrozen<fg::ClipNorm>);
  STATIC_CHECK(!AnswersFrozen<RepeatsByChance>);
  STATIC_CHECK(!AnswersFrozen<RepeatsAsNumber>);
  STATIC_CHECK(!AnswersFrozen<Hidden>);
}

TEST_CASE("gradients are clipped before the update") {
  toy::Model model;
  fg::Trainer trainer{model, fg::ClipNorm{.max = 2.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(model.weight.value == -5.0);
}
