// SPDX-License-Identifier: MIT
// The members of a family, so that a law is about all of them.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace support {

/// The public headers of a folder of include/fulgurite, without their ends: "step_lr".
inline std::set<std::string> headers_in(const std::string& family) {
  std::set<std::string> stems;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(FULGURITE_SOURCE_DIR) / "include" / "fulgurite" / family)) {
    if (entry.is_regular_file()) stems.insert(entry.path().stem().string());
  }
  return stems;
}

}  // namespace support
