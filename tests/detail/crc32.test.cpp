// SPDX-License-Identifier: MIT
#include <fulgurite/detail/crc32.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

using fulgurite::detail::crc32;

TEST_CASE("the checksum is CRC-32, of any length and in any pieces") {
  CHECK(crc32("123456789", 9) == 0xcbf43926);  // the check value of the standard
  CHECK(crc32("", 0) == 0);
  const std::string text = "The quick brown fox jumps over the lazy dog";
  CHECK(crc32(text.data(), text.size()) == 0x414fa339);
  const std::string zeros(32, '\0'), ones(32, '\xff');
  CHECK(crc32(zeros.data(), zeros.size()) == 0x190a55ad);
  CHECK(crc32(ones.data(), ones.size()) == 0xff6cab0b);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::uint32_t before = crc32(text.data(), cut);
    CHECK(crc32(text.data() + cut, text.size() - cut, before) == 0x414fa339);
  }
}
