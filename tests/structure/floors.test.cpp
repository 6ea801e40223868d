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
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"
#include "support/temporary_folder.hpp"

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
  std::map<std::string, std::vector<std::string>> ours;        // by path under include/fulgurite
  std::map<std::string, std::vector<std::string>> others;      // what else each of them includes
  std::map<std::string, std::vector<std::string>> unreadable;  // includes that name no file that can be found
};

/// The headers of `include`/fulgurite. A name in quotes is sought beside its header first, as the compiler does.
Headers read_headers(const fs::path& include = include_root) {
  static const std::regex include_line(R"re(^\s*#\s*(?:include|include_next|import)\b\s*(.*))re");
  static const std::regex named(R"re(^([<"])([^>"]+)[>"].*)re");
  Headers headers;
  const auto root = include / "fulgurite";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const auto name = fs::relative(entry.path(), root).generic_string();
    auto& ours = headers.ours[name];
    auto& others = headers.others[name];
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::smatch directive, match;
      if (!std::regex_search(line, directive, include_line)) continue;
      const auto what = directive[1].str();
      if (!std::regex_match(what, match, named)) {
        headers.unreadable[name].push_back(what);
        continue;
      }
      const auto included = match[2].str();
      const bool quoted = match[1] == "\"";
      fs::path path = include / included;
      if (quoted && fs::exists(entry.path().parent_path() / included)) path = entry.path().parent_path() / included;
      const auto of_ours = path.lexically_normal().lexically_relative(root).generic_string();
      if (fs::exists(path) && !of_ours.starts_with("..")) {
        ours.push_back(of_ours);
      } else if (quoted || included.starts_with("fulgurite/")) {
        headers.unreadable[name].push_back(what);
      } else {
        others.push_back(included);
      }
    }
  }
  if (headers.ours.empty()) throw std::runtime_error("no headers in " + root.string());
  return headers;
}

// What floors 0 and 2 may include are the standard library, POSIX and Boost.Hana; all else is LibTorch, range-v3 or their kind.
bool is_tensor_library(std::string_view included) {
  static constexpr std::array folders{"boost/hana/", "boost/hana.hpp", "sys/"};
  return included.find('/') != std::string_view::npos &&
         std::ranges::none_of(folders, [&](std::string_view folder) { return included.starts_with(folder); });
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
  for (const auto& [header, includes] : headers.ours) {
    for (const auto& included : includes) {
      INFO("include/fulgurite/" << header << " includes fulgurite/" << included);
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

TEST_CASE("every include names a file that is there, and no whole library") {
  const auto headers = read_headers();
  for (const auto& [header, includes] : headers.unreadable) {
    for (const auto& included : includes) FAIL_CHECK("include/fulgurite/" << header << " includes " << included);
  }
  for (const auto& [header, includes] : headers.others) {
    for (const auto& included : includes) {
      INFO("include/fulgurite/" << header << " includes " << included);
      CHECK_FALSE(included.ends_with("range/v3/all.hpp"));
      CHECK_FALSE(included.ends_with("boost/hana.hpp"));
    }
  }
}

TEST_CASE("an include in quotes is followed, and one that cannot be is reported") {
  const support::TemporaryFolder folder;
  const auto root = folder.path / "fulgurite";
  fs::create_directories(root / "loop" / "detail");
  fs::create_directories(root / "optim");
  support::write_file(
      root / "loop/engine.hpp",
      "#include \"closure.hpp\"\n#include \"detail/parts.hpp\"  // internal\n  #  include \"../optim/sgd.hpp\"\n"
      "#include <fulgurite/optim/sgd.hpp>\n#include \"fulgurite/loop/closure.hpp\"\n"
      "#include \"gone.hpp\"\n#include <fulgurite/gone.hpp>\n#include FULGURITE_ENGINE\n#include <vector>\n");
  support::write_file(root / "loop/closure.hpp", "");
  support::write_file(root / "loop/detail/parts.hpp", "#include \"../../optim/sgd.hpp\"\n");
  support::write_file(root / "optim/sgd.hpp", "#include <caffe2/core.h>\n");
  const auto headers = read_headers(folder.path);
  CHECK(headers.ours.at("loop/engine.hpp") == std::vector<std::string>{"loop/closure.hpp", "loop/detail/parts.hpp",
                                                                       "optim/sgd.hpp", "optim/sgd.hpp", "loop/closure.hpp"});
  CHECK(headers.unreadable.at("loop/engine.hpp") ==
        std::vector<std::string>{"\"gone.hpp\"", "<fulgurite/gone.hpp>", "FULGURITE_ENGINE"});
  CHECK(headers.others.at("loop/engine.hpp") == std::vector<std::string>{"vector"});
  std::set<std::string> seen;
  CHECK(chain_to_tensors(headers, "loop/detail/parts.hpp", seen) ==
        "loop/detail/parts.hpp -> optim/sgd.hpp -> <caffe2/core.h>");
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
