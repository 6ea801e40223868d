// SPDX-License-Identifier: MIT
// Tests of sequences: what is drawn from a seed, the same by every compiler, and how one that fails is made as small as it
// still fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <random>
#include <type_traits>
#include <utility>

namespace support {

/// std::mt19937_64 is the same everywhere, distributions are not.
class Drawing {
 public:
  explicit Drawing(std::uint64_t seed) : engine_(seed) {}

  int below(int count) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(count)); }
  /// Either included.
  int between(int first, int last) { return first + below(last - first + 1); }
  bool one_in(int count) { return below(count) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int>(choices.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given ? std::strtoull(given, nullptr, 10) : otherwise;
}

/// Tries smaller sequences as long as one of them still fails: without a move, without an act, with a number at its
/// simplest, halfway there or one nearer. A sequence has a `setup` and `moves`, a move has `acts`, and
/// `for_each_number(each, f)` calls f(name, number, simplest) for the numbers of either.
template <class Sequence>
Sequence shrunk(Sequence sequence, const std::type_identity_t<std::function<bool(const Sequence&)>>& fails) {
  const auto try_with = [&](const auto& change) {
    Sequence smaller = sequence;
    if (!change(smaller) || !fails(smaller)) return false;
    sequence = std::move(smaller);
    return true;
  };
  const auto simplify_numbers = [&](const auto& part_of) {  // part_of(sequence): a setup, a move or an act
    bool simplified = false;
    int count = 0;
    for_each_number(part_of(sequence), [&](const char*, int, int) { ++count; });
    for (int at = 0; at < count; ++at) {
      for (int way = 0; way < 3; ++way) {
        while (try_with([&](Sequence& smaller) {
          int index = 0;
          bool changed = false;
          for_each_number(part_of(smaller), [&](const char*, int& number, int simplest) {
            if (index++ != at || number == simplest) return;
            const int distance = number - simplest, before = number;
            number = way == 0 ? simplest : way == 1 ? simplest + distance / 2 : number - (distance > 0 ? 1 : -1);
            changed = number != before;
          });
          return changed;
        })) {
          simplified = true;
        }
      }
    }
    return simplified;
  };
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (std::size_t i = sequence.moves.size(); i-- > 0;) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      goes_on |= try_with([&](Sequence& smaller) { return smaller.moves.erase(smaller.moves.begin() + at), true; });
    }
    for (std::size_t i = 0; i < sequence.moves.size(); ++i) {
      for (std::size_t j = sequence.moves[i].acts.size(); j-- > 0;) {
        const auto at = static_cast<std::ptrdiff_t>(j);
        goes_on |= try_with([&](Sequence& smaller) {
          auto& acts = smaller.moves[i].acts;
          return acts.erase(acts.begin() + at), true;
        });
      }
      goes_on |= simplify_numbers([&](Sequence & of) -> auto& { return of.moves[i]; });
      for (std::size_t j = 0; j < sequence.moves[i].acts.size(); ++j) {
        goes_on |= simplify_numbers([&](Sequence & of) -> auto& { return of.moves[i].acts[j]; });
      }
    }
    goes_on |= simplify_numbers([](Sequence & of) -> auto& { return of.setup; });
  }
  return sequence;
}

}  // namespace support
