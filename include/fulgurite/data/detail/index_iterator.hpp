// SPDX-License-Identifier: MIT
// A random-access iterator over anything with `source[index]`. It keeps a (shallow) copy of its source, so a
// pass that has begun goes on undisturbed when its range is destroyed or told of another epoch.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

namespace fulgurite::data::detail {

template <class Source>
class IndexIterator {
 public:
  using reference = decltype(std::declval<const Source&>()[std::int64_t{}]);
  using value_type = std::remove_cvref_t<reference>;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using iterator_concept = std::random_access_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // to C++17: elements are made when asked for

  IndexIterator() = default;
  IndexIterator(Source source, std::int64_t index) : source_(std::move(source)), index_(index) {}

  reference operator*() const { return source_[index_]; }
  reference operator[](difference_type offset) const { return source_[index_ + offset]; }

  IndexIterator& operator+=(difference_type offset) {
    index_ += offset;
    return *this;
  }
  IndexIterator& operator-=(difference_type offset) { return *this += -offset; }
  IndexIterator& operator++() { return *this += 1; }
  IndexIterator& operator--() { return *this += -1; }
  IndexIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  IndexIterator operator--(int) {
    auto before = *this;
    --*this;
    return before;
  }

  friend IndexIterator operator+(IndexIterator it, difference_type offset) { return it += offset; }
  friend IndexIterator operator+(difference_type offset, IndexIterator it) { return it += offset; }
  friend IndexIterator operator-(IndexIterator it, difference_type offset) { return it -= offset; }
  friend difference_type operator-(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ - b.index_;
  }
  friend bool operator==(const IndexIterator& a, const IndexIterator& b) { return a.index_ == b.index_; }
  friend auto operator<=>(const IndexIterator& a, const IndexIterator& b) { return a.index_ <=> b.index_; }

 private:
  Source source_{};
  std::int64_t index_ = 0;
};

}  // namespace fulgurite::data::detail
