// SPDX-License-Identifier: MIT
// Every text that the library may give at run time, in an error, a notice or a listing, is quoted whole by a test: one that
// provokes it, and sees whether it is so and what it advises works.
#include <catch2/catch_test_macros.hpp>

#include <cctype>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"

namespace {

namespace fs = std::filesystem;

const fs::path root = FULGURITE_SOURCE_DIR;

/// Texts that no test quotes, with the reason.
const std::map<std::string, std::string> exceptions{
    {"a text of more than 4 GiB has no place in it", "a test would need that memory"},
    {"builtins int", "the name of a class, which messages show with a dot"},
    {"fulgurite crc32", "what files end with"},
};

struct Token {
  std::string text;
  bool is_literal = false;
};

/// Splits C++ into literals, names and signs; comments and preprocessor lines are left out.
std::vector<Token> tokens_of(std::string_view code) {
  std::vector<Token> tokens;
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  std::size_t at = 0;
  const auto skip_to = [&](std::string_view end) {
    const auto found = code.find(end, at);
    at = found == std::string_view::npos ? code.size() : found + end.size();
  };
  // The character that an escape stands for; nothing for the end of a line.
  const auto add_escaped = [&](std::string& text) {
    const char c = code[++at];
    ++at;
    if (c == 'x' || (c >= '0' && c <= '7')) {
      unsigned value = c == 'x' ? 0 : static_cast<unsigned>(c - '0');
      const std::string_view digits = c == 'x' ? "0123456789abcdef" : "01234567";
      for (int count = c == 'x' ? 8 : 2; count > 0; --count, ++at) {
        const auto digit = digits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(code[at]))));
        if (digit == std::string_view::npos) break;
        value = value * static_cast<unsigned>(digits.size()) + static_cast<unsigned>(digit);
      }
      text += static_cast<char>(value);
    } else if (c != '\n') {
      text += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  };
  bool line_begins = true;
  while (at < code.size()) {
    const char c = code[at];
    const std::string_view rest = code.substr(at);
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      line_begins |= c == '\n';
      ++at;
    } else if (rest.starts_with("//")) {
      skip_to("\n");
      line_begins = true;
    } else if (rest.starts_with("/*")) {
      skip_to("*/");
    } else if (c == '#' && line_begins) {
      while (at < code.size() && code[at] != '\n') at += code[at] == '\\' ? 2 : 1;
    } else if (rest.starts_with("R\"")) {
      const auto open = code.find('(', at);
      const std::string end = ")" + std::string(code.substr(at + 2, open - at - 2)) + "\"";
      at = open + 1;
      const auto begin = at;
      skip_to(end);
      tokens.push_back({std::string(code.substr(begin, at - end.size() - begin)), true});
    } else if (c == '"') {
      std::string text;
      for (++at; at < code.size() && code[at] != '"';) {
        if (code[at] == '\\') {
          add_escaped(text);
        } else {
          text += code[at++];
        }
      }
      ++at;
      tokens.push_back({std::move(text), true});
    } else if (c == '\'') {
      for (++at; code[at] != '\''; ++at) at += code[at] == '\\' ? 1 : 0;
      ++at;
      tokens.push_back({"'"});
    } else {
      const auto begin = at++;
      const bool is_number = std::isdigit(static_cast<unsigned char>(c)) != 0;
      while (is_word(c) && at < code.size() && (is_word(code[at]) || (is_number && code[at] == '\''))) ++at;
      tokens.push_back({std::string(code.substr(begin, at - begin))});
    }
    if (c != '\n' && std::isspace(static_cast<unsigned char>(c)) == 0 && !rest.starts_with("//")) line_begins = false;
  }
  return tokens;
}

