// SPDX-License-Identifier: MIT
// That a seed is a sequence, and that a failing one becomes small.
#include "drawing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

#include "moves.hpp"

namespace {

constexpr sequences::Kind kind{.name = "any", .accumulates = true, .callbacks = true, .skips = true};

bool fails_in_third_batch(const sequences::Sequence& sequence) {
  return std::ranges::any_of(sequence.moves, [](const sequences::Move& move) {
    return move.kind == sequences::Move::fit && move.batches >= 3 &&
           std::ranges::any_of(move.acts, [](const sequences::Act& act) {
             return act.deed == static_cast<int>(sequences::Deed::fail) && act.call >= 2;
           });
  });
}

}  // namespace

TEST_CASE("a seed draws the same sequences with every compiler") {
  std::uint64_t mixed = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    for (const char letter : text_of(sequences::draw_sequence(seed, kind)))
      mixed = mixed * 31 + static_cast<unsigned char>(letter);
  }
  CHECK(mixed == 0x8c6599991c8b9193u);
}

TEST_CASE("a sequence that fails is shrunk to what it fails by") {
  int shrunk = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto sequence = sequences::draw_sequence(seed, kind);
    if (!fails_in_third_batch(sequence)) continue;
    ++shrunk;
    auto small = support::shrunk(sequence, fails_in_third_batch);
    REQUIRE(small.moves.size() == 1);
    REQUIRE(small.moves[0].acts.size() == 1);
    small.moves[0].acts[0].hook = 0;  // which hook it is does not matter here
    CHECK(text_of(small) == "  setup: \n  1 fit: batches 3\n      on_fit_start, call 2: fail\n");
  }
  CHECK(shrunk > 10);
}
