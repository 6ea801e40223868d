// SPDX-License-Identifier: MIT
// Archives as `torch.save` writes them: zip files whose records are stored as they are, and begin at multiples of 512
// bytes, a block of a disk, so that direct reads may take them from where they are.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fulgurite/detail/crc32.hpp>
#include "zip_checksum.hpp"

namespace fulgurite::detail {

/// Bytes that are put together from numbers, the lowest byte first, and texts.
struct Bytes {
  std::string text;

  template <int Width>
  Bytes& put(std::uint64_t number) {
    for (unsigned bit = 0; bit < 8 * Width; bit += 8) text += static_cast<char>((number >> bit) & 0xffU);
    return *this;
  }
  Bytes& append(std::string_view other) {
    text += other;
    return *this;
  }
  Bytes& append(const Bytes& other) { return append(other.text); }
};

/// Writes an archive into a file, record by record. `finish` ends it.
template <class File>
class ZipWriter {
 public:
  /// Sizes and offsets from `wide_from` on are written with 64 bits.
  explicit ZipWriter(File& file, std::uint64_t wide_from = narrow_limit) : file_(file), wide_from_(wide_from) {}

  void record(std::string_view name, const void* data, std::size_t size) {
    const std::string path = "archive/" + std::string(name);
    const std::uint32_t crc = crc32(data, size);
    const bool is_wide = size >= wide_from_;
    Bytes extra;
    if (is_wide) extra.put<2>(wide_id).put<2>(16).put<8>(size).put<8>(size);
    // Padding is an extra field too, whose head takes four bytes.
    const std::uint64_t data_begin = offset_ + 30 + path.size() + extra.text.size() + 4;
    const std::uint64_t padding = (alignment - data_begin % alignment) % alignment;
    extra.put<2>(padding_id).put<2>(padding).append(std::string(padding, 'Z'));

    // What the head in front of the data and the entry in the directory have in common.
    Bytes common;
    common.put<2>(is_wide ? wide_version : plain_version).put<2>(0).put<2>(0);  // no flags, stored
    common.put<2>(0).put<2>(first_day).put<4>(crc);                             // midnight
    common.put<4>(is_wide ? narrow_limit : size).put<4>(is_wide ? narrow_limit : size).put<2>(path.size());

    Bytes head;
    head.put<4>(0x04034b50).append(common).put<2>(extra.text.size()).append(path).append(extra);

    const bool is_far = offset_ >= wide_from_;
    Bytes wide;
    if (is_wide) wide.put<8>(size).put<8>(size);
    if (is_far) wide.put<8>(offset_);
    Bytes wide_field;
    if (!wide.text.empty()) wide_field.put<2>(wide_id).put<2>(wide.text.size()).append(wide);
    directory_.put<4>(0x02014b50).put<2>(wide_version).append(common).put<2>(wide_field.text.size());
    directory_.put<2>(0).put<2>(0).put<2>(0).put<4>(0);  // no comment, first disk, no attributes
    directory_.put<4>(is_far ? narrow_limit : offset_).append(path).append(wide_field);

    write_head(head.text);
    write(data, size);
    ++records_;
  }

  void finish() {
    constexpr std::string_view version = "3\n", order = std::endian::native == std::endian::little ? "little" : "big";
    record("byteorder", order.data(), order.size());
    record("version", version.data(), version.size());
    const std::uint64_t begin = offset_, size = directory_.text.size();
    Bytes end;
    const bool is_wide = records_ >= 0xffff || begin >= wide_from_ || size >= wide_from_;
    if (is_wide) {
      end.put<4>(0x06064b50).put<8>(44).put<2>(wide_version).put<2>(wide_version).put<4>(0).put<4>(0);
      end.put<8>(records_).put<8>(records_).put<8>(size).put<8>(begin);
      end.put<4>(0x07064b50).put<4>(0).put<8>(begin + size).put<4>(1);
    }
    const std::uint64_t count = is_wide ? 0xffff : records_;
    end.put<4>(0x06054b50).put<2>(0).put<2>(0).put<2>(count).put<2>(count);
    end.put<4>(is_wide ? narrow_limit : size).put<4>(is_wide ? narrow_limit : begin);
    end.put<2>(checksum_comment.size() + checksum_digit_count).append(checksum_comment);
    write_head(directory_.text);
    write_head(end.text);
    const std::string digits = checksum_digits(checksum_);
    write(digits.data(), digits.size());
  }

 private:
  static constexpr std::uint64_t narrow_limit = 0xffffffff, alignment = 512;
  static constexpr std::uint64_t plain_version = 20, wide_version = 45;
  static constexpr std::uint64_t wide_id = 1, padding_id = 0x4246;  // PyTorch's own for padding: "FB"
  static constexpr std::uint64_t first_day = 0x21;                  // 1980-01-01: the same bytes whenever they are written

  void write(const void* data, std::size_t size) {
    file_.write(data, size);
    offset_ += size;
  }

  /// Bytes that are no record's.
  void write_head(const std::string& bytes) {
    checksum_ = crc32(bytes.data(), bytes.size(), checksum_);
    write(bytes.data(), bytes.size());
  }

  File& file_;
  std::uint64_t wide_from_;
  std::uint64_t offset_ = 0, records_ = 0;
  std::uint32_t checksum_ = 0;
  Bytes directory_;
};

}  // namespace fulgurite::detail
