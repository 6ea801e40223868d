// SPDX-License-Identifier: MIT
// The tape's own interface; what it can hold is shown by frozen/models/.
#include <fulgurite/frozen/tape.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fulgurite/frozen/frozen_refusal.hpp>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {
struct Line {
  torch::Tensor x = torch::tensor({1.0, 2.0, 3.0});
  torch::Tensor w = torch::tensor({0.5, 0.5, 0.5}).set_requires_grad(true);

  torch::Tensor pass() {
    w.mutable_grad().reset();
    auto loss = (x * w).square().sum();
    loss.backward();
    return loss;
  }
};
}  // namespace

TEST_CASE("a replay computes the recorded step on other numbers, at the same addresses") {
  Line line;
  const auto tape = fg::Tape::record([&] { return line.pass(); }, {line.x}, {line.w});
  const void* gradient = line.w.grad().data_ptr();
  line.x.copy_(torch::tensor({1.0, 0.0, -2.0}));
  {
    const torch::NoGradGuard no_grad;
    line.w.fill_(2.0);
  }
  tape.replay();
  CHECK(tape.result().item<double>() == 4.0 + 16.0);
  CHECK(torch::equal(line.w.grad(), 2.0 * line.x.square() * 2.0));
  CHECK(line.w.grad().data_ptr() == gradient);
}

TEST_CASE("a gradient that a step adds to is added to") {
  Line line;
  line.pass();
  const auto add = [&] {
    auto loss = (line.x * line.w).sum();
    loss.backward();
    return loss;
  };
  const auto tape = fg::Tape::record(add, {line.x}, {line.w});
  const auto before = line.w.grad().clone();
  tape.replay();
  tape.replay();
  CHECK(torch::equal(line.w.grad(), before + 2.0 * line.x));
}

TEST_CASE("a tape is shorter than its step, and says what it does") {
  Line line;
  const auto tape = fg::Tape::record([&] { return line.pass(); }, {line.x}, {line.w});
  CHECK(tape.size() > 0);
  CHECK(tape.size() <= tape.recorded());
  CHECK(tape.shared_bytes() <= tape.bytes_before());
  std::ostringstream printed;
  printed << tape;
  CHECK(printed.str().find("aten::mul") != std::string::npos);
}

TEST_CASE("what reads a changing value on the host is refused by name") {
  Line line;
  try {
    fg::Tape::record([&] { return line.pass() * (line.w.sum().item<double>() > 0.0 ? 1.0 : 2.0); }, {line.x}, {line.w});
    FAIL("recorded");
  } catch (const fg::FrozenRefusal& refusal) {
    CHECK(refusal.operator_name() == "aten::_local_scalar_dense");
  }
}

TEST_CASE("a tape is not replayed while another is recorded") {
  Line line, other;
  const auto tape = fg::Tape::record([&] { return line.pass(); }, {line.x}, {line.w});
  CHECK_THROWS_AS(fg::Tape::record(
                      [&] {
                        tape.replay();
                        return other.pass();
                      },
                      {other.x}, {other.w}),
                  std::logic_error);
}
