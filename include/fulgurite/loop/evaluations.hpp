// SPDX-License-Identifier: MIT
// What is logged by the closure of an optimizer that evaluates it several times per step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <fulgurite/logging/metrics.hpp>

namespace fulgurite::detail {

/// One step of an optimizer that re-evaluates its closure (LBFGS): of all its evaluations only one counts in the metrics.
/// That is the last one, unless `keep` says otherwise.
class Evaluations {
 public:
  explicit Evaluations(Metrics& metrics) : metrics_(&metrics) {}

  /// Before each evaluation: what the one before has logged is put aside.
  void begin() {
    if (begun_++ == 0) {
      before_ = *metrics_;
    } else {
      earlier_.push_back(std::exchange(*metrics_, before_));
    }
  }

  /// After the step: evaluation number `index`, from 0, is the one that counts.
  void keep(std::int64_t index) {
    if (index >= 0 && index + 1 < begun_) *metrics_ = std::move(earlier_[static_cast<std::size_t>(index)]);
  }

 private:
  Metrics* metrics_;
  Metrics before_;
  std::vector<Metrics> earlier_;  // after each evaluation but the last
  std::int64_t begun_ = 0;
};

}  // namespace fulgurite::detail
