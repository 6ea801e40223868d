// SPDX-License-Identifier: MIT
#include <fulgurite/frozen/verification.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <string>
#include <vector>

namespace fg = fulgurite;

namespace {
struct Scaled {
  torch::Tensor x = torch::ones({3}, torch::kDouble);
  torch::Tensor w = torch::full({3}, 0.5, torch::kDouble).set_requires_grad(true);
  torch::Tensor seen = torch::zeros({}, torch::kDouble);
  double factor = 1.0;

  torch::Tensor pass() {
    w.mutable_grad().reset();
    auto loss = (x * w * factor).sum();
    loss.backward();
    const torch::NoGradGuard no_grad;
    seen.add_(1.0);
    return loss;
  }
  fg::FrozenState state() const { return {{{"w", w}, {"seen", seen}}, {{"w", w}}}; }
};
}  // namespace

TEST_CASE("a step that a replay repeats passes, and has been made once") {
  Scaled model;
  const auto tape = fg::Tape::record([&] { return model.pass(); }, {model.x}, {model.w});
  model.x.fill_(3.0);
  CHECK_FALSE(fg::verify(tape, model.state(), [&] { return model.pass(); }));
  CHECK(model.seen.item<double>() == 2.0);
  CHECK(tape.result().item<double>() == 4.5);
}

TEST_CASE("a number on the host that has changed is found, and the step is the eager one") {
  Scaled model;
  const auto tape = fg::Tape::record([&] { return model.pass(); }, {model.x}, {model.w});
  model.factor = 2.0;
  const auto difference = fg::verify(tape, model.state(), [&] { return model.pass(); });
  REQUIRE(difference);
  CHECK(difference->operator_name.find("mul") != std::string::npos);
  CHECK(difference->message().find("differs from an eager one") != std::string::npos);
  CHECK(torch::equal(model.w.grad(), torch::full({3}, 2.0, torch::kDouble)));
  CHECK(model.seen.item<double>() == 2.0);
}

TEST_CASE("a NaN equals itself") {
  Scaled model;
  const auto tape = fg::Tape::record([&] { return model.pass(); }, {model.x}, {model.w});
  model.x.fill_(std::numeric_limits<double>::quiet_NaN());
  CHECK_FALSE(fg::verify(tape, model.state(), [&] { return model.pass(); }));
}
