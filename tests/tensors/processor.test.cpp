// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/processor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <array>
#include <cstdint>
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

namespace {
struct Bits {
  unsigned first_c = 1U << 27, saved = 0, seven_d = 0, seven_one_a = 0;
};

fg::ProcessorFormats x86(const Bits& bits) {
  const auto cpuid = [&](unsigned leaf, unsigned part) {
    std::array<unsigned, 4> words{};
    if (leaf == 1 && part == 0) words[2] = bits.first_c;
    if (leaf == 7 && part == 0) words[3] = bits.seven_d;
    if (leaf == 7 && part == 1) words[0] = bits.seven_one_a;
    return words;
  };
  return fg::detail::x86_formats(cpuid, [&] { return bits.saved; });
}
}  // namespace

TEST_CASE("an x86 processor computes in a format if it has instructions and the system saves their registers") {
  constexpr unsigned avx512 = 0xe6, tiles = 3U << 17, all = ~0U;
  constexpr unsigned avx_bfloat16 = 1U << 5, amx_float16 = 1U << 21;  // of leaf 7, part 1
  constexpr unsigned amx_bfloat16 = 1U << 22, avx_float16 = 1U << 23;  // of leaf 7, part 0
  constexpr fg::ProcessorFormats none{}, both{true, true}, only_bfloat16{true, false}, only_float16{false, true};
  CHECK(x86({.saved = all, .seven_d = all, .seven_one_a = all}) == both);
  CHECK(x86({.saved = avx512, .seven_d = all, .seven_one_a = all}) == both);
  CHECK(x86({.saved = tiles, .seven_d = all, .seven_one_a = all}) == both);
  CHECK(x86({.first_c = ~(1U << 27), .saved = all, .seven_d = all, .seven_one_a = all}) == none);
  CHECK(x86({.saved = avx512, .seven_one_a = avx_bfloat16}) == only_bfloat16);
  CHECK(x86({.saved = avx512, .seven_one_a = ~avx_bfloat16}) == none);
  CHECK(x86({.saved = avx512, .seven_d = avx_float16}) == only_float16);
  CHECK(x86({.saved = avx512, .seven_d = ~avx_float16}) == none);
  CHECK(x86({.saved = tiles, .seven_d = amx_bfloat16}) == only_bfloat16);
  CHECK(x86({.saved = tiles, .seven_d = ~amx_bfloat16}) == none);
  CHECK(x86({.saved = tiles, .seven_one_a = amx_float16}) == only_float16);
  CHECK(x86({.saved = tiles, .seven_one_a = ~amx_float16}) == none);
  for (const int missing : {1, 2, 5, 6, 7}) {
    CAPTURE(missing);
    CHECK(x86({.saved = avx512 & ~(1U << missing), .seven_d = all, .seven_one_a = all}) == none);
  }
  for (const int missing : {17, 18}) {
    CAPTURE(missing);
    CHECK(x86({.saved = ~avx512 & ~(1U << missing), .seven_d = all, .seven_one_a = all}) == none);
  }
}

TEST_CASE("a 64-bit ARM processor computes in the formats that Linux lists") {
  using fg::detail::arm_formats;
  CHECK(arm_formats(0, 0) == fg::ProcessorFormats{});
  CHECK(arm_formats(1U << 10, 0) == fg::ProcessorFormats{false, true});
  CHECK(arm_formats(0, 1U << 14) == fg::ProcessorFormats{true, false});
  CHECK(arm_formats(~(std::uint64_t{1} << 10), ~(std::uint64_t{1} << 14)) == fg::ProcessorFormats{});
}

TEST_CASE("of each format it is said once that it is slow") {
  using fg::NumberFormat;
  for (auto format : {NumberFormat::bfloat16, NumberFormat::float16}) fg::detail::slow_format_was_said(format) = false;
  const support::Notices notices;
  fg::detail::notice_slow_format(NumberFormat::float16, fg::ProcessorFormats{true, true});
  CHECK(notices.all.empty());
  for (int i = 0; i < 2; ++i) {
    for (auto format : {NumberFormat::bfloat16, NumberFormat::float16}) {
      fg::detail::notice_slow_format(format, fg::ProcessorFormats{});
    }
  }
  REQUIRE(notices.all.size() == 2);
  CHECK_THAT(notices.all[0], StartsWith("fulgurite: this processor has no instructions for bfloat16,"));
  CHECK_THAT(notices.all[1], StartsWith("fulgurite: this processor has no instructions for float16,"));
}

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
  std::optional<fg::ProcessorFormats> unknown = none;
  unknown.reset();
  CHECK(slow_format(NumberFormat::bfloat16, unknown).empty());
  CHECK_FALSE(fg::ProcessorFormats{}.bfloat16);
  CHECK_FALSE(fg::ProcessorFormats{}.float16);
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
