// SPDX-License-Identifier: MIT
// What the zip archives of this library end with: "fulgurite crc32 " and eight hexadecimal digits. That is the checksum of
// all bytes before the digits that are not a record's, whose own checksum is in the archive's directory: each byte has one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fulgurite::detail {

inline constexpr std::string_view checksum_comment = "fulgurite crc32 ";
inline constexpr std::size_t checksum_digit_count = 8;

inline std::string checksum_digits(std::uint32_t checksum) {
  std::string digits(checksum_digit_count, '0');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, checksum >>= 4U) {
    *digit = "0123456789abcdef"[checksum & 15U];
  }
  return digits;
}

}  // namespace fulgurite::detail
