// SPDX-License-Identifier: MIT
// Follows the includes of include/fulgurite. A floor is a set of folders (cmake/FulguriteFloors.cmake); a header includes its
// own floor or one below, and floor 2, which is written against concepts, includes floor 0 only. Folders form no circle.
// Floors 0 and 2 reach neither LibTorch nor range-v3, and Fulgurite::core has exactly the headers that reach neither.
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
using Complaints = std::vector<std::string>;

const fs::path include_root = fs::path(FULGURITE_SOURCE_DIR) / "include";

// The folder `x` of `x/y.hpp`, `x/detail/y.hpp` and of `x.hpp`, the header beside it.
std::string folder_of(const std::string& header) {
  return header.substr(0, header.find_first_of("/."));
}

// What CMake wrote: the floor of each folder, and the headers of Fulgurite::core.
struct Floors {
  std::map<std::string, int> of_folder;
  std::set<std::string> core;

  std::optional<int> of(const std::string& header) const {
    const auto found = of_folder.find(folder_of(header));
    return found == of_folder.end() ? std::nullopt : std::optional(found->second);
  }
};

Floors read_floors() {
  std::ifstream file(FULGURITE_FLOORS_FILE);
  Floors floors;
  for (std::string entry, where; file >> entry >> where;) {
    if (where == "core") {
      floors.core.insert(entry);
    } else {
      floors.of_folder[entry] = std::stoi(where);
    }
  }
  if (floors.of_folder.empty() || floors.core.empty()) throw std::runtime_error("no floors in " FULGURITE_FLOORS_FILE);
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

// The core may include the standard library, POSIX and Boost.Hana; all else is LibTorch, range-v3 or their kind.
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
std::string chain_to_tensors(const Headers& headers, const std::string& header) {
  std::set<std::string> seen;
  return chain_to_tensors(headers, header, seen);
}

// "logging/metric.hpp, floor 0"
std::string place_of(const Floors& floors, const std::string& header) {
  const auto floor = floors.of(header);
  return header + (floor ? ", floor " + std::to_string(*floor) : ", no floor");
}

// Headers on no floor, and floors of nothing.
Complaints without_floor(const Headers& headers, const Floors& floors) {
  Complaints complaints;
  std::set<std::string> folders;
  for (const auto& [header, includes] : headers.ours) {
    folders.insert(folder_of(header));
    if (!floors.of(header))
      complaints.push_back(header + " is on no floor: give its folder one in cmake/FulguriteFloors.cmake");
  }
  for (const auto& [folder, floor] : floors.of_folder) {
    if (!folders.contains(folder)) complaints.push_back(folder + " has a floor, but is no folder of include/fulgurite");
  }
  return complaints;
}

// Includes that point up, or from floor 2 to tensors.
Complaints wrong_includes(const Headers& headers, const Floors& floors) {
  Complaints complaints;
  for (const auto& [header, includes] : headers.ours) {
    for (const auto& included : includes) {
      const auto from = floors.of(header), to = floors.of(included);
      const auto sentence = "[" + place_of(floors, header) + "] includes [" + place_of(floors, included) + "]";
      if (!from || !to) continue;
      if (*to > *from) complaints.push_back(sentence + ": an include points to its own floor or one below");
      if (*from == 2 && *to == 1) complaints.push_back(sentence + ": floor 2 includes floor 0 only");
    }
  }
  return complaints;
}

// A circle of folders, as the includes that close it; empty if there is none.
Complaints circle_of_folders(const Headers& headers) {
  std::map<std::string, std::map<std::string, std::string>> arrows;  // from a folder to another, with one include that does it
  for (const auto& [header, includes] : headers.ours) {
    for (const auto& included : includes) {
      if (folder_of(header) != folder_of(included)) {
        arrows[folder_of(header)].emplace(folder_of(included), header + " includes " + included);
      }
    }
  }
  // What no arrow leaves is part of no circle, nor are arrows to it; in the end only circles are left, and what leads to them.
  for (bool again = true; again;) {
    again = false;
    for (auto& [from, to] : arrows) {
      again |= std::erase_if(to, [&](const auto& arrow) {
                 const auto next = arrows.find(arrow.first);
                 return next == arrows.end() || next->second.empty();
               }) > 0;
    }
    std::erase_if(arrows, [](const auto& each) { return each.second.empty(); });
  }
  if (arrows.empty()) return {};
  std::vector<std::string> walked{arrows.begin()->first};
  Complaints includes;
  while (std::ranges::count(walked, walked.back()) == 1) {
    const auto& [next, include] = *arrows.at(walked.back()).begin();
    walked.push_back(next);
    includes.push_back(include);
  }
  includes.erase(includes.begin(), includes.begin() + (std::ranges::find(walked, walked.back()) - walked.begin()));
  return includes;
}

// Headers of floors 0 and 2 that reach LibTorch or range-v3, and what CMake took for the core by mistake.
Complaints wrong_core(const Headers& headers, const Floors& floors) {
  Complaints complaints;
  for (const auto& [header, includes] : headers.ours) {
    const auto chain = chain_to_tensors(headers, header);
    const auto floor = floors.of(header);
    if ((floor == 0 || floor == 2 || header == "core.hpp") && !chain.empty()) {
      complaints.push_back("[" + place_of(floors, header) + "] must not reach LibTorch or range-v3: " + chain);
    }
    if (floors.core.contains(header) != chain.empty()) {
      complaints.push_back(header + (chain.empty() ? " reaches no LibTorch, but is not in" : " is in") +
                           " Fulgurite::core: configure again" + (chain.empty() ? "" : ": " + chain));
    }
  }
  return complaints;
}

// Includes that name nothing, or a whole library.
Complaints unclear_includes(const Headers& headers) {
  Complaints complaints;
  for (const auto& [header, includes] : headers.unreadable) {
    for (const auto& included : includes) complaints.push_back(header + " includes " + included + ", which is not there");
  }
  for (const auto& [header, includes] : headers.others) {
    for (const auto& included : includes) {
      if (included.ends_with("range/v3/all.hpp") || included.ends_with("boost/hana.hpp")) {
        complaints.push_back(header + " includes a whole library: " + included);
      }
    }
  }
  return complaints;
}

void require_none(const Complaints& complaints) {
  for (const auto& complaint : complaints) FAIL_CHECK("include/fulgurite: " << complaint);
  CHECK(complaints.empty());
}

}  // namespace

