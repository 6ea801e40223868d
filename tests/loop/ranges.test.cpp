// SPDX-License-Identifier: MIT
// Which batches a fit takes from a range, and which of them it announces as the last one.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <iterator>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

struct Diary : toy::Model {
  std::vector<double> batches, lasts;

  auto training_step(double batch, auto& step) {
    batches.push_back(batch);
    if (step.is_last_batch()) lasts.push_back(batch);
    return toy::Loss{&weight, batch};
  }
};

/// 1, 2, …, count; single-pass, of a size that it does not tell.
struct Stream {
  struct Iterator {
    int count;
    int at = 1;
    double operator*() const { return at; }
    void operator++() { ++at; }
    bool operator!=(std::default_sentinel_t) const { return at <= count; }
  };
  int count;
  Iterator begin() const { return {count}; }
  std::default_sentinel_t end() const { return {}; }
};

/// Says that it has more than it has.
struct Boastful : toy::Range {
  std::size_t size() const { return 9; }
};

template <class Range>
Diary diary_of(const Range& range) {
  Diary model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{1}};
  trainer.fit(range);
  CHECK(trainer.progress().epoch == 1);
  return model;
}

const toy::Range five = toy::counting(5);

}  // namespace

TEST_CASE("the last batch of an epoch is announced, whatever the kind of range, and closes its window") {
  for (const Diary& diary : {diary_of(five), diary_of(std::forward_list<double>(five.begin(), five.end())), diary_of(Stream{5})}) {
    CHECK(diary.batches == five);
    CHECK(diary.lasts == toy::Range{5.0});
    CHECK(diary.weight.value == -(2.5 + 5.0));
  }
}

TEST_CASE("a range that is shorter than its size ends where it ends, and its last window is closed") {
  const Diary diary = diary_of(Boastful{five});
  CHECK(diary.batches == five);
  CHECK(diary.lasts.empty());
  CHECK(diary.weight.value == -(2.5 + 5.0));
}
