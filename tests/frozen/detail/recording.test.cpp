// SPDX-License-Identifier: MIT
#include <fulgurite/frozen/detail/recording.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

using fulgurite::detail::recorder_for;

TEST_CASE("on a CPU a step is recorded on a tape") {
  const auto recorder = recorder_for(torch::kCPU);
  CHECK(recorder->warm_ups() == 1);
  CHECK(recorder->makes_refused_steps());
  auto x = torch::ones({2});
  const auto step = [&] { return x.mul(3); };
  CHECK(recorder->warm_up(step).sum().item<double>() == 6.0);
  const auto recording = recorder->record(step, {x}, {});
  x.fill_(2);
  recording->replay();
  CHECK(recording->result().sum().item<double>() == 12.0);
  CHECK_FALSE(recording->verify({}, step));
}

TEST_CASE("a device on which nothing is recorded is named, with what is missing") {
  CHECK_THROWS_WITH(
      recorder_for(torch::Device("cuda:0")),
      "fulgurite: a step with a model on cuda:0 cannot be frozen: CUDA graphs are apart, since they need the CUDA toolkit: "
      "#include <fulgurite/cuda/graphs.hpp> in one of the program's files");
  CHECK_THROWS_WITH(recorder_for(torch::Device("xpu:0")),
                    "fulgurite: a step with a model on xpu:0 cannot be frozen: steps are recorded on a CPU or an NVIDIA GPU");
}
