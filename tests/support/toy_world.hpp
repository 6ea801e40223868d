// SPDX-License-Identifier: MIT
// A world of their own for toy models. What the loop asks of its backend, its loss scale and its optimizers is written down
// in order, and where: within which guard.
#pragma once

#include <fulgurite/core.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/toy.hpp"

namespace toy {

/// What was done, what the world answers, and what it has come to know.
struct World {
  std::vector<std::string> done{};
  std::vector<const char*> guards{};  // that are open

  std::string modes{};         // to be mentioned
  bool same_gradient = true;   // gradients on which an optimizer has stepped are still there
  bool losses_readable = true;
  std::string bad_gradient{};  // the name of a gradient that is not finite, once a loss was differentiated
  bool differentiated = false;
  std::vector<const Weight*> parameters{};  // that optimizers have told of
  bool all_told = false;                    // by all of them

  void note(std::string what) {
    if (!guards.empty()) what += std::string(" (") + guards.back() + ")";
    done.push_back(std::move(what));
  }
  std::vector<std::string> taken() { return std::exchange(done, {}); }
};

class WorldGuard {
 public:
  WorldGuard(World& world, const char* name) : world_(&world) { world.guards.push_back(name); }
  WorldGuard(const WorldGuard&) = delete;
  WorldGuard& operator=(const WorldGuard&) = delete;
  ~WorldGuard() { world_->guards.pop_back(); }

 private:
  World* world_;
};

/// The precision of a training in `world`.
struct Worldly {
  using slot = fg::slots::Precision;
  static constexpr fg::NumberFormat parameters = fg::NumberFormat::unchanged;
  static constexpr fg::NumberFormat autocast = fg::NumberFormat::unchanged;
  World* world;
};
/// The same with a loss scale.
struct Scaled : Worldly {
  fg::LossScaleOptions loss_scale() const { return {.initial_scale = 8.0}; }
};

/// Gradients above 1000 overflow.
struct LossScale {
  World* world;
  std::shared_ptr<double> factor = std::make_shared<double>(8.0);
  std::vector<std::shared_ptr<bool>> overflows{};

  template <class Optimizer>
  void attach(Optimizer& optimizer) {
    world->note("attach " + optimizer.name);
    overflows.push_back(std::make_shared<bool>(false));
    optimizer.set_loss_scale(factor, overflows.back());
  }
  void begin_backward() { world->note("begin_backward"); }
  void update() {
    world->note("update the loss scale");
    for (const auto& overflow : overflows) *factor *= std::exchange(*overflow, false) ? 0.5 : 1.0;
  }
  bool skipped(std::size_t optimizer) const { return *overflows.at(optimizer); }

  template <class Archive>
  void state(Archive& archive) {
    archive("factor", *factor);
  }
};

struct WorldGradients {
  World* world;
  std::string name;
  Weight* weight;
  double loss_scale;

  std::vector<Weight*> tensors() const { return weight->gradient == 0.0 ? std::vector<Weight*>{} : std::vector{weight}; }
  void divide_by_scale() const {
    world->note("unscale " + name);
    weight->gradient /= loss_scale;
  }
  void scale(double factor) {
    world->note("correct " + name);
    weight->gradient *= factor;
  }
  void clip_value(double max) {
    world->note("clip " + name);
    weight->gradient = std::clamp(weight->gradient, -max, max);
  }
};

template <class Precision>
class WorldBackend : public fg::PlainBackend {
 public:
  template <class>
  static constexpr bool supports_precision = true;
  static constexpr bool explains_errors = true;

  WorldBackend(fg::DevicePlace place, const Precision& precision)
      : PlainBackend(place, fg::ModelPrecision{}), world_(precision.world), loss_scale_{precision.world} {}

  LossScale& loss_scale()
    requires fg::ScalesLoss<Precision>
  {
    return loss_scale_;
  }

  template <class Batch, class Place, class Act>
  decltype(auto) in_context(const Batch&, const Place& place, const Act& act) const {
    try {
      return act();
    } catch (const std::domain_error& error) {
      throw std::runtime_error(std::string(error.what()) + " " + place());
    }
  }

  template <class Model>
  void prepare(Model&) const {
    world_->note("prepare");
  }
  WorldGuard forward_guard() const { return {*world_, "forward"}; }
  WorldGuard full_precision_guard() const { return {*world_, "full precision"}; }

  template <class Optimizer>
  void require_parameters(Optimizer& optimizer) const {
    world_->note("require parameters of " + optimizer.name);
  }
  template <class Model, class ForEachParameter>
  void note_parameters(Model&, const ForEachParameter& for_each) {
    world_->note("note parameters");
    tell(for_each);
  }
  template <class Model, class ForEachParameter>
  void require_same_parameters(Model&, const ForEachParameter& for_each) const {
    world_->note("require the same parameters");
    tell(for_each);
  }
  template <class Model>
  std::string modes_to_mention(Model&) const {
    return world_->modes;
  }

  template <class Optimizer>
  void note_gradient(std::size_t, Optimizer& optimizer) {
    world_->note("note the gradient of " + optimizer.name);
  }
  template <class Optimizer>
  bool has_same_gradient(std::size_t, Optimizer& optimizer) const {
    world_->note("compare the gradient of " + optimizer.name);
    return world_->same_gradient;
  }

  template <class Loss>
  void check_loss(const Loss&) const {
    world_->note("check the loss");
  }
  /// One that cannot be read leaves something behind that is not finite.
  template <class Loss>
  std::optional<double> host_value(const Loss& loss) const {
    std::optional<double> value = world_->losses_readable ? loss.value() : std::nan("");
    if (!world_->losses_readable) value.reset();
    return value;
  }
  template <class Loss>
  void backward(Loss& loss, double divisor) const {
    world_->note("backward");
    world_->differentiated = true;
    loss.backward((fg::ScalesLoss<Precision> ? *loss_scale_.factor : 1.0) / divisor);
  }
  template <class Model>
  std::string first_non_finite_gradient(Model&) const {
    return world_->differentiated ? world_->bad_gradient : "";
  }

 private:
  template <class ForEachParameter>
  void tell(const ForEachParameter& for_each) const {
    world_->parameters.clear();
    world_->all_told = for_each([&](const Weight& weight) { world_->parameters.push_back(&weight); });
  }

  World* world_;
  LossScale loss_scale_;
};

/// Skips a step whose gradient overflowed.
struct WorldSgd : Sgd {
  template <class Precision>
  using backend = WorldBackend<Precision>;

  World* world;
  std::string name = "it";
  std::shared_ptr<double> loss_scale = std::make_shared<double>(1.0);
  std::shared_ptr<bool> overflow = std::make_shared<bool>(false);

  void set_loss_scale(std::shared_ptr<double> scale, std::shared_ptr<bool> overflows) {
    loss_scale = std::move(scale);
    overflow = std::move(overflows);
  }
  void step() {
    world->note("step " + name);
    *overflow = std::abs(weight->gradient) > 1000.0;
    if (!*overflow) Sgd::step();
  }
  void zero_grad() {
    world->note("zero_grad " + name);
    Sgd::zero_grad();
  }
  WorldGradients gradients() const { return {world, name, weight, *loss_scale}; }
  void for_each_parameter(const auto& f) const { f(*weight); }
};
/// One that does not tell its parameters.
struct SecretiveSgd : WorldSgd {
  void for_each_parameter(const auto&) const = delete;
};

}  // namespace toy
