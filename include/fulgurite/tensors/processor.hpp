// SPDX-License-Identifier: MIT
// Which of the short number formats this machine's processor computes in.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include <fulgurite/logging/notice.hpp>
#include <fulgurite/policies/precision.hpp>

namespace fulgurite {

/// Whether a processor has instructions for arithmetic in a number format.
struct ProcessorFormats {
  bool bfloat16 = false;
  bool float16 = false;

  friend constexpr bool operator==(ProcessorFormats, ProcessorFormats) = default;
};

/// The formats of this machine's processor, as far as its operating system lets programs use them; std::nullopt where that
/// cannot be found out (neither x86 nor 64-bit ARM under Linux).
inline std::optional<ProcessorFormats> processor_formats() {
#if defined(__x86_64__) || defined(__i386__)
  const auto bit = [](unsigned value, int index) { return (value >> index & 1U) != 0; };
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !bit(c, 27)) return ProcessorFormats{};  // OSXSAVE
  unsigned saved = 0, saved_high = 0;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(saved_high) : "c"(0));
  const bool wide = (saved & 0xe6U) == 0xe6U;           // the system saves the registers of AVX-512,
  const bool tiles = bit(saved, 17) && bit(saved, 18);  // and those of AMX
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return ProcessorFormats{};
  const bool amx_bfloat16 = bit(d, 22), avx_float16 = bit(d, 23);
  if (a == 0 || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) a = 0;
  const bool avx_bfloat16 = bit(a, 5), amx_float16 = bit(a, 21);
  return ProcessorFormats{(wide && avx_bfloat16) || (tiles && amx_bfloat16),
                          (wide && avx_float16) || (tiles && amx_float16)};
#elif defined(__aarch64__) && defined(__linux__)
  const bool half = (getauxval(AT_HWCAP) >> 10 & 1UL) != 0;     // HWCAP_ASIMDHP
  const bool bfloat = (getauxval(AT_HWCAP2) >> 14 & 1UL) != 0;  // HWCAP2_BF16
  return ProcessorFormats{bfloat, half};
#else
  return std::nullopt;
#endif
}

namespace detail {

/// What is said of a training in `format` on such a processor; empty if there is nothing to say.
inline std::string slow_format(fulgurite::NumberFormat format, std::optional<ProcessorFormats> formats) {
  const bool brain = format == fulgurite::NumberFormat::bfloat16;
  if (!formats || (!brain && format != fulgurite::NumberFormat::float16) || (brain ? formats->bfloat16 : formats->float16))
    return {};
  return std::string("fulgurite: this processor has no instructions for ") + (brain ? "bfloat16" : "float16") +
         ", so LibTorch converts to 32 bits and back, and a step is usually several times slower than in 32 bits: leave the "
         "precision policy out, or train on a processor or a GPU that computes in this format";
}

/// Whether the notice about a format was given in this program.
inline std::atomic<bool>& slow_format_was_said(fulgurite::NumberFormat format) {
  static std::array<std::atomic<bool>, 2> said{};
  return said[format == fulgurite::NumberFormat::bfloat16 ? 0 : 1];
}

/// Says once per program and format that a training in it is slow on this processor.
inline void notice_slow_format(fulgurite::NumberFormat format) {
  const std::string text = slow_format(format, processor_formats());
  if (!text.empty() && !slow_format_was_said(format).exchange(true)) notice(text);
}

}  // namespace detail

}  // namespace fulgurite
