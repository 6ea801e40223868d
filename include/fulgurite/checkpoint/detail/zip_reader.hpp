// SPDX-License-Identifier: MIT
// Zip archives as torch.save and fulgurite write them: records that are stored without compression, in a folder of the
// archive's own. Sizes, places and checksums are compared before anything is made of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fulgurite/detail/crc32.hpp>
#include "input_bytes.hpp"
#include "zip_checksum.hpp"

namespace fulgurite::detail {

struct ZipRecord {
  std::string name;            ///< without the archive's folder: "data/0"
  std::uint64_t header = 0;    ///< where its local header begins
  std::uint64_t begin = 0;     ///< where its bytes begin
  std::uint64_t size = 0;      ///< in the file
  std::uint32_t checksum = 0;  ///< of its bytes, if they are stored
  bool stored = true;          ///< else compressed, which only the code in an archive of LibTorch is
};

class ZipReader {
 public:
  /// Throws UnreadableFile.
  explicit ZipReader(InputBytes bytes) : bytes_(std::move(bytes)) {
    const Directory directory = find_directory();
    read_directory(directory);
    for (std::size_t i = 0; i < records_.size(); ++i) {
      check_local_header(i, i + 1 < records_.size() ? records_[i + 1].header : directory.begin);
    }
    if (!records_.empty() && records_.front().header != 0) refuse_damaged("it does not begin with its first record");
    if (is_ours_ && checksum_digits(checksum_outside_of_records()) !=
                        bytes_.text(bytes_.size() - checksum_digit_count, checksum_digit_count)) {
      refuse_damaged("its headers do not have the checksum at its end");
    }
  }

  /// In the order of the file.
  const std::vector<ZipRecord>& records() const { return records_; }

