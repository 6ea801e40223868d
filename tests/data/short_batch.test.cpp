// SPDX-License-Identifier: MIT
// How many batches a number of examples makes.
#include <fulgurite/data/short_batch.hpp>

#include <sstream>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

using fulgurite::data::ShortBatch;
using fulgurite::data::detail::batches_in;

static_assert(batches_in(0, 4, ShortBatch::keep) == 0 && batches_in(0, 4, ShortBatch::drop) == 0);
static_assert(batches_in(3, 4, ShortBatch::keep) == 1 && batches_in(3, 4, ShortBatch::drop) == 0);
static_assert(batches_in(8, 4, ShortBatch::keep) == 2 && batches_in(8, 4, ShortBatch::drop) == 2);
static_assert(batches_in(9, 4, ShortBatch::keep) == 3 && batches_in(9, 4, ShortBatch::drop) == 2);

TEST_CASE("a short batch prints what becomes of it") {
  std::ostringstream out;
  out << ShortBatch::keep << ' ' << ShortBatch::drop;
  CHECK(out.str() == "keep drop");
}

TEST_CASE("a batch size below one is refused") {
  CHECK_THROWS_WITH(fulgurite::data::detail::checked_batch_size(0),
                    "fulgurite: a batch holds at least one example, but the batch size is 0");
}
