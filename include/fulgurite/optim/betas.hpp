// SPDX-License-Identifier: MIT
// The decay rates of the Adam family.
#pragma once

namespace fulgurite {

/// Decay rates of two running means of the gradient.
struct Betas {
  double first = 0.9;     ///< of the gradient, in [0, 1)
  double second = 0.999;  ///< of its square, in [0, 1)

  constexpr const char* problem() const {
    const auto decays = [](double beta) { return beta >= 0.0 && beta < 1.0; };
    return decays(first) && decays(second) ? nullptr : "needs betas in [0, 1)";
  }

  friend constexpr bool operator==(Betas, Betas) = default;
};

}  // namespace fulgurite
