// SPDX-License-Identifier: MIT
// Runs sequences on a kind of trainer and on the reference, and compares after each move.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

#include "drawing.hpp"
#include "moves.hpp"
#include "program.hpp"
#include "reference.hpp"
#include "support/drawing.hpp"
#include "support/notices.hpp"
#include "trainers.hpp"

namespace sequences {

/// The first difference, after which move; empty if there is none.
template <class Side>
std::string first_difference(const Sequence& sequence) {
  const support::Notices notices;  // of fits that train nothing, and such
  Library<Side> library(Side::kind, sequence.setup);
  Reference reference(Side::kind, sequence.setup);
  for (std::size_t i = 0; i < sequence.moves.size(); ++i) {
    const Report made = library.apply(sequence.moves[i]), wanted = reference.apply(sequence.moves[i]);
    const std::string differs = difference(made, wanted);
    if (!differs.empty()) return "after move " + std::to_string(i + 1) + ", library and reference: " + differs;
  }
  return {};
}

/// FULGURITE_SEQUENCES sequences, from the seed FULGURITE_SEED on.
template <class Side>
void compare() {
  const std::uint64_t first = support::number_from_environment("FULGURITE_SEED", 1);
  const std::uint64_t count = support::number_from_environment("FULGURITE_SEQUENCES", 300);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Sequence sequence = draw_sequence(seed, Side::kind);
    if (first_difference<Side>(sequence).empty()) continue;
    const Sequence small =
        support::shrunk(sequence, [](const Sequence& each) { return !first_difference<Side>(each).empty(); });
    FAIL("a trainer of the kind \"" << Side::kind.name << "\" differs from the reference in the sequence of seed " << seed
                                    << " (FULGURITE_SEED=" << seed << " FULGURITE_SEQUENCES=1 repeats it), shrunk to\n"
                                    << text_of(small) << first_difference<Side>(small));
  }
  SUCCEED();
}

}  // namespace sequences
