// SPDX-License-Identifier: MIT
// What becomes of an epoch's last batch when the examples do not fill it.
#pragma once

#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>

namespace fulgurite::data {

enum class ShortBatch {
  keep,  ///< hand it out, short as it is: every example is seen
  drop,  ///< leave it out: all batches have one shape
};

inline std::ostream& operator<<(std::ostream& out, ShortBatch short_batch) {
  return out << (short_batch == ShortBatch::keep ? "keep" : "drop");
}

namespace detail {

// How many batches a number of examples makes.
constexpr std::int64_t batches_in(std::int64_t examples, std::int64_t batch_size, ShortBatch short_batch) {
  const std::int64_t full = examples / batch_size;
  return short_batch == ShortBatch::keep && examples % batch_size != 0 ? full + 1 : full;
}

inline std::int64_t checked_batch_size(std::int64_t batch_size) {
  if (batch_size >= 1) return batch_size;
  throw std::invalid_argument("fulgurite: a batch holds at least one example, but the batch size is " +
                              std::to_string(batch_size));
}

}  // namespace detail

}  // namespace fulgurite::data
