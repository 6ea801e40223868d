// SPDX-License-Identifier: MIT
// Archives with one thing in them that torch.save does not write: each is refused with a sentence of its own.
#include <fulgurite/checkpoint/detail/zip_reader.hpp>
#include <fulgurite/checkpoint/detail/zip_writer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace {

namespace detail = fulgurite::detail;
using detail::InputBytes;
using detail::UnreadableFile;
using detail::ZipReader;
using namespace std::string_literals;

struct Text {
  std::string text{};
  void write(const void* data, std::size_t size) { text.append(static_cast<const char*>(data), size); }
};

constexpr std::uint64_t never = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view local = "PK\x03\x04", entry = "PK\x01\x02", end = "PK\x05\x06", end64 = "PK\x06\x06";

/// Records "data.pkl", "byteorder" and "version", all in the folder "archive/".
std::string ours(std::uint64_t wide_from = never) {
  Text file;
  detail::ZipWriter archive(file, wide_from);
  archive.record("data.pkl", "structure", 9);
  archive.finish();
  return file.text;
}
/// As Python writes it: without our checksum of the headers, so that they may be changed.
std::string of_python(std::uint64_t wide_from = never) {
  std::string bytes = ours(wide_from);
  bytes.resize(bytes.size() - detail::checksum_comment.size() - detail::checksum_digit_count);
  bytes.replace(bytes.size() - 2, 2, 2, '\0');
  return bytes;
}

/// `bytes`, which lie `at` bytes behind the first `mark`, are others.
struct Put {
  std::string_view mark;
  std::size_t at;
  std::string bytes;
  void operator()(std::string& file) const {
    const auto place = file.find(mark);
    REQUIRE(place != std::string::npos);
    file.replace(place + at, bytes.size(), bytes);
  }
};
struct PutBoth {
  Put one, other;
  void operator()(std::string& file) const {
    one(file);
    other(file);
  }
};

/// What the reader of a file, or of its record data.pkl, says.
std::string said_of(const std::string& file) {
  try {
    const ZipReader archive{InputBytes(file)};
    archive.text(archive.find("data.pkl"));
  } catch (const UnreadableFile& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("each header that is not as torch.save writes it is refused by what is wrong") {
  REQUIRE(said_of(of_python()).empty());
  REQUIRE(said_of(of_python(0)).empty());
  struct Row {
    std::function<void(std::string&)> change;
    std::string sentence;
    std::uint64_t wide_from = never;
  };
  const auto without_first_entry = [](std::string& file) {
    const auto first = file.find(entry), second = file.find(entry, first + 1);
    file.erase(first, second - first);
    const auto size = static_cast<char>(file.find(end) - first);
    Put{end, 8, "\2\0\2\0"s + size}(file);
  };
  const std::string contradiction = "it is damaged: the end of its directory contradicts itself";
  const std::string other_header = "it is damaged: the header of its record data.pkl is not as in its directory";
  const std::string cut_short = "its record data.pkl is cut short";
  const Row rows[] = {
      // The end, with sizes of 32 bits and of 64.
      {[](std::string& file) { file.clear(); }, "it is empty"},
      {Put{local, 0, "QK"}, "it does not begin as a file of torch.save does"},
      {Put{end, 0, "QK"}, "it does not end with a directory of its records"},
      {[](std::string& file) { file.replace(file.size() - 2, 2, "\1\0x", 3); },
       "it is damaged: it ends with a comment that neither torch.save nor fulgurite writes"},
      {Put{end, 4, "\1"}, contradiction},             // another disk
      {Put{end, 8, "\2"}, contradiction},             // records on this disk
      {Put{end64, 4, "\0"s}, contradiction, 0},       // its own size
      {Put{end64, 24, "\2"}, contradiction, 0},       // records on this disk
      {Put{end64, 76 + 12, "\2"}, contradiction, 0},  // the narrow size, beside the wide one
      {Put{end, 12, "\1"}, "it is damaged: its directory is not where its end says"},
      {Put{end, 8, "\4\0\4"s}, "it is damaged: its directory lists fewer records than its end says"},
      {Put{end, 8, "\2\0\2"s}, "it is damaged: its directory lists more records than its end says"},
      {without_first_entry, "it is damaged: it does not begin with its first record"},
      // An entry of the directory.
      {Put{entry, 0, "QK"}, "it is damaged: its directory has an invalid entry"},
      {Put{entry, 32, "\1"}, "it is damaged: its directory has an invalid entry"},  // a comment
      {Put{entry, 46, "archive_"}, "it is a zip archive, but not one of torch.save: its records are not in one folder"},
      {Put{entry, 8, "\1"}, "it is damaged: its record data.pkl is encrypted or patched"},
      {Put{entry, 10, "\x09"}, "it is damaged: its record data.pkl is compressed in an unknown way"},
      {Put{entry, 24, "\1"}, "it is damaged: its record data.pkl has two sizes"},
      {Put{entry, 20, "\1\1\1\0\1\1\1"s}, cut_short},  // both sizes beyond the file's end
      {Put{entry, 20, "\0\3\0\0\0\3"s}, cut_short},    // and within the next record
      {Put{entry, 46 + 16 + 2, "\xff"}, "it is damaged: an entry of its directory is cut short", 0},
      {Put{entry, 46 + 16 + 2, "\4"}, "it is damaged: an entry of its directory is cut short", 0},  // without all that it says
      // The header of a record, and what is behind the record.
      {Put{local, 1, "Q"}, "it does not begin as a file of torch.save does"},
      {Put{entry, 12, "\1"}, other_header},     // the time
      {Put{local, 14, "\1"}, other_header},     // the checksum
      {Put{local, 22, "\1"}, other_header},     // the size
      {Put{local, 30 + 8, "D"}, other_header},  // the name
      {PutBoth{{local, 6, "\x08"}, {entry, 8, "\x08"}}, "it is damaged: unknown bytes follow its record data.pkl"},
      {PutBoth{{entry, 20, "\x08\0\0\0\x08"s}, {local, 18, "\x08\0\0\0\x08"s}},
       "it is damaged: unknown bytes follow its record data.pkl"},
      // The record.
      {PutBoth{{entry, 10, "\x08"}, {local, 8, "\x08"}}, "its record data.pkl is compressed, and torch.save compresses none"},
      {Put{"structure", 0, "S"}, "it is damaged: its record data.pkl has another checksum than when it was written"},
  };
  for (const Row& row : rows) {
    std::string file = of_python(row.wide_from);
    row.change(file);
    INFO(&row - rows);
    CHECK(said_of(file) == row.sentence);
  }
}

TEST_CASE("a header of ours that was changed and still fits is noticed by the checksum at the end") {
  std::string file = ours();
  REQUIRE(said_of(file).empty());
  PutBoth{{local, 12, "\x22"}, {entry, 14, "\x22"}}(file);  // the day
  CHECK(said_of(file) == "it is damaged: its headers do not have the checksum at its end");
  std::string python = of_python();
  PutBoth{{local, 12, "\x22"}, {entry, 14, "\x22"}}(python);
  CHECK(said_of(python).empty());
}

}  // namespace
