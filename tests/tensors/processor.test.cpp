// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/processor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "support/line.hpp"
#include "support/notices.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

struct Line : support::Line {
  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(batch); }
};

/// The notices of making a trainer with a policy twice, in a program that has given none yet.
template <class Policy>
std::vector<std::string> notices_of_two(const Policy& policy) {
  for (auto format : {fg::NumberFormat::bfloat16, fg::NumberFormat::float16}) fg::detail::slow_format_was_said(format) = false;
  support::Notices notices;
  Line model;
  fg::Trainer first{model, policy};
  fg::Trainer second{model, policy};
  return notices.all;
}

template <class Policy>
void check_said_once(const Policy& policy, const std::string& format, bool fast) {
  const auto said = notices_of_two(policy);
  if (fast) {
    CHECK(said.empty());
  } else {
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], StartsWith("fulgurite: this processor has no instructions for " + format + ","));
  }
}

}  // namespace

#ifdef __linux__
TEST_CASE("the formats of this processor are those that the system lists") {
  std::ifstream file("/proc/cpuinfo");
  std::string words = " ";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags") || line.starts_with("Features")) words += line.substr(line.find(':') + 1) + " ";
  }
  if (words == " ") SKIP("/proc/cpuinfo lists no features here");
  const auto has = [&](const std::string& flag) { return words.find(" " + flag + " ") != std::string::npos; };
  const auto formats = fg::processor_formats();
  if (!formats) SKIP("not known on this kind of processor");
  CHECK(formats->bfloat16 == (has("avx512_bf16") || has("amx_bf16") || has("bf16")));
  CHECK(formats->float16 == (has("avx512_fp16") || has("amx_fp16") || has("asimdhp")));
}
#endif

TEST_CASE("a short format is called slow on processors that do not compute in it, and there alone") {
  using fg::NumberFormat;
  using fg::detail::slow_format;
  constexpr fg::ProcessorFormats none{}, both{true, true}, only_bfloat16{true, false};
  CHECK(slow_format(NumberFormat::bfloat16, none) ==
        "fulgurite: this processor has no instructions for bfloat16, so LibTorch converts to 32 bits and back, and a step is "
        "usually several "
        "times slower than in 32 bits: leave the precision policy out, or train on a processor or a GPU that computes in this "
        "format");
  CHECK_THAT(slow_format(NumberFormat::float16, only_bfloat16), ContainsSubstring("no instructions for float16"));
  CHECK(slow_format(NumberFormat::bfloat16, only_bfloat16).empty());
  CHECK(slow_format(NumberFormat::float16, both).empty());
  CHECK(slow_format(NumberFormat::bfloat16, std::nullopt).empty());
  for (auto format : {NumberFormat::unchanged, NumberFormat::float32, NumberFormat::float64})
    CHECK(slow_format(format, none).empty());
}

TEST_CASE("trainers say once per program that their format is slow on this processor") {
  const auto formats = fg::processor_formats().value_or(fg::ProcessorFormats{true, true});
  check_said_once(fg::Bfloat16Mixed{}, "bfloat16", formats.bfloat16);
  check_said_once(fg::Bfloat16True{}, "bfloat16", formats.bfloat16);
  check_said_once(fg::Float16Mixed{}, "float16", formats.float16);
  CHECK(notices_of_two(fg::ModelPrecision{}).empty());
  CHECK(notices_of_two(fg::Float64{}).empty());
}
