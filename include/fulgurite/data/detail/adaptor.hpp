// SPDX-License-Identifier: MIT
// What `range | fg::data::batch(32)` stands on: the pipe, and how an adaptor keeps the range it is given.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <range/v3/range/concepts.hpp>

#include <fulgurite/concepts/batches.hpp>

namespace fulgurite::data::detail {

// range-v3's own closures take only what it calls a viewable range, which LibTorch's loaders and a vector
// that nobody else owns are not; this one takes any range of batches.
template <class Make>
struct Adaptor {
  Make make;

  // By value: with a reference to a temporary, g++ 14 warns that the result dangles in a range-for (-Wdangling-reference).
  template <Batches Range>
  friend auto operator|(Range&& range, const Adaptor adaptor) {
    return adaptor.make(std::forward<Range>(range));
  }
};

template <class Make>
Adaptor(Make) -> Adaptor<Make>;

template <class Range>
inline constexpr bool is_borrowed =
    std::is_lvalue_reference_v<Range> && !ranges::enable_view<std::remove_cvref_t<Range>>;

// A container that somebody else owns is pointed to; a view is copied and anything unowned moved in. Either
// way a `Held` is cheap to copy and default constructible, as range-v3 asks of a view, and its copies share
// one range, so that all of them hear of a new epoch.
template <class Range>
using Held = std::conditional_t<is_borrowed<Range>, std::remove_reference_t<Range>*,
                                std::shared_ptr<std::remove_cvref_t<Range>>>;

template <class Range>
Held<Range> hold(Range&& range) {
  if constexpr (is_borrowed<Range>) {
    return std::addressof(range);
  } else {
    return std::make_shared<std::remove_cvref_t<Range>>(std::forward<Range>(range));
  }
}

template <class Holder>
using HeldRange = std::remove_reference_t<decltype(*std::declval<const Holder&>())>;

}  // namespace fulgurite::data::detail
