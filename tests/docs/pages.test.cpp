// SPDX-License-Identifier: MIT
// Pages of optimizers and schedules have one skeleton, and every optimizer and schedule has its page:
//
//   # Name
//   one sentence                           what it is (and at most one more)
//   Header: `fulgurite/<area>/<stem>.hpp`
//   | option | type | default | meaning |  a row an option
//   <!-- quote: ... -->                    an example
//   Differences from PyTorch: ...          if there are any
//   Source: ...
//   Test: ...
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/files.hpp"

namespace {

namespace fs = std::filesystem;
using support::text_of;

const fs::path root = FULGURITE_SOURCE_DIR;

// Paragraphs, lists, tables and blocks: what blank lines part. A blank line inside of a code block parts it too.
std::vector<std::string> parts_of(const std::string& page) {
  std::vector<std::string> parts;
  std::istringstream lines(page);
  bool inside = false;
  for (std::string line; std::getline(lines, line); inside = !line.empty()) {
    if (line.empty()) continue;
    if (!inside) parts.emplace_back();
    parts.back() += line + '\n';
  }
  return parts;
}

// The first deviation of a page from the skeleton; empty if there is none.
std::string flaw_of(const std::string& page, const std::string& header) {
  const auto parts = parts_of(page);
  const auto starts = [&](std::size_t part, const std::string& text) {
    return part < parts.size() && parts[part].starts_with(text);
  };
  if (!starts(0, "# ")) return "no title";
  static const std::regex sentence(R"re([A-Z][^]*\.\n)re");
  if (parts.size() < 2 || starts(1, "Header: ") || !std::regex_match(parts[1], sentence) || std::count(parts[1].begin(), parts[1].end(), '\n') > 2) {
    return "no sentence after the title";
  }
  if (!starts(2, "Header: `fulgurite/" + header + "`")) return "no line `Header: ` with " + header;
  static const std::regex table(R"re(\| (option|field|argument) \| type \| default \| meaning \|\n\|---\|---\|---\|---\|\n(\| [^\n]* \|\n)+)re");
  static const std::regex members(R"re(\| member \| meaning \|\n\|---\|---\|\n(\| [^\n]* \|\n)+)re");
  if (parts.size() < 4 || !(std::regex_match(parts[3], table) || std::regex_match(parts[3], members))) return "no table";
  if (!starts(4, "<!-- quote: ")) return "no example after the table";
  if (!starts(parts.size() - 2, "Source: ")) return "no source before the test";
  if (!starts(parts.size() - 1, "Test: `tests/")) return "no test at the end";
  for (std::size_t i = 5; i + 3 < parts.size(); ++i) {
    if (starts(i, "Differences from ")) return "differences are not the last thing before the source";
  }
  return {};
}

// The stems of a folder's pages.
std::set<std::string> documented(const fs::path& pages) {
  std::set<std::string> stems;
  for (const auto& entry : fs::directory_iterator(root / "docs" / "reference" / pages)) {
    if (entry.path().extension() == ".md" && entry.path().stem() != "README") stems.insert(entry.path().stem().string());
  }
  return stems;
}

void require_skeleton(const std::string& pages, const std::string& area) {
  const auto stems = documented(pages);
  REQUIRE(stems.size() >= 15);
  const auto overview = text_of(root / "docs" / "reference" / pages / "README.md");
  for (const auto& stem : stems) {
    INFO("docs/reference/" << pages << '/' << stem << ".md");
    const auto flaw =
        flaw_of(text_of(root / "docs" / "reference" / pages / (stem + ".md")), area + "/" + stem + ".hpp");
    INFO(flaw);
    CHECK(flaw.empty());
    CHECK(fs::exists(root / "include" / "fulgurite" / area / (stem + ".hpp")));
    CHECK(overview.find("](" + stem + ".md)") != std::string::npos);
  }
}

// Headers of `area` whose text has `mark` are those of entities that need a page.
void require_pages(const std::string& pages, const std::string& area, const std::regex& mark) {
  const auto stems = documented(pages);
  std::size_t found = 0;
  for (const auto& entry : fs::directory_iterator(root / "include" / "fulgurite" / area)) {
    if (entry.path().extension() != ".hpp" || !std::regex_search(text_of(entry.path()), mark)) continue;
    ++found;
    INFO(entry.path().filename().string() << " has no page in docs/reference/" << pages);
    CHECK(stems.contains(entry.path().stem().string()));
  }
  CHECK(found >= 15);
}

}  // namespace

TEST_CASE("pages of optimizers and schedules have one skeleton") {
  require_skeleton("optim", "optim");
  require_skeleton("schedulers", "schedulers");
}

TEST_CASE("every optimizer and every schedule has a page") {
  require_pages("optim", "optim", std::regex(R"re(\nstruct [A-Za-z]+Options \{)re"));
  require_pages("schedulers", "schedulers", std::regex(R"re(\n// Schedule: )re"));
}

TEST_CASE("a page that leaves something out is found") {
  const std::string title = "# Adam\n\n", sentence = "Steps.\n\n", header = "Header: `fulgurite/optim/adam.hpp`.\n\n",
                    table = "| option | type | default | meaning |\n|---|---|---|---|\n| `lr` | number | 1e-3 | rate |\n\n",
                    example = "<!-- quote: a.cpp#adam -->\n```cpp\nfg::Adam adam;\n```\n\n",
                    differences = "Differences from PyTorch: one.\n\n", source = "Source: Kingma.\n\n",
                    test = "Test: `tests/optim/adam.test.cpp`.\n";
  const auto flaw = [](const std::string& page) { return flaw_of(page, "optim/adam.hpp"); };
  CHECK(flaw(title + sentence + header + table + example + source + test).empty());
  CHECK(flaw(title + sentence + header + table + example + "More.\n\n" + differences + source + test).empty());
  CHECK(flaw(sentence + header + table + example + source + test) == "no title");
  CHECK(flaw(title + header + table + example + source + test) == "no sentence after the title");
  CHECK(flaw(title + sentence + table + example + source + test) == "no line `Header: ` with optim/adam.hpp");
  CHECK(flaw(title + sentence + header + example + source + test) == "no table");
  CHECK(flaw(title + sentence + header + table + source + test) == "no example after the table");
  CHECK(flaw(title + sentence + header + table + example + test) == "no source before the test");
  CHECK(flaw(title + sentence + header + table + example + source) == "no source before the test");
  CHECK(flaw(title + sentence + header + table + example + differences + "More.\n\n" + source + test) ==
        "differences are not the last thing before the source");
}
