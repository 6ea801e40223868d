// SPDX-License-Identifier: MIT
// The index iterator is a random-access iterator, to the standard library and to range-v3.
#include <fulgurite/data/detail/index_iterator.hpp>

#include <cstdint>
#include <iterator>

#include <catch2/catch_test_macros.hpp>
#include <range/v3/iterator/concepts.hpp>

namespace {

struct Squares {
  std::int64_t operator[](std::int64_t index) const { return index * index; }
};

using Iterator = fulgurite::data::detail::IndexIterator<Squares>;

}  // namespace

static_assert(std::random_access_iterator<Iterator>);
static_assert(ranges::random_access_iterator<Iterator>);
static_assert(std::sized_sentinel_for<Iterator, Iterator>);

TEST_CASE("an index iterator moves as a pointer does") {
  Iterator it(Squares{}, 3);
  CHECK(*it == 9);
  CHECK(*it++ == 9);
  CHECK(*++it == 25);
  CHECK(*it-- == 25);
  CHECK(*--it == 9);
  CHECK(it[2] == 25);
  CHECK(*(it + 1) == 16);
  CHECK(*(1 + it) == 16);
  CHECK(*(it - 1) == 4);
  it += 4;
  CHECK(it - Iterator(Squares{}, 2) == 5);
  CHECK(it > it - 1);
  CHECK(it == Iterator(Squares{}, 7));
}
