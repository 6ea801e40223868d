// SPDX-License-Identifier: MIT
// A file that appears whole or not at all, if the process dies meanwhile, too.
#pragma once

#include <c10/util/Exception.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace fulgurite::detail {

/// Removes a file at its end, if it is still there.
struct RemovedAtEnd {
  std::filesystem::path path;
  ~RemovedAtEnd() {
    std::error_code not_there;
    std::filesystem::remove(path, not_there);
  }
};

/// Calls `write(beside)` with a path beside `path`, and then gives that file the name `path`. Throws std::runtime_error that
/// names what could not be saved and where.
template <class Write>
void write_whole(const std::filesystem::path& path, const std::string& what, const Write& write) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("fulgurite: cannot save " + what + " to " + path.string() + ": " + why);
  };
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder)) refuse("there is no folder " + folder.string());
  auto beside = path;
  beside += ".part";
  const RemovedAtEnd what_is_left{beside};
  try {
    write(beside);
    std::filesystem::rename(beside, path);
  } catch (const c10::Error& error) {
    refuse(error.what_without_backtrace());
  } catch (const std::system_error& error) {
    refuse(error.what());
  }
}

}  // namespace fulgurite::detail
