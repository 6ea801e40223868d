// SPDX-License-Identifier: MIT
// The checksum of zip archives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fulgurite::detail {

/// `[0][b]` is the remainder of the byte b, `[n][b]` that of b with n zero bytes behind it.
inline constexpr auto crc32_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1U) ^ ((remainder & 1U) != 0 ? 0xedb88320U : 0U);
    tables[0][byte] = remainder;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t zeros = 1; zeros < 8; ++zeros) {
      const std::uint32_t before = tables[zeros - 1][byte];
      tables[zeros][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}();

/// The CRC-32 of `size` bytes; given that of what comes before them, the CRC-32 of both.
inline std::uint32_t crc32(const void* data, std::size_t size, std::uint32_t before = 0) {
  const auto& tables = crc32_tables;
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t crc = ~before;
  for (; size >= 8; size -= 8, bytes += 8) {
    const auto word = [&](std::size_t at) {
      return static_cast<std::uint32_t>(bytes[at]) | static_cast<std::uint32_t>(bytes[at + 1]) << 8U |
             static_cast<std::uint32_t>(bytes[at + 2]) << 16U | static_cast<std::uint32_t>(bytes[at + 3]) << 24U;
    };
    const std::uint32_t low = crc ^ word(0), high = word(4);
    crc = tables[7][low & 0xffU] ^ tables[6][(low >> 8U) & 0xffU] ^ tables[5][(low >> 16U) & 0xffU] ^ tables[4][low >> 24U] ^
          tables[3][high & 0xffU] ^ tables[2][(high >> 8U) & 0xffU] ^ tables[1][(high >> 16U) & 0xffU] ^ tables[0][high >> 24U];
  }
  for (; size > 0; --size, ++bytes) crc = (crc >> 8U) ^ tables[0][(crc ^ *bytes) & 0xffU];
  return ~crc;
}

}  // namespace fulgurite::detail
