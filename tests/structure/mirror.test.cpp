// SPDX-License-Identifier: MIT
// The test of include/fulgurite/<path>.hpp is tests/<path>.test.cpp or tests/static/<path>.cpp.
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <string>

namespace fs = std::filesystem;

TEST_CASE("every public header has a test of the same path") {
  const fs::path source_dir = FULGURITE_SOURCE_DIR;
  const auto root = source_dir / "include" / "fulgurite";
  const auto tests = source_dir / "tests";
  int found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const auto header = fs::relative(entry.path(), root);
    auto stem = header;
    stem.replace_extension();
    const bool is_internal = header.generic_string().find("detail/") != std::string::npos || stem.generic_string() == "hooks/define_hook";
    const bool is_umbrella = fs::is_directory(root / stem) || stem == "fulgurite" || stem == "core";
    if (is_internal || is_umbrella) continue;
    ++found;
    INFO("include/fulgurite/" << header.generic_string() << " has neither tests/" << stem.generic_string()
                              << ".test.cpp nor tests/static/" << stem.generic_string() << ".cpp");
    CHECK((fs::exists(tests / (stem.string() + ".test.cpp")) || fs::exists(tests / "static" / (stem.string() + ".cpp"))));
  }
  CHECK(found > 0);
}
