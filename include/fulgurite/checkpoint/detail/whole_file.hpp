// SPDX-License-Identifier: MIT
// A file that appears whole or not at all, and errors that say what could not be saved.
#pragma once

#include <c10/util/Exception.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <fulgurite/detail/posix_file.hpp>

namespace fulgurite::detail {

/// Calls `write(file)` with a NewFile, which gets its place then. Throws std::runtime_error that names what could not be
/// saved and where.
template <class Write>
void write_whole(const std::filesystem::path& path, const std::string& what, const Write& write) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("fulgurite: cannot save " + what + " to " + path.string() + ": " + why);
  };
  try {
    NewFile file(path.string());
    write(file);
    file.put_in_place();
  } catch (const c10::Error& error) {
    refuse(error.what_without_backtrace());
  } catch (const FileError& error) {
    refuse(error.what());
  }
}

}  // namespace fulgurite::detail
