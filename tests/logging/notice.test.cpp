// SPDX-License-Identifier: MIT
#include <fulgurite/logging/notice.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

#include "support/notices.hpp"

namespace fg = fulgurite;

namespace {

/// What `say` writes to the standard error stream.
template <class Say>
std::string written(const Say& say) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  std::fflush(stderr);
  const int before = dup(2);
  dup2(fileno(file), 2);
  say();
  std::fflush(stderr);
  dup2(before, 2);
  close(before);
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("a notice is one line on the standard error stream") {
  CHECK(written([] { fg::detail::notice("fulgurite: nothing was done"); }) == "fulgurite: nothing was done\n");
}

TEST_CASE("a handler takes notices instead, and the one before is given back") {
  support::Notices outer;
  {
    support::Notices inner;
    CHECK(written([] { fg::detail::notice("one"); }).empty());
    CHECK(inner.all == std::vector<std::string>{"one"});
  }
  fg::detail::notice("two");
  CHECK(outer.text() == "two\n");
  const auto handler = fg::set_notice_handler({});
  CHECK(handler);
  CHECK(written([] { fg::detail::notice("three"); }) == "three\n");
  fg::set_notice_handler(handler);
}
