// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/detail/input_bytes.hpp>

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using fulgurite::detail::InputBytes;
using fulgurite::detail::UnreadableFile;

template <class Act>
std::string said_by(const Act& act) {
  try {
    act();
  } catch (const UnreadableFile& error) {
    return (error.is_cut_short ? "cut short: " : "") + std::string(error.what());
  }
  return "";
}

TEST_CASE("what cannot be read is refused by its reason") {
  const support::TemporaryFolder folder;
  const fs::path file = folder.path / "file", pipe = folder.path / "pipe", circle = folder.path / "circle";
  support::write_file(file, "bytes");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("circle", circle);
  const auto said_of = [](const fs::path& path) { return said_by([&] { InputBytes::of_file(path.string()); }); };
  CHECK(said_of(file).empty());
  CHECK(said_of(folder.path / "missing") == "there is no such file");
  CHECK(said_of(circle) == "it cannot be opened: Too many levels of symbolic links");
  CHECK(said_of(folder.path) == "it is a folder");
  CHECK(said_of(pipe) == "it is a device, a pipe or a socket, not a file");

  const auto said_without = [&](std::string_view call) {
    const support::WatchedCalls calls([call](const char* name) { return name == call ? EIO : 0; });
    return said_by([&] { InputBytes::of_file(file.string()).text(0, 5); });
  };
  CHECK(said_without("open") == "it cannot be opened: Input/output error");
  CHECK(said_without("fstat") == "it cannot be read: Input/output error");
  CHECK(said_without("pread") == "it cannot be read: Input/output error");
  CHECK(said_without("write").empty());
}

TEST_CASE("bytes beyond the end are refused, those of a file that becomes shorter too") {
  const InputBytes memory{std::string_view("bytes")};
  CHECK(memory.text(1, 4) == "ytes");
  CHECK(said_by([&] { memory.text(1, 5); }) == "cut short: it ends too early");
  CHECK(said_by([&] { memory.text(6, 0); }) == "cut short: it ends too early");
  CHECK(said_by([&] { memory.read(0, nullptr, 6); }) == "cut short: it ends too early");

  const support::TemporaryFolder folder;
  support::write_file(folder.path / "file", "bytes");
  const InputBytes file = InputBytes::of_file((folder.path / "file").string());
  fs::resize_file(folder.path / "file", 2);
  CHECK(file.text(0, 2) == "by");
  CHECK(said_by([&] { file.text(0, 5); }) == "cut short: it became shorter while it was read");
}

}  // namespace
