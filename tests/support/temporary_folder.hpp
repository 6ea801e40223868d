// SPDX-License-Identifier: MIT
// A folder for the files of one test, gone when the test is.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace support {

struct TemporaryFolder {
  std::filesystem::path path = make();

  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }

 private:
  static std::filesystem::path make() {
    std::string name = (std::filesystem::temp_directory_path() / "fulgurite_XXXXXX").string();
    return mkdtemp(name.data());
  }
};

}  // namespace support
