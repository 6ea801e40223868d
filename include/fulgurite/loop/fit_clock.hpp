// SPDX-License-Identifier: MIT
// How long a training has run: what fg::MaxTime counts, and what a checkpoint carries over.
#pragma once

#include <chrono>
#include <optional>

namespace fulgurite::detail {

class FitClock {
  using Clock = std::chrono::steady_clock;

 public:
  using Duration = std::chrono::duration<double>;

  /// Begins anew.
  void reset() { before_ = Duration::zero(); }

  /// Runs while what it returns lives.
  [[nodiscard]] auto run() {
    started_ = Clock::now();
    struct Stop {
      FitClock* clock;
      ~Stop() {
        clock->before_ = clock->elapsed();
        clock->started_.reset();
      }
    };
    return Stop{this};
  }

  bool runs() const { return started_.has_value(); }
  Duration elapsed() const { return before_ + (started_ ? Duration(Clock::now() - *started_) : Duration::zero()); }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    double seconds = elapsed().count();
    archive("seconds", seconds);
    if constexpr (Archive::loads) before_ = Duration(seconds);
  }

 private:
  Duration before_ = Duration::zero();
  std::optional<Clock::time_point> started_;
};

}  // namespace fulgurite::detail
