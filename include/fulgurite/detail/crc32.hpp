// SPDX-License-Identifier: MIT
// The checksum of zip archives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fulgurite::detail {

/// `[b]` is the remainder of the byte b, `[256 * n + b]` that of b with n zero bytes behind it.
inline constexpr auto crc32_table = [] {
  std::array<std::uint32_t, 8 * 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1U) ^ ((remainder & 1U) != 0 ? 0xedb88320U : 0U);
    table[byte] = remainder;
  }
  for (std::size_t i = 256; i < table.size(); ++i) table[i] = (table[i - 256] >> 8U) ^ table[table[i - 256] & 0xffU];
  return table;
}();

/// The CRC-32 of `size` bytes; given that of what comes before them, the CRC-32 of both.
inline std::uint32_t crc32(const void* data, std::size_t size, std::uint32_t before = 0) {
  const std::uint32_t* const table = crc32_table.data();
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t crc = ~before;
  for (; size >= 8; size -= 8, bytes += 8) {
    const std::uint32_t low =
        crc ^ (bytes[0] | std::uint32_t{bytes[1]} << 8U | std::uint32_t{bytes[2]} << 16U | std::uint32_t{bytes[3]} << 24U);
    crc = table[7 * 256 + (low & 0xffU)] ^ table[6 * 256 + ((low >> 8U) & 0xffU)] ^ table[5 * 256 + ((low >> 16U) & 0xffU)] ^
          table[4 * 256 + (low >> 24U)] ^ table[3 * 256 + bytes[4]] ^ table[2 * 256 + bytes[5]] ^ table[256 + bytes[6]] ^
          table[bytes[7]];
  }
  for (; size > 0; --size, ++bytes) crc = (crc >> 8U) ^ table[(crc ^ *bytes) & 0xffU];
  return ~crc;
}

}  // namespace fulgurite::detail