TEST_CASE("every folder is on a floor") {
  require_none(without_floor(read_headers(), read_floors()));
}

TEST_CASE("a header includes its own floor or one below, and floor 2 includes floor 0 only") {
  require_none(wrong_includes(read_headers(), read_floors()));
}

TEST_CASE("folders that include each other form no circle") {
  require_none(circle_of_folders(read_headers()));
}

TEST_CASE("floors 0 and 2 reach neither LibTorch nor range-v3, and the core has all headers that don't") {
  require_none(wrong_core(read_headers(), read_floors()));
}

TEST_CASE("every include names a file that is there, and no whole library") {
  require_none(unclear_includes(read_headers()));
}

namespace {

// A small library whose headers are `texts`.
struct Library {
  support::TemporaryFolder folder;
  Floors floors{.of_folder = {{"detail", 0}, {"hooks", 0}, {"optim", 1}, {"loop", 2}, {"callbacks", 3}, {"core", 4}},
                .core = {"core.hpp", "detail/inline.hpp", "hooks/hook.hpp", "loop/engine.hpp", "callbacks/stop.hpp"}};
  std::map<std::string, std::string> texts{
      {"core.hpp", "#include \"loop/engine.hpp\"\n"},
      {"detail/inline.hpp", "#include <vector>\n#include <boost/hana/type.hpp>\n"},
      {"hooks/hook.hpp", "#include \"../detail/inline.hpp\"\n#include <sys/stat.h>\n"},
      {"optim/sgd.hpp", "#include <ATen/core/Tensor.h>\n#include \"detail/momentum.hpp\"\n"},
      {"optim/detail/momentum.hpp", "#include <range/v3/view/iota.hpp>\n"},
      {"loop/engine.hpp", "#include <fulgurite/hooks/hook.hpp>\n"},
      {"callbacks/stop.hpp", "#include <fulgurite/loop/engine.hpp>\n"},
      {"optim.hpp", "#include \"optim/sgd.hpp\"\n"},
      {"callbacks/average.hpp", "#include <fulgurite/optim.hpp>\n"}};

  Headers headers(const std::string& header, const std::string& lines) {
    texts[header] += lines;
    for (const auto& [name, text] : texts) {
      fs::create_directories((folder.path / "fulgurite" / name).parent_path());
      support::write_file(folder.path / "fulgurite" / name, text);
    }
    return read_headers(folder.path);
  }
};

}  // namespace

