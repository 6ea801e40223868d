// SPDX-License-Identifier: MIT
// The list of trainers holds every pair of levels, and is the one that the generator makes.
#include "laws/pairs/rows.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include "laws/pairs/generate.hpp"

static_assert(pairs::rows.size() <= 40, "run_0, run_10, run_20 and run_30 train forty rows: add a file for those beyond");

TEST_CASE("the list of trainers holds every pair of policies, callbacks and optimizers that go together") {
  CHECK(pairs::covers_all_pairs(pairs::rows));
  for (const pairs::Row& row : pairs::rows) {
    for (std::size_t first = 0; first < pairs::factor_count; ++first) {
      for (std::size_t second = first + 1; second < pairs::factor_count; ++second) {
        CHECK(pairs::go_together(first, row[first], second, row[second]));
      }
    }
  }
  // Without one row, a pair is missing: the check can fail.
  CHECK_FALSE(pairs::covers_all_pairs(std::span(pairs::rows).subspan(1)));
}

TEST_CASE("each declared conflict has a program that is refused for it") {
  for (const pairs::Conflict& conflict : pairs::conflicts) {
    INFO(pairs::names[conflict.first] << " and " << pairs::names[conflict.second] << ": " << conflict.misuse.program);
    std::ifstream file(FULGURITE_SOURCE_DIR "/tests/fail/" + std::string(conflict.misuse.program));
    REQUIRE(file);
    bool expected = false;  // what the compiler says is compared with such lines by the program's own test
    for (std::string line; std::getline(file, line);) {
      std::erase(line, '\\');
      expected |= line.starts_with("// EXPECT: ") && line.find(conflict.misuse.words) != std::string::npos;
    }
    CHECK(expected);
  }
}

TEST_CASE("the list of trainers is up to date") {
  const std::string path = FULGURITE_SOURCE_DIR "/tests/laws/pairs/rows.hpp";
  const std::string made = pairs::text_of(pairs::Generator().rows());
  if (std::getenv("FULGURITE_WRITE_PAIRS")) std::ofstream(path) << made;
  std::ifstream file(path);
  const std::string there{std::istreambuf_iterator<char>(file), {}};
  INFO("set FULGURITE_WRITE_PAIRS=1 for this test, and " << path << " is written anew");
  CHECK(there == made);
}
