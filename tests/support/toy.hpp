// SPDX-License-Identifier: MIT
// A model of one double, so that every test can say the numbers: the gradient of a batch is the batch itself, and with
// a learning rate of 1 an update subtracts the mean of a window.
#pragma once

#include <fulgurite/core.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace toy {

namespace fg = fulgurite;

struct Weight {
  double value = 0.0;
  double gradient = 0.0;
};

struct Gradients {
  Weight* weight;

  void scale(double factor) { weight->gradient *= factor; }
  void clip_norm(double max, double /*norm_type*/) {
    weight->gradient *= std::min(1.0, max / std::abs(weight->gradient));
  }
  void clip_value(double max) { weight->gradient = std::clamp(weight->gradient, -max, max); }
};

/// Steps and zeroes, and can nothing else.
struct BareSgd {
  Weight* weight;

  void step() { weight->value -= weight->gradient; }
  void zero_grad() { weight->gradient = 0.0; }
};

struct Sgd {
  Weight* weight;
  double rate = 1.0;

  void step() { weight->value -= rate * weight->gradient; }
  void zero_grad() { weight->gradient = 0.0; }
  Gradients gradients() { return {weight}; }
  std::int64_t group_count() const { return 1; }
  double lr(std::int64_t) const { return rate; }
  void set_lr(std::int64_t, double lr) { rate = lr; }
};

/// With a momentum to be driven (it has no effect).
struct MomentumSgd : Sgd {
  double beta = 0.9;

  double momentum(std::int64_t) const { return beta; }
  void set_momentum(std::int64_t, double momentum) { beta = momentum; }
};

/// value() is weight times slope, so its gradient is the slope.
struct Loss {
  Weight* weight;
  double slope;

  double value() const { return weight->value * slope; }
  void backward(double scale) { weight->gradient += scale * slope; }
};

/// The smallest model that can be trained on a range of doubles.
struct Model {
  Weight weight;

  auto training_step(double batch, auto& /*step*/) { return Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(Sgd{&weight}); }
};

/// The same with two optimizers, a parameter for each; training_step is the test's own.
struct Pair : Model {
  Weight second;

  auto configure_optimizers() { return fg::optimizers(fg::optimizer(Sgd{&weight}), fg::optimizer(Sgd{&second})); }
};

using Range = std::vector<double>;

/// 1, 2, …, count.
inline Range counting(int count) {
  Range range;
  for (int i = 1; i <= count; ++i) range.push_back(i);
  return range;
}

}  // namespace toy