TEST_CASE("headers on their floors give no complaint") {
  Library library;
  const auto headers = library.headers("core.hpp", "");
  CHECK(without_floor(headers, library.floors).empty());
  CHECK(wrong_includes(headers, library.floors).empty());
  CHECK(circle_of_folders(headers).empty());
  CHECK(wrong_core(headers, library.floors).empty());
  CHECK(unclear_includes(headers).empty());
}

TEST_CASE("a folder without a floor is found, and a floor without a folder") {
  Library library;
  library.floors.of_folder["gone"] = 1;
  CHECK(without_floor(library.headers("metrics/mean.hpp", ""), library.floors) ==
        Complaints{"metrics/mean.hpp is on no floor: give its folder one in cmake/FulguriteFloors.cmake",
                   "gone has a floor, but is no folder of include/fulgurite"});
}

TEST_CASE("an include that points up is found, in brackets and in quotes") {
  for (const auto* line : {"#include <fulgurite/loop/engine.hpp>\n", "#include \"../../loop/engine.hpp\"\n",
                           "  #  include \"fulgurite/loop/engine.hpp\"  // why\n"}) {
    Library library;
    INFO(line);
    CHECK(wrong_includes(library.headers("optim/detail/momentum.hpp", line), library.floors) ==
          Complaints{
              "[optim/detail/momentum.hpp, floor 1] includes [loop/engine.hpp, floor 2]: an include points to its own floor "
              "or one below"});
  }
  Library library;
  CHECK(wrong_includes(library.headers("loop/engine.hpp", "#include \"../core.hpp\"\n"), library.floors) ==
        Complaints{"[loop/engine.hpp, floor 2] includes [core.hpp, floor 4]: an include points to its own floor or one below"});
}

TEST_CASE("an include of tensors by floor 2 is found") {
  Library library;
  CHECK(wrong_includes(library.headers("loop/engine.hpp", "#include \"../optim/sgd.hpp\"\n"), library.floors) ==
        Complaints{"[loop/engine.hpp, floor 2] includes [optim/sgd.hpp, floor 1]: floor 2 includes floor 0 only"});
}

TEST_CASE("a circle of folders is found") {
  Library library;
  CHECK(circle_of_folders(library.headers("detail/inline.hpp", "#include \"../hooks/hook.hpp\"\n")) ==
        Complaints{"hooks/hook.hpp includes detail/inline.hpp", "detail/inline.hpp includes hooks/hook.hpp"});
}

TEST_CASE("LibTorch in the core is found, and a core that CMake found of old headers") {
  Library library;
  const auto headers = library.headers("hooks/hook.hpp", "#include <caffe2/core.h>\n");
  library.floors.core = {"core.hpp", "detail/inline.hpp"};
  CHECK(wrong_core(headers, library.floors) ==
        Complaints{"[core.hpp, floor 4] must not reach LibTorch or range-v3: core.hpp -> loop/engine.hpp -> hooks/hook.hpp -> "
                   "<caffe2/core.h>",
                   "core.hpp is in Fulgurite::core: configure again: core.hpp -> loop/engine.hpp -> hooks/hook.hpp -> "
                   "<caffe2/core.h>",
                   "[hooks/hook.hpp, floor 0] must not reach LibTorch or range-v3: hooks/hook.hpp -> <caffe2/core.h>",
                   "[loop/engine.hpp, floor 2] must not reach LibTorch or range-v3: loop/engine.hpp -> hooks/hook.hpp -> "
                   "<caffe2/core.h>"});
  Library other;
  other.floors.core.erase("callbacks/stop.hpp");
  CHECK(wrong_core(other.headers("core.hpp", ""), other.floors) ==
        Complaints{"callbacks/stop.hpp reaches no LibTorch, but is not in Fulgurite::core: configure again"});
}

TEST_CASE("an include that cannot be followed is found, and one of a whole library") {
  Library library;
  CHECK(unclear_includes(library.headers("loop/engine.hpp",
                                         "#include \"gone.hpp\"\n#include <fulgurite/gone.hpp>\n#include FULGURITE_ENGINE\n"
                                         "#include <boost/hana.hpp>\n")) ==
        Complaints{"loop/engine.hpp includes \"gone.hpp\", which is not there",
                   "loop/engine.hpp includes <fulgurite/gone.hpp>, which is not there",
                   "loop/engine.hpp includes FULGURITE_ENGINE, which is not there",
                   "loop/engine.hpp includes a whole library: boost/hana.hpp"});
}
