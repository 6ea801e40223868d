// SPDX-License-Identifier: MIT
// No code block of README.md, CONTRIBUTING.md or docs/ exists only there. Before each block stands its source,
//
//   <!-- quote: examples/area/file.cpp#region -->
//
// and the block equals, without common indentation, the lines of that file between
//
//   // [region]
//   // [/region]
//
// (`# [region]` in a script). A block that cannot be compiled says why: <!-- not compiled: reason -->.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

Lines read_lines(std::istream& input) {
  Lines lines;
  for (std::string line; std::getline(input, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    lines.push_back(line);
  }
  return lines;
}

// Without blank lines at either end and without the indentation that all lines share.
std::string normalized(Lines lines) {
  while (!lines.empty() && lines.front().empty()) lines.erase(lines.begin());
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  auto indentation = std::string::npos;
  for (const auto& line : lines) indentation = std::min(indentation, line.find_first_not_of(' '));
  std::string text;
  for (const auto& line : lines) text += (line.empty() ? line : line.substr(indentation)) + '\n';
  return text;
}

// Lines of nested regions' markers are no part of the quotation.
std::optional<std::string> region(const Lines& source, const std::string& name) {
  static const std::regex marker(R"re(^\s*(//|#) \[(/?)([a-z0-9_-]+)\]$)re");
  Lines lines;
  bool inside = false;
  for (const auto& line : source) {
    std::smatch match;
    if (std::regex_match(line, match, marker)) {
      if (match[3].str() != name) continue;
      if (match[2].length() > 0) return inside ? std::optional(normalized(lines)) : std::nullopt;
      inside = true;
    } else if (inside) {
      lines.push_back(line);
    }
  }
  return std::nullopt;
}

struct Block {
  std::size_t line = 0;   // of the opening fence
  std::string language;   // "" if none
  std::string announced;  // the last line with text before the fence
  std::string text;
};

std::vector<Block> code_blocks(const Lines& lines) {
  std::vector<Block> blocks;
  std::string announced;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto start = lines[i].find_first_not_of(' ');
    if (start == std::string::npos) continue;
    const std::string_view text = std::string_view(lines[i]).substr(start);
    if (!text.starts_with("```")) {
      announced = text;
      continue;
    }
    Block block{.line = i + 1, .language = std::string(text.substr(3)), .announced = announced, .text = {}};
    Lines body;
    for (++i; i < lines.size() && lines[i].substr(std::min(start, lines[i].size())) != "```"; ++i) body.push_back(lines[i]);
    block.text = normalized(body);
    blocks.push_back(block);
    announced.clear();
  }
  return blocks;
}

bool is_checked(const Block& block) {
  return block.language == "cpp" || block.language == "c++" || block.language == "bash" || block.language == "sh" ||
         block.language == "console" || block.language == "cmake";
}

// What is wrong with a block; empty if nothing is.
std::string complaint(const Block& block, const fs::path& source_dir) {
  static const std::regex not_compiled(R"re(^<!-- not compiled: \S.* -->$)re");
  static const std::regex quote(R"re(^<!-- quote: (\S+)#([a-z0-9_-]+) -->$)re");
  std::smatch match;
  if (std::regex_match(block.announced, not_compiled)) return {};
  if (!std::regex_match(block.announced, match, quote)) {
    return "is not announced by `<!-- quote: file#region -->` or `<!-- not compiled: reason -->`";
  }
  std::ifstream file(source_dir / match[1].str());
  if (!file) return "quotes " + match[1].str() + ", which does not exist";
  const auto expected = region(read_lines(file), match[2].str());
  if (!expected) return "quotes a region that " + match[1].str() + " does not have: " + match[2].str();
  if (*expected != block.text) return "differs from " + match[1].str() + "#" + match[2].str() + ":\n" + *expected;
  return {};
}

std::vector<fs::path> documents(const fs::path& source_dir) {
  std::vector<fs::path> paths;
  for (const auto* name : {"README.md", "CONTRIBUTING.md"}) paths.push_back(source_dir / name);
  const auto above = paths.size();
  for (const auto& entry : fs::recursive_directory_iterator(source_dir / "docs")) {
    if (entry.path().extension() == ".md") paths.push_back(entry.path());
  }
  if (paths.size() == above) throw std::runtime_error("no pages in " + (source_dir / "docs").string());
  return paths;
}

}  // namespace

TEST_CASE("every code block of the documentation is quoted from compiled code") {
  const fs::path source_dir = FULGURITE_SOURCE_DIR;
  for (const auto& path : documents(source_dir)) {
    std::ifstream file(path);
    INFO(path.string());
    REQUIRE(file);
    for (const auto& block : code_blocks(read_lines(file))) {
      if (!is_checked(block)) continue;
      const auto wrong = complaint(block, source_dir);
      INFO(fs::relative(path, source_dir).generic_string() << ":" << block.line << ": the block " << wrong);
      CHECK(wrong.empty());
    }
  }
}

TEST_CASE("a region is found, and loses its indentation and inner markers") {
  std::istringstream source("int a;\n  // [outer]\n  int b;\n\n    // [inner]\n    int c;\n  // [/inner]\n  // [/outer]\n  // [open]\n");
  const auto lines = read_lines(source);
  CHECK(region(lines, "outer") == "int b;\n\n  int c;\n");
  CHECK(region(lines, "inner") == "int c;\n");
  CHECK_FALSE(region(lines, "open").has_value());
  CHECK_FALSE(region(lines, "absent").has_value());
}

TEST_CASE("a code block that is not quoted, or not as it stands, is found") {
  std::istringstream document(
      "<!-- quote: tests/docs/quotes.test.cpp#sample -->\n```cpp\n[[maybe_unused]] int sample = 1;\n```\n"
      "<!-- quote: tests/docs/quotes.test.cpp#sample -->\n\n```cpp\nint sample = 2;\n```\n"
      "Some text\n```cpp\n[[maybe_unused]] int sample = 1;\n```\n"
      "<!-- not compiled: it is a sketch -->\n```cpp\n...\n```\n"
      "<!-- quote: absent.cpp#sample -->\n```cpp\n```\n"
      "```text\nanything\n```\n");
  const auto blocks = code_blocks(read_lines(document));
  REQUIRE(blocks.size() == 6);
  CHECK(complaint(blocks[0], FULGURITE_SOURCE_DIR).empty());
  CHECK(complaint(blocks[1], FULGURITE_SOURCE_DIR).find("differs from") == 0);
  CHECK(complaint(blocks[2], FULGURITE_SOURCE_DIR).find("is not announced") == 0);
  CHECK(complaint(blocks[3], FULGURITE_SOURCE_DIR).empty());
  CHECK(complaint(blocks[4], FULGURITE_SOURCE_DIR).find("quotes absent.cpp") == 0);
  CHECK_FALSE(is_checked(blocks[5]));
}

namespace {
// [sample]
[[maybe_unused]] int sample = 1;
// [/sample]
}  // namespace
