// SPDX-License-Identifier: MIT
// Walks the includes of include/fulgurite: each header includes its own floor or one below, and the floors that
// are written against concepts (0 and 2) never reach LibTorch or range-v3. The floors stand in
// cmake/FulguriteFloors.cmake.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path include_root = fs::path(FULGURITE_SOURCE_DIR) / "include";

// The longest entry `x` that names `x.hpp` or the folder `x/` decides.
std::optional<int> floor_of(const std::map<std::string, int>& floors, std::string_view header) {
  std::optional<int> found;
  std::size_t longest = 0;
  for (const auto& [entry, floor] : floors) {
    if ((header == entry + ".hpp" || header.starts_with(entry + "/")) && entry.size() > longest) {
      found = floor;
      longest = entry.size();
    }
  }
  return found;
}

std::map<std::string, int> read_floors() {
  std::ifstream file(FULGURITE_FLOORS_FILE);
  std::map<std::string, int> floors;
  std::string entry;
  int floor = 0;
  while (file >> entry >> floor) floors[entry] = floor;
  return floors;
}

struct Headers {
  std::map<std::string, std::vector<std::string>> ours;    // by path under include/fulgurite
  std::map<std::string, std::vector<std::string>> others;  // what else each of them includes
};

Headers read_headers() {
  static const std::regex include_line(R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re");
  Headers headers;
  const auto root = include_root / "fulgurite";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const auto name = fs::relative(entry.path(), root).generic_string();
    auto& ours = headers.ours[name];
    auto& others = headers.others[name];
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include_line)) continue;
      const auto included = match[1].str();
      if (included.starts_with("fulgurite/")) {
        ours.push_back(included.substr(std::string_view("fulgurite/").size()));
      } else {
        others.push_back(included);
      }
    }
  }
  return headers;
}

bool is_tensor_library(std::string_view included) {
  static constexpr std::array folders{"torch/", "ATen/", "c10/", "range/", "meta/", "concepts/"};
  return std::ranges::any_of(folders, [&](std::string_view folder) { return included.starts_with(folder); });
}

// The chain of includes by which `header` reaches LibTorch or range-v3; empty if it does not.
std::string chain_to_tensors(const Headers& headers, const std::string& header, std::set<std::string>& seen) {
  if (!seen.insert(header).second) return {};
  const auto others = headers.others.find(header);
  if (others == headers.others.end()) return {};
  for (const auto& included : others->second) {
    if (is_tensor_library(included)) return header + " -> <" + included + ">";
  }
  for (const auto& included : headers.ours.at(header)) {
    if (const auto rest = chain_to_tensors(headers, included, seen); !rest.empty()) return header + " -> " + rest;
  }
  return {};
}

}  // namespace

TEST_CASE("every header stands on a floor") {
  const auto floors = read_floors();
  REQUIRE_FALSE(floors.empty());
  for (const auto& [header, includes] : read_headers().ours) {
    INFO("include/fulgurite/" << header);
    CHECK(floor_of(floors, header).has_value());
  }
}

TEST_CASE("a header includes its own floor or one below") {
  const auto floors = read_floors();
  const auto headers = read_headers();
  REQUIRE_FALSE(headers.ours.empty());
  for (const auto& [header, includes] : headers.ours) {
    for (const auto& included : includes) {
      INFO("include/fulgurite/" << header << " includes <fulgurite/" << included << ">");
      CHECK(headers.ours.contains(included));
      CHECK(floor_of(floors, included).value_or(99) <= floor_of(floors, header).value_or(-1));
    }
  }
}

TEST_CASE("floors 0 and 2 do not reach LibTorch or range-v3") {
  const auto floors = read_floors();
  const auto headers = read_headers();
  for (const auto& [header, includes] : headers.ours) {
    const auto floor = floor_of(floors, header);
    if (floor != 0 && floor != 2) continue;
    std::set<std::string> seen;
    INFO(chain_to_tensors(headers, header, seen));
    seen.clear();
    CHECK(chain_to_tensors(headers, header, seen).empty());
  }
}

TEST_CASE("headers include each other as <fulgurite/...>, and no whole library") {
  for (const auto& [header, includes] : read_headers().others) {
    for (const auto& included : includes) {
      INFO("include/fulgurite/" << header << " includes " << included);
      CHECK_FALSE(included.starts_with("."));
      CHECK_FALSE(included.ends_with("range/v3/all.hpp"));
      CHECK_FALSE(included.ends_with("boost/hana.hpp"));
    }
  }
}

TEST_CASE("the longest entry decides a header's floor") {
  const std::map<std::string, int> floors{{"optim", 1}, {"optim/optimizer", 0}, {"trainer", 2}};
  CHECK(floor_of(floors, "optim.hpp") == 1);
  CHECK(floor_of(floors, "optim/sgd.hpp") == 1);
  CHECK(floor_of(floors, "optim/optimizer.hpp") == 0);
  CHECK(floor_of(floors, "optim/optimizer_group.hpp") == 1);
  CHECK(floor_of(floors, "trainer.hpp") == 2);
  CHECK_FALSE(floor_of(floors, "unknown/x.hpp").has_value());
}
