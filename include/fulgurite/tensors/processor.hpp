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

namespace detail {

inline bool bit(std::uint64_t word, int index) { return (word >> index & 1U) != 0; }

/// Of an x86 processor: `cpuid(leaf, part)` gives its registers a to d, all 0 where it has no such leaf, and `saved()` the
/// register XCR0, which registers the system saves.
template <class Cpuid, class Saved>
ProcessorFormats x86_formats(const Cpuid& cpuid, const Saved& saved) {
  if (!bit(cpuid(1, 0)[2], 27)) return {};  // OSXSAVE: XCR0 may be read
  const std::uint64_t registers = saved();
  const bool wide = (registers & 0xe6U) == 0xe6U;               // those of AVX-512,
  const bool tiles = bit(registers, 17) && bit(registers, 18);  // and those of AMX
  const auto first = cpuid(7, 0), second = cpuid(7, 1);
  return {(wide && bit(second[0], 5)) || (tiles && bit(first[3], 22)),
          (wide && bit(first[3], 23)) || (tiles && bit(second[0], 21))};
}

/// Of a 64-bit ARM processor, from the words AT_HWCAP and AT_HWCAP2 of Linux.
inline ProcessorFormats arm_formats(std::uint64_t hwcap, std::uint64_t hwcap2) {
  return {bit(hwcap2, 14), bit(hwcap, 10)};  // HWCAP2_BF16, HWCAP_ASIMDHP
}

}  // namespace detail

/// The formats of this machine's processor, as far as its operating system lets programs use them; std::nullopt where that
/// cannot be found out (neither x86 nor 64-bit ARM under Linux).
inline std::optional<ProcessorFormats> processor_formats() {
#if defined(__x86_64__) || defined(__i386__)
  const auto cpuid = [](unsigned leaf, unsigned part) {
    std::array<unsigned, 4> words{};
    __get_cpuid_count(leaf, part, &words[0], &words[1], &words[2], &words[3]);
    return words;
  };
  const auto saved = [] {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
  };
  return detail::x86_formats(cpuid, saved);
#elif defined(__aarch64__) && defined(__linux__)
  return detail::arm_formats(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
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

/// Says once per program and format that a training in it is slow on such a processor.
inline void notice_slow_format(fulgurite::NumberFormat format, std::optional<ProcessorFormats> formats) {
  const std::string text = slow_format(format, formats);
  if (!text.empty() && !slow_format_was_said(format).exchange(true)) notice(text);
}

}  // namespace detail

}  // namespace fulgurite