  /// The number of the record of that name; `records().size()` if there is none.
  std::size_t find(std::string_view name) const {
    const auto found =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::size_t number, std::string_view wanted) { return records_[number].name < wanted; });
    return found == by_name_.end() || records_[*found].name != name ? records_.size() : *found;
  }

  /// The bytes of a record. Throws UnreadableFile if they are not those that were written.
  std::string text(std::size_t number) const {
    const ZipRecord& record = records_[number];
    if (!record.stored) throw UnreadableFile("its record " + record.name + " is compressed, and torch.save compresses none");
    std::string bytes = bytes_.text(record.begin, record.size);
    if (crc32(bytes.data(), bytes.size()) != record.checksum) refuse_record(record);
    return bytes;
  }

  /// Reads each record to its place, or nowhere if that is null, and compares its checksum. Throws UnreadableFile.
  void read(const std::vector<void*>& places) const {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const ZipRecord& record = records_[i];
      if (!record.stored) continue;  // no value is made of it
      if (checksum_of(record.begin, record.size, static_cast<char*>(places[i])) != record.checksum) refuse_record(record);
    }
  }

 private:
  struct Directory {
    std::uint64_t begin = 0, size = 0, records = 0;
  };

  /// Numbers in the bytes of a header, little-endian.
  class Fields {
   public:
    explicit Fields(std::string_view bytes) : bytes_(bytes) {}
    std::uint16_t u16(std::size_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
    std::uint32_t u32(std::size_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
    std::uint64_t u64(std::size_t at) const { return number(at, 8); }

   private:
    std::uint64_t number(std::size_t at, std::size_t size) const {
      if (at > bytes_.size() || size > bytes_.size() - at) refuse_entry();  // (other headers are read whole)
      const char* const first = bytes_.data() + at;
      std::uint64_t value = 0;
      for (std::size_t i = size; i-- > 0;) value = value << 8U | static_cast<unsigned char>(first[i]);
      return value;
    }
    std::string_view bytes_;
  };

  static constexpr std::uint32_t end64_mark = 0x06064b50, locator_mark = 0x07064b50, entry_mark = 0x02014b50,
                                 local_mark = 0x04034b50, descriptor_mark = 0x08074b50;
  static constexpr std::uint64_t end_size = 22, end64_size = 56, locator_size = 20, entry_size = 46, local_size = 30;
  static constexpr std::uint16_t full16 = 0xffff;
  static constexpr std::uint32_t full32 = 0xffffffff;

  [[noreturn]] static void refuse_damaged(const std::string& why) { throw UnreadableFile("it is damaged: " + why); }
  [[noreturn]] static void refuse_entry() { refuse_damaged("an entry of its directory is cut short"); }
  [[noreturn]] static void refuse_record(const ZipRecord& record) {
    refuse_damaged("its record " + record.name + " has another checksum than when it was written");
  }
  [[noreturn]] static void refuse_cut_short(const std::string& why) { throw UnreadableFile(why, true); }

  /// Where the last header begins, behind which only a comment follows.
  std::uint64_t find_end() const {
    if (bytes_.size() == 0) refuse_cut_short("it is empty");
    const std::string start = bytes_.text(0, std::min<std::uint64_t>(bytes_.size(), 16));
    if (start.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")) {
      throw UnreadableFile(
          "it is in the format of PyTorch before 1.6; in Python, torch.save(torch.load(path, map_location=\"cpu\"), path) "
          "writes it anew");
    }
    if (start.size() > 9 && start.substr(8, 2) == "{\"") {
      throw UnreadableFile(
          "it is a safetensors file; in Python, torch.save(safetensors.torch.load_file(path), other_path) makes one that "
          "can be read");
    }
    if (!start.starts_with("PK\x03\x04")) refuse_cut_short("it does not begin as a file of torch.save does");
    const std::uint64_t longest = std::min<std::uint64_t>(bytes_.size(), end_size + full16);
    const std::string tail = bytes_.text(bytes_.size() - longest, longest);
    for (auto at = tail.rfind("PK\x05\x06"); at != std::string::npos;
         at = at == 0 ? std::string::npos : tail.rfind("PK\x05\x06", at - 1)) {
      const std::string_view end = std::string_view(tail).substr(at);
      if (end.size() >= end_size && Fields(end).u16(20) == end.size() - end_size) return bytes_.size() - longest + at;
    }
    refuse_cut_short("it does not end with a directory of its records");
  }

  Directory find_directory() {
    const std::uint64_t end = find_end();
    const std::string bytes = bytes_.text(end, bytes_.size() - end);
    const Fields fields(bytes);
    const std::string_view comment = std::string_view(bytes).substr(end_size);
    is_ours_ = comment.size() == checksum_comment.size() + checksum_digit_count && comment.starts_with(checksum_comment);
    if (!comment.empty() && !is_ours_) refuse_damaged("it ends with a comment that neither torch.save nor fulgurite writes");
    Directory directory{fields.u32(16), fields.u32(12), fields.u16(10)};
    const Directory small = directory;
    std::uint64_t directory_end = end;
    if (end >= locator_size + end64_size) {
      const std::string before = bytes_.text(end - locator_size - end64_size, locator_size + end64_size);
      const Fields end64(before);
      if (end64.u32(end64_size) == locator_mark) {
        directory_end = end - locator_size - end64_size;
        const bool right = end64.u32(0) == end64_mark && end64.u64(4) == end64_size - 12 && end64.u32(16) == 0 &&
                           end64.u32(20) == 0 && end64.u64(24) == end64.u64(32) && end64.u32(end64_size + 4) == 0 &&
                           end64.u64(end64_size + 8) == directory_end && end64.u32(end64_size + 16) == 1;
        if (!right) refuse_damaged("the end of its directory contradicts itself");
        directory = {end64.u64(48), end64.u64(40), end64.u64(32)};
      }
    }
    const bool right = fields.u16(4) == 0 && fields.u16(6) == 0 && fields.u16(8) == fields.u16(10) &&
                       (small.records == directory.records || small.records == full16) &&
                       (small.size == directory.size || small.size == full32) &&
                       (small.begin == directory.begin || small.begin == full32);
    if (!right) refuse_damaged("the end of its directory contradicts itself");
    if (directory.begin > directory_end || directory.size != directory_end - directory.begin) {
      refuse_damaged("its directory is not where its end says");
    }
    return directory;
  }

  void read_directory(const Directory& directory) {
    directory_ = bytes_.text(directory.begin, directory.size);
    std::string folder;
    std::size_t at = 0;
    for (std::uint64_t number = 0; number < directory.records; ++number) {
      const std::string_view rest = std::string_view(directory_).substr(at);
      if (rest.size() < entry_size) refuse_damaged("its directory lists fewer records than its end says");
      const Fields fields(rest);
      const std::size_t name_size = fields.u16(28), extra_size = fields.u16(30);
      if (fields.u32(0) != entry_mark || fields.u16(32) != 0 || fields.u16(34) != 0 ||
          rest.size() - entry_size < name_size + extra_size) {
        refuse_damaged("its directory has an invalid entry");
      }
      std::string name(rest.substr(entry_size, name_size));
      const auto slash = name.find('/');
      if (number == 0 && slash != std::string::npos) folder = name.substr(0, slash + 1);
      if (folder.empty() || !name.starts_with(folder)) {
        throw UnreadableFile("it is a zip archive, but not one of torch.save: its records are not in one folder");
      }
      ZipRecord record;
      record.name = name.substr(folder.size());
      std::uint64_t plain_size = fields.u32(24);
      record.size = fields.u32(20);
      record.header = fields.u32(42);
      record.checksum = fields.u32(16);
      read_large_sizes(rest.substr(entry_size + name_size, extra_size), plain_size, record.size, record.header);
      const std::uint16_t flags = fields.u16(8), method = fields.u16(10);
      if ((flags & ~0x0808U) != 0) refuse_damaged("its record " + record.name + " is encrypted or patched");
      if (method != 0 && method != 8) refuse_damaged("its record " + record.name + " is compressed in an unknown way");
      record.stored = method == 0;
      if (record.stored && plain_size != record.size) refuse_damaged("its record " + record.name + " has two sizes");
      if (!bytes_.has(record.header, local_size) || !bytes_.has(record.header + local_size, record.size)) {
        refuse_cut_short("its record " + record.name + " is cut short");
      }
      entries_.emplace_back(at);
      records_.push_back(std::move(record));
      at += entry_size + name_size + extra_size;
    }
    if (at != directory_.size()) refuse_damaged("its directory lists more records than its end says");
    put_in_order();
  }

  /// Sizes and place of a record beyond 4 GiB.
  static void read_large_sizes(std::string_view extra, std::uint64_t& plain_size, std::uint64_t& size,
                               std::uint64_t& header) {
    while (extra.size() >= 4) {
      const Fields fields(extra);
      const std::size_t length = fields.u16(2);
      if (extra.size() - 4 < length) refuse_entry();
      if (fields.u16(0) == 1) {
        const Fields large(extra.substr(4, length));
        std::size_t at = 0;
        for (std::uint64_t* value : {&plain_size, &size, &header}) {
          if (*value != full32) continue;
          *value = large.u64(at);
          at += 8;
        }
      }
      extra.remove_prefix(4 + length);
    }
  }

  /// The records by their places, each of another name.
  void put_in_order() {
    std::vector<std::size_t> order(records_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return records_[a].header < records_[b].header; });
    std::vector<ZipRecord> records;
    std::vector<std::size_t> entries;
    for (const std::size_t i : order) {
      records.push_back(std::move(records_[i]));
      entries.push_back(entries_[i]);
    }
    records_ = std::move(records);
    entries_ = std::move(entries);
    by_name_ = order;
    for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
    std::sort(by_name_.begin(), by_name_.end(),
              [&](std::size_t a, std::size_t b) { return records_[a].name < records_[b].name; });
    const auto same = [&](std::size_t a, std::size_t b) { return records_[a].name == records_[b].name; };
    if (std::adjacent_find(by_name_.begin(), by_name_.end(), same) != by_name_.end()) {
      refuse_damaged("it has two records of one name");
    }
  }

  /// Compares the header in front of a record with its entry in the directory, and finds where its bytes begin. They end,
  /// with the descriptor that may follow them, where the next record begins.
  void check_local_header(std::size_t number, std::uint64_t next) {
    ZipRecord& record = records_[number];
    const std::string local = bytes_.text(record.header, local_size);
    const std::string_view entry = std::string_view(directory_).substr(entries_[number]);
    const Fields fields(local), listed(entry);
    const std::uint64_t name_size = fields.u16(26), extra_size = fields.u16(28);
    record.begin = record.header + local_size + name_size + extra_size;
    if (!bytes_.has(record.begin, record.size) || record.begin + record.size > next) {
      refuse_cut_short("its record " + record.name + " is cut short");
    }
    const auto refuse = [&] { refuse_damaged("the header of its record " + record.name + " is not as in its directory"); };
    // Version, flags, method, time and date; then checksum and sizes, which may follow in a descriptor; then the name.
    if (fields.u32(0) != local_mark || std::string_view(local).substr(4, 10) != entry.substr(6, 10)) refuse();
    const bool has_descriptor = (fields.u16(6) & 8U) != 0;
    for (const std::size_t at : {14U, 18U, 22U}) {
      const std::uint32_t here = fields.u32(at), there = listed.u32(at + 2);
      if (here != there && !(has_descriptor && here == 0) && !(at > 14 && here == full32)) refuse();
    }
    if (name_size != listed.u16(28) ||
        bytes_.text(record.header + local_size, name_size) != entry.substr(entry_size, name_size)) {
      refuse();
    }
    check_descriptor(record,
                     bytes_.text(record.begin + record.size, std::min<std::uint64_t>(next - record.begin - record.size, 25)),
                     has_descriptor);
  }

  /// `between`: the bytes between a record and the next.
  static void check_descriptor(const ZipRecord& record, std::string_view between, bool has_descriptor) {
    const auto refuse = [&] { refuse_damaged("unknown bytes follow its record " + record.name); };
    if (!has_descriptor) {
      if (!between.empty()) refuse();
      return;
    }
    const Fields fields(between);
    const bool large = between.size() == 24;
    if (!large && between.size() != 16) refuse();
    const std::uint64_t size = large ? fields.u64(8) : fields.u32(8);
    if (fields.u32(0) != descriptor_mark || fields.u32(4) != record.checksum || size != record.size) refuse();
    if (record.stored && (large ? fields.u64(16) : fields.u32(12)) != record.size) refuse();
  }

  /// Of bytes in the file, which are copied to `place` if it is not null; else nothing is kept of them.
  std::uint32_t checksum_of(std::uint64_t begin, std::uint64_t size, char* place, std::uint32_t before = 0) const {
    constexpr std::uint64_t piece = std::uint64_t{1} << 16U;
    std::string passing(place == nullptr ? static_cast<std::size_t>(std::min(size, piece)) : 0, '\0');
    while (size > 0) {
      const auto count = static_cast<std::size_t>(std::min(size, piece));
      char* const to = place == nullptr ? passing.data() : place;
      bytes_.read(begin, to, count);
      before = crc32(to, count, before);
      if (place != nullptr) place += count;
      begin += count;
      size -= count;
    }
    return before;
  }

  std::uint32_t checksum_outside_of_records() const {
    std::uint32_t checksum = 0;
    std::uint64_t at = 0;
    for (const ZipRecord& record : records_) {
      checksum = checksum_of(at, record.begin - at, nullptr, checksum);
      at = record.begin + record.size;
    }
    return checksum_of(at, bytes_.size() - checksum_digit_count - at, nullptr, checksum);
  }

  InputBytes bytes_;
  bool is_ours_ = false;
  std::string directory_;
  std::vector<std::size_t> entries_;  // where each record's entry begins in the directory
  std::vector<ZipRecord> records_;
  std::vector<std::size_t> by_name_;  // the records in the order of their names
};

}  // namespace fulgurite::detail
