// SPDX-License-Identifier: MIT
// Whether something beside a step's operators has moved a random generator.
#include <fulgurite/frozen/detail/generator_trace.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace fg = fulgurite;

namespace {
at::mt19937 engine(std::uint64_t seed, int drawn) {
  at::mt19937 made(seed);
  for (int i = 0; i < drawn; ++i) static_cast<void>(made());
  return made;
}

at::mt19937_data_pod state(std::uint64_t seed, int drawn) { return engine(seed, drawn).data(); }
}  // namespace

TEST_CASE("a state lies ahead of another if drawing numbers leads there") {
  for (const int from : {0, 1, 623, 624, 625, 2000}) {
    for (const int more : {0, 1, 2, 600, 623, 624, 625, 1248, 100000}) CHECK(fg::detail::is_ahead(engine(7, from), state(7, from + more)));
  }
  for (const int less : {1, 2, 622, 623, 624, 1300}) CHECK_FALSE(fg::detail::is_ahead(engine(7, 2000), state(7, 2000 - less)));
  CHECK_FALSE(fg::detail::is_ahead(engine(7, 3), state(8, 3)));
  CHECK_FALSE(fg::detail::is_ahead(engine(7, 3), state(7, 0)));  // seeded again
}

TEST_CASE("an own generator may be moved by operators alone") {
  auto own = at::detail::createCPUGenerator(3);
  const auto draws = [&] { static_cast<void>(torch::empty({3}).normal_(0, 1, own)); };
  {
    fg::detail::GeneratorTrace trace;
    trace.begin(own, "aten::normal_");
    for (int i = 0; i < 2; ++i) {
      trace.before_operator(own);
      draws();
      trace.after_operator(own, "aten::normal_");
    }
    trace.end();
    CHECK_FALSE(trace.moved());
  }
  for (const bool at_end : {false, true}) {
    fg::detail::GeneratorTrace trace;
    trace.begin(own, "aten::normal_");
    if (!at_end) draws();
    trace.before_operator(own);
    draws();
    trace.after_operator(own, "aten::normal_");
    if (at_end) own.set_current_seed(3);
    trace.end();
    REQUIRE(trace.moved());
    CHECK(trace.moved()->generator == "the state of the generator (seed 3) that aten::normal_ is given");
    CHECK(trace.moved()->operator_name == "aten::normal_");
    CHECK(trace.moved()->reason ==
          "something beside the operators of the step seeds it, sets it or draws from it (set_current_seed or set_state within "
          "training_step, another thread), which a replay does not repeat: seed it in a hook, and give each model a generator "
          "of its own");
  }
}

TEST_CASE("the default generator may go forward, as other threads draw from it, and not be set") {
  torch::manual_seed(5);
  {
    fg::detail::GeneratorTrace trace;
    torch::rand({3000});
    trace.end();
    CHECK_FALSE(trace.moved());
  }
  {
    fg::detail::GeneratorTrace trace;
    torch::manual_seed(5);
    trace.end();
    REQUIRE(trace.moved());
    CHECK(trace.moved()->generator == "the state of the random generator");
  }
}

TEST_CASE("the generator of an operator is the one that it is given, else the default one") {
  const auto own = at::detail::createCPUGenerator(3);
  CHECK(fg::detail::generator_in({c10::IValue(1.0), c10::IValue(own)}) == own);
  CHECK(fg::detail::generator_in({c10::IValue(1.0), c10::IValue()}) == at::detail::getDefaultCPUGenerator());
}
