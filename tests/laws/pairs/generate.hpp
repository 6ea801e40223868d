// SPDX-License-Identifier: MIT
// Makes a short list of trainers that holds every pair of levels. Always the same list.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "laws/pairs/levels.hpp"

namespace pairs {

/// One row after the other: of several candidates, each grown around a pair that is still missing, the one with the most
/// pairs that are.
class Generator {
 public:
  std::vector<Row> rows() {
    for_each_pair([&](std::size_t first, int i, std::size_t second, int j) { missing_.insert({first, i, second, j}); });
    std::vector<Row> made;
    while (!missing_.empty()) {
      Row best{};
      std::size_t most = 0;
      for (int candidate = 0; candidate < 60; ++candidate) {
        const Row row = grown_around(*std::next(missing_.begin(), static_cast<std::ptrdiff_t>(draw(missing_.size()))));
        const std::size_t pairs = missing_in(row);
        if (pairs > most) {
          most = pairs;
          best = row;
        }
      }
      std::erase_if(missing_, [&](const Pair& pair) { return in(best, pair); });
      made.push_back(best);
    }
    return made;
  }

 private:
  using Pair = std::tuple<std::size_t, int, std::size_t, int>;

  static bool in(const Row& row, const Pair& pair) {
    const auto& [first, i, second, j] = pair;
    return has(row, first, i, second, j);
  }
  std::size_t missing_in(const Row& row) const {
    return static_cast<std::size_t>(std::count_if(missing_.begin(), missing_.end(), [&](const Pair& pair) { return in(row, pair); }));
  }

  Row grown_around(const Pair& pair) {
    Row row;
    row.fill(-1);
    row[std::get<0>(pair)] = std::get<1>(pair);
    row[std::get<2>(pair)] = std::get<3>(pair);
    std::array<std::size_t, factor_count> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw(i)]);
    for (const std::size_t factor : order) {
      if (row[factor] >= 0) continue;
      std::size_t most = 0;
      int best = -1;
      const int from = static_cast<int>(draw(static_cast<std::size_t>(level_count[factor])));
      for (int k = 0; k < level_count[factor]; ++k) {
        const int level = (from + k) % level_count[factor];
        if (!fits(row, factor, level)) continue;
        row[factor] = level;
        const std::size_t pairs = missing_in(row);
        if (best < 0 || pairs > most) {
          most = pairs;
          best = level;
        }
      }
      row[factor] = best;
    }
    return row;
  }

  static bool fits(const Row& row, std::size_t factor, int level) {
    for (std::size_t other = 0; other < factor_count; ++other) {
      if (other != factor && row[other] >= 0 && !go_together(factor, level, other, row[other])) return false;
    }
    return true;
  }

  /// A number below `bound`: the same ones on every machine.
  std::size_t draw(std::size_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::size_t>((state_ >> 33U) % bound);
  }

  std::set<Pair> missing_;
  std::uint64_t state_ = 14;
};

/// rows.hpp as it is to be.
inline std::string text_of(const std::vector<Row>& made) {
  std::ostringstream text;
  text << "// SPDX-License-Identifier: MIT\n"
          "// Trainers that together hold every pair of levels. Made by generate.hpp; rows.test.cpp says when it is to be made anew.\n"
          "#pragma once\n\n#include <array>\n\n#include \"laws/pairs/levels.hpp\"\n\nnamespace pairs {\n\n"
       << "inline constexpr std::array<Row, " << made.size() << "> rows{{\n";
  for (const Row& row : made) {
    text << "    Row{";
    for (std::size_t i = 0; i < row.size(); ++i) text << (i == 0 ? "" : ", ") << row[i];
    text << "},\n";
  }
  text << "}};\n\n}  // namespace pairs\n";
  return text.str();
}

}  // namespace pairs
