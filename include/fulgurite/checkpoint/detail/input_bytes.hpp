// SPDX-License-Identifier: MIT
// The bytes of a file, or of memory, read piece by piece and never beyond their end.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fulgurite/detail/posix_file.hpp>

namespace fulgurite::detail {

/// Why a file cannot be read, without its name, which callers put in front.
struct UnreadableFile : std::runtime_error {
  /// `cut_short`: bytes are missing, or the file was of another kind from the beginning.
  explicit UnreadableFile(const std::string& why, bool cut_short = false)
      : std::runtime_error(why), is_cut_short(cut_short) {}
  bool is_cut_short;
};

class InputBytes {
 public:
  /// Memory that outlives this.
  explicit InputBytes(std::string_view memory) : memory_(memory), size_(memory.size()) {}
  /// A file. Throws UnreadableFile if it does not exist, cannot be opened or is not a regular file.
  static InputBytes of_file(const std::string& path) {
    InputBytes bytes{std::string_view()};
    bytes.file_ = opened(path, O_RDONLY | O_NONBLOCK);  // a pipe is not waited for
    if (!bytes.file_ && errno == ENOENT) throw UnreadableFile("there is no such file");
    if (!bytes.file_) throw UnreadableFile("it cannot be opened: " + reason(errno));
    struct ::stat status {};
    if (uninterrupted(system_calls.fstat, bytes.file_.number(), &status) != 0) refuse(errno);
    if (S_ISDIR(status.st_mode)) throw UnreadableFile("it is a folder");
    if (!S_ISREG(status.st_mode)) throw UnreadableFile("it is a device, a pipe or a socket, not a file");
    bytes.size_ = static_cast<std::uint64_t>(status.st_size);
    return bytes;
  }

  std::uint64_t size() const { return size_; }

  bool has(std::uint64_t begin, std::uint64_t count) const { return begin <= size_ && count <= size_ - begin; }

  void read(std::uint64_t begin, void* to, std::size_t count) const {
    require(begin, count);
    if (count == 0) return;
    if (!file_) {
      std::memcpy(to, memory_.data() + begin, count);
      return;
    }
    auto* place = static_cast<char*>(to);
    while (count > 0) {
      constexpr std::size_t at_once = std::size_t{1} << 30U;  // Linux gives no more than 2 GiB in one call
      const ssize_t got = uninterrupted(system_calls.pread, file_.number(), static_cast<void*>(place),
                                        std::min(count, at_once), static_cast<off_t>(begin));
      if (got < 0) refuse(errno);
      if (got == 0) throw UnreadableFile("it became shorter while it was read", true);
      place += got;
      begin += static_cast<std::uint64_t>(got);
      count -= static_cast<std::size_t>(got);
    }
  }
  std::string text(std::uint64_t begin, std::uint64_t count) const {
    require(begin, count);
    std::string bytes(static_cast<std::size_t>(count), '\0');
    read(begin, bytes.data(), bytes.size());
    return bytes;
  }

 private:
  void require(std::uint64_t begin, std::uint64_t count) const {
    if (!has(begin, count)) throw UnreadableFile("it ends too early", true);
  }
  [[noreturn]] static void refuse(int error) { throw UnreadableFile("it cannot be read: " + reason(error)); }

  Descriptor file_;
  std::string_view memory_;
  std::uint64_t size_;
};

}  // namespace fulgurite::detail