/// Literals, those side by side as one. `said`: only what may be said at run time, not what a value is compared with, what
/// static_assert says, or what is given to a macro of the library.
std::vector<std::string> texts_of(std::string_view code, bool said) {
  const std::vector<Token> tokens = tokens_of(code);
  const auto is = [&](std::size_t i, std::string_view text) {
    return i < tokens.size() && !tokens[i].is_literal && tokens[i].text == text;
  };
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].is_literal) {
      const bool is_for_compiler = tokens[i].text == "static_assert" || tokens[i].text.starts_with("FULGURITE_");
      if (!said || !is_for_compiler || !is(i + 1, "(")) continue;
      int depth = 0;
      do {
        ++i;
        depth += is(i, "(") ? 1 : is(i, ")") ? -1 : 0;
      } while (depth > 0 && i < tokens.size());
      continue;
    }
    const std::size_t first = i;
    std::string text = tokens[i].text;
    while (i + 1 < tokens.size() && tokens[i + 1].is_literal) text += tokens[++i].text;
    const bool is_compared =
        first >= 2 && (is(first - 1, "=") ? is(first - 2, "=") || is(first - 2, "!")
                                          : is(first - 1, "(") && (is(first - 2, "starts_with") || is(first - 2, "ends_with")));
    if (!said || !is_compared) texts.push_back(std::move(text));
  }
  return texts;
}

/// A text without who says it, which some callers leave out, and without blanks around it.
std::string trimmed(std::string_view text) {
  constexpr std::string_view speaker = "fulgurite: ";
  if (text.starts_with(speaker)) text.remove_prefix(speaker.size());
  const auto first = text.find_first_not_of(" \n"), last = text.find_last_not_of(" \n");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

/// Several words, and no format of printf.
bool is_sentence(std::string_view text) {
  return text.size() >= 8 && text.find(' ') != std::string_view::npos && text.find('%') == std::string_view::npos;
}

/// All literals of the tests but these.
std::string quotes() {
  std::string all;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    const fs::path& file = entry.path();
    if (file.extension() != ".cpp" && file.extension() != ".hpp") continue;
    if (file == root / "tests/structure/quoted_texts.test.cpp") continue;
    for (const std::string& text : texts_of(support::text_of(file), false)) all += text + '\0';
  }
  return all;
}

}  // namespace

TEST_CASE("every text of an error, a notice or a listing is quoted by a test") {
  const std::string quoted = quotes();
  std::size_t found = 0;
  std::vector<std::string> unquoted;
  for (const auto& entry : fs::recursive_directory_iterator(root / "include")) {
    if (!entry.is_regular_file()) continue;
    INFO(entry.path().string());
    for (const std::string& text : texts_of(support::text_of(entry.path()), true)) {
      const std::string sentence = trimmed(text);
      if (!is_sentence(sentence)) continue;
      ++found;
      INFO(sentence);
      if (exceptions.contains(sentence)) {
        unquoted.push_back(sentence);
      } else {
        const bool is_quoted = quoted.find(sentence) != std::string::npos;
        CHECK(is_quoted);
      }
    }
  }
  CHECK(found > 500);
  CHECK(unquoted.size() == exceptions.size());
}

TEST_CASE("texts are found where they are written, and joined as the compiler joins them") {
  const auto said = [](std::string_view code) { return texts_of(code, true); };
  using Texts = std::vector<std::string>;
  CHECK(said(R"code(throw Error("one " + std::to_string(1'000) + " thing\n"  // "no text"
                          "and \x41\"other\"");)code") == Texts{"one ", " thing\nand A\"other\""});
  CHECK(said("#include \"header\"\n/* \"no text\" */ const char c = '\"'; f(R\"x(a \"raw\" one)x\");") ==
        Texts{"a \"raw\" one"});
  CHECK(said("static_assert(works<(1 > 2)>, \"for the compiler\"); g(\"for the user\");") == Texts{"for the user"});
  CHECK(said("if (name == \"a name\" || name.starts_with(\"a beginning\")) refuse(\"it is so\");") == Texts{"it is so"});
  CHECK(said("FULGURITE_HOOK(setup, \"void setup()\");").empty());
  CHECK(texts_of("CHECK(a == \"a name\");", false) == Texts{"a name"});
  CHECK(trimmed("fulgurite: it is so: ") == "it is so:");
}
