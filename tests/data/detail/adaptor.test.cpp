// SPDX-License-Identifier: MIT
// How adaptors keep the range that they were piped from: whose it is, and who sees it.
#include <fulgurite/data/detail/adaptor.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <range/v3/view/transform.hpp>

namespace inner = fulgurite::data::detail;

namespace {

using Numbers = std::vector<int>;
using View = decltype(std::declval<Numbers&>() | ranges::views::transform(std::negate<>()));

}  // namespace

static_assert(std::same_as<inner::Held<Numbers&>, Numbers*>);
static_assert(std::same_as<inner::Held<const Numbers&>, const Numbers*>);
static_assert(std::same_as<inner::Held<Numbers>, std::shared_ptr<Numbers>>);
static_assert(std::same_as<inner::Held<View&>, std::shared_ptr<View>>);
static_assert(std::same_as<inner::Held<const View&>, std::shared_ptr<View>>);
static_assert(std::same_as<inner::HeldRange<const Numbers*>, const Numbers>);

TEST_CASE("a container that has an owner is referred to, a temporary one is kept") {
  Numbers numbers{1, 2};
  CHECK(inner::hold(numbers) == &numbers);
  auto kept = inner::hold(std::move(numbers));
  CHECK(*kept == Numbers{1, 2});
  CHECK(numbers.empty());
}

TEST_CASE("an adaptor takes any range of batches through the pipe, even one that cannot be copied") {
  const auto count = inner::Adaptor{[]<class Range>(Range&& range) {
    auto held = inner::hold(std::forward<Range>(range));
    return *fulgurite::data::batch_count(*held);
  }};
  std::vector<std::unique_ptr<int>> movable(3);
  CHECK((movable | count) == 3);
  CHECK((std::move(movable) | count) == 3);
  CHECK((Numbers{1, 2} | count) == 2);
}
