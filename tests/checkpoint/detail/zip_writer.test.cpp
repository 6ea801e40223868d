// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/detail/zip_writer.hpp>

#include <ATen/core/ivalue.h>
#include <caffe2/serialize/inline_container.h>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>

#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace {

struct Text {
  std::string text{};
  void write(const void* data, std::size_t size) { text.append(static_cast<const char*>(data), size); }
};

std::string archive_of(const std::map<std::string, std::string>& records, std::uint64_t wide_from) {
  Text file;
  fulgurite::detail::ZipWriter archive(file, wide_from);
  for (const auto& [name, bytes] : records) archive.record(name, bytes.data(), bytes.size());
  archive.finish();
  return file.text;
}

}  // namespace

TEST_CASE("LibTorch reads an archive, its records begin at multiples of 512 bytes; also with sizes and offsets of 64 bits") {
  const support::TemporaryFolder folder;
  const std::map<std::string, std::string> records{
      {"data.pkl", "structure"}, {"data/0", std::string(1000, 'a')}, {"data/1", ""}, {"data/2", std::string(64, '\0')}};
  // Everything narrow; sizes wide; offsets and sizes wide; only far offsets wide.
  for (const std::uint64_t wide_from : {0xffffffffU, 1000U, 0U, 1500U}) {
    INFO(wide_from);
    const auto path = folder.path / "file";
    support::write_file(path, archive_of(records, wide_from));
    caffe2::serialize::PyTorchStreamReader reader(path.string());
    CHECK(reader.version() == 3);
    for (const auto& [name, bytes] : records) {
      INFO(name);
      const auto [data, size] = reader.getRecord(name);
      REQUIRE(size == bytes.size());
      CHECK((size == 0 || std::memcmp(data.get(), bytes.data(), size) == 0));
      CHECK(reader.getRecordOffset(name) % 512 == 0);
    }
  }
}

TEST_CASE("an archive can have more records than a narrow directory counts") {
  std::map<std::string, std::string> records;
  for (int i = 0; i < 70'000; ++i) records["data/" + std::to_string(i)] = "x";
  const support::TemporaryFolder folder;
  support::write_file(folder.path / "file", archive_of(records, 0xffffffffU));
  caffe2::serialize::PyTorchStreamReader reader((folder.path / "file").string());
  CHECK(std::get<1>(reader.getRecord("data/69999")) == 1);
  CHECK(reader.getAllRecords().size() == 70'002);
}

TEST_CASE("the same records give the same bytes") {
  const std::map<std::string, std::string> records{{"data.pkl", "structure"}};
  CHECK(archive_of(records, 0xffffffffU) == archive_of(records, 0xffffffffU));
}
