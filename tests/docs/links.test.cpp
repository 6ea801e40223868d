// SPDX-License-Identifier: MIT
// What README.md, CONTRIBUTING.md and docs/ point to exists: relative links, and paths of the repository in backticks.
// Every page of docs/errors/ that a header names is there, and a program in tests/fail/ expects it.
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/files.hpp"

namespace {

namespace fs = std::filesystem;
using support::text_of;

const fs::path root = FULGURITE_SOURCE_DIR;

std::vector<fs::path> files_below(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == extension) files.push_back(entry.path());
  }
  if (files.empty()) throw std::runtime_error("no " + extension + " in " + folder.string());
  return files;
}

std::set<std::string> matches(const std::string& text, const std::regex& expression) {
  std::set<std::string> found;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), expression); it != std::sregex_iterator(); ++it) {
    found.insert((*it)[1].str());
  }
  return found;
}

}  // namespace

TEST_CASE("documents point to what exists") {
  static const std::regex link(R"re(\]\(([^)#:]+)(?:#[^)]*)?\))re");
  static const std::regex path(R"re(`((?:tests|examples|include|scripts|docs|cmake|benchmarks)/[A-Za-z0-9_./-]+)`)re");
  auto documents = files_below(root / "docs", ".md");
  documents.push_back(root / "README.md");
  documents.push_back(root / "CONTRIBUTING.md");
  for (const auto& document : documents) {
    const auto text = text_of(document);
    INFO(document.string());
    for (const auto& target : matches(text, link)) {
      INFO("link to " << target);
      CHECK(fs::exists(document.parent_path() / target));
    }
    for (const auto& target : matches(text, path)) {
      INFO("path " << target);
      CHECK(fs::exists(root / target));
    }
  }
}

TEST_CASE("every error that a header names has its page, and a program that meets it") {
  static const std::regex named(R"re(docs/errors/([a-z-]+)\.md)re");
  static const std::regex expected(R"re(docs/errors/([a-z-]+)\\\.md)re");
  std::set<std::string> pages, met, in_headers;
  for (const auto& file : files_below(root / "docs/errors", ".md")) pages.insert(file.stem().string());
  for (const auto& file : files_below(root / "tests/fail", ".cpp")) met.merge(matches(text_of(file), expected));
  for (const auto& file : files_below(root / "include", ".hpp")) in_headers.merge(matches(text_of(file), named));
  for (const auto& page : in_headers) {
    INFO(page);
    CHECK(pages.contains(page));
    CHECK(met.contains(page));
  }
  pages.erase("README");
  for (const auto& page : pages) {
    INFO(page << ".md is named by no header");
    CHECK(in_headers.contains(page));
  }
}
