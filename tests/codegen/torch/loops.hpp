// SPDX-License-Identifier: MIT
// Trainings of small networks on LibTorch, each through fg::Trainer and as the loop that one would write by hand with the
// same kernels: fg::AdamW and its clipping. The loops by hand keep the trainer's books (counters, the check of the loss
// where it lies, the metrics' epoch), and begin backward from a tensor that is made once, as the trainer does.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/fulgurite.hpp>

namespace torch_loops {

namespace fg = fulgurite;
namespace nn = torch::nn;

constexpr double rate = 1e-3;
constexpr double limit = 0.05;  // of norms and values; small, so that clipping does something

// --- what is trained -------------------------------------------------------------------------------------------------

inline nn::Sequential make_network() {
  return nn::Sequential{nn::Linear(32, 16), nn::ReLU(), nn::Linear(16, 16), nn::ReLU(), nn::Linear(16, 10)};
}

inline fg::Example make_batch() {
  const torch::Tensor data = torch::linspace(-1.0, 1.0, 32 * 32).view({32, 32}).sin();
  return {data, torch::arange(32, torch::kLong).remainder(10)};
}

/// The same numbers in every network.
inline void initialize(nn::Module& model) {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& parameter : model.parameters()) {
    parameter.copy_(torch::linspace(-0.3, 0.4, parameter.numel()).mul(37.0).sin().mul(0.3).view(parameter.sizes()));
  }
}

inline torch::Tensor loss_of(nn::Sequential& network, const fg::Example& batch) {
  return nn::functional::cross_entropy(network->forward(batch.data), batch.target);
}

struct Plain : nn::Module {
  nn::Sequential net = register_module("net", make_network());

  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(net, batch); }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = rate}); }
};

struct Scheduled : Plain {
  static constexpr fg::CosineAnnealingLR schedule{.t_max = 1000};

  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = rate})).lr_scheduler(schedule, fg::EveryStep{});
  }
};

struct Two : nn::Module {
  nn::Sequential net = register_module("net", make_network()), second = register_module("second", make_network());

  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<0>) { return loss_of(net, batch); }
  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<1>) { return loss_of(second, batch); }
  auto configure_optimizers() {
    return fg::optimizers(fg::AdamW(net->parameters(), {.lr = rate}), fg::AdamW(second->parameters(), {.lr = 2.0 * rate}));
  }
};

// --- through the trainer --------------------------------------------------------------------------------------------

template <class Model, class... Policies>
class ByTrainer {
 public:
  explicit ByTrainer(Model& model, Policies... policies) : trainer_(model, policies...), loop_(trainer_.loop()) {}
  ByTrainer(ByTrainer&&) = delete;

  void step(const fg::Example& batch) { loop_.step(batch); }
  std::int64_t global_step() const { return trainer_.progress().global_step; }

 private:
  fg::Trainer<Model, Policies...> trainer_;
  decltype(std::declval<fg::Trainer<Model, Policies...>&>().loop()) loop_;
};

// --- by hand ---------------------------------------------------------------------------------------------------------

class Books {
 public:
  void begin_epoch() {
    if (epoch_open_) return;
    epoch_open_ = true;
    metrics_.begin_epoch(fg::Stage::training);
  }
  void count_step() { ++progress_.global_step; }
  void count_window() { ++progress_.windows; }
  void count_batch() {
    ++progress_.batches;
    ++progress_.batch;
  }
  const fg::Progress& progress() const { return progress_; }

 private:
  fg::Progress progress_;
  fg::Metrics metrics_;
  bool epoch_open_ = false;
};

/// The loss of a float32 network on a CPU is read without an operator.
inline void require_finite(const torch::Tensor& loss) {
  const float value = *loss.const_data_ptr<float>();
  if (!std::isfinite(value)) throw std::runtime_error("the loss is " + std::to_string(value));
}

struct NoClippingByHand {
  void operator()(fg::AdamW&) const {}
};
struct ClipNormByHand {
  void operator()(fg::AdamW& optimizer) const { optimizer.gradients().clip_norm(limit, 2.0); }
};
struct ClipValueByHand {
  void operator()(fg::AdamW& optimizer) const { optimizer.gradients().clip_value(limit); }
};

/// Forward, zero_grad, backward, clipping, update; a step on every batch.
template <class Model, class Clipping = NoClippingByHand, bool Checks = true>
class ByHand {
 public:
  explicit ByHand(Model& model) : model_(model), optimizer_(model.parameters(), {.lr = rate}) {}

  void step(const fg::Example& batch) {
    books_.begin_epoch();
    const torch::Tensor loss = loss_of(model_.net, batch);
    optimizer_.zero_grad();
    if constexpr (Checks) require_finite(loss);
    loss.backward(seed_);
    Clipping()(optimizer_);
    optimizer_.step();
    books_.count_step();
    books_.count_window();
    books_.count_batch();
  }
  std::int64_t global_step() const { return books_.progress().global_step; }

 private:
  Model& model_;
  fg::AdamW optimizer_;
  torch::Tensor seed_ = torch::ones({});
  Books books_;
};

class AccumulatedByHand {
 public:
  explicit AccumulatedByHand(Plain& model) : model_(model), optimizer_(model.parameters(), {.lr = rate}) {}

  void step(const fg::Example& batch) {
    books_.begin_epoch();
    const torch::Tensor loss = loss_of(model_.net, batch);
    if (in_window_ == 0) optimizer_.zero_grad();
    require_finite(loss);
    loss.backward(seed_);
    if (++in_window_ == 4) {
      optimizer_.step();
      in_window_ = 0;
      books_.count_step();
      books_.count_window();
    }
    books_.count_batch();
  }
  std::int64_t global_step() const { return books_.progress().global_step; }

 private:
  Plain& model_;
  fg::AdamW optimizer_;
  torch::Tensor seed_ = torch::ones({}) / 4;
  std::int64_t in_window_ = 0;
  Books books_;
};

class ScheduledByHand {
 public:
  explicit ScheduledByHand(Scheduled& model) : by_hand_(model.parameters(), {.lr = rate}), model_(model) {}

  void step(const fg::Example& batch) {
    books_.begin_epoch();
    const torch::Tensor loss = loss_of(model_.net, batch);
    by_hand_.zero_grad();
    require_finite(loss);
    loss.backward(seed_);
    by_hand_.step();
    books_.count_step();
    books_.count_window();
    schedule_.step();
    books_.count_batch();
  }
  std::int64_t global_step() const { return books_.progress().global_step; }

 private:
  fg::AdamW by_hand_;
  decltype(fg::schedule(std::declval<fg::AdamW&>(), Scheduled::schedule)) schedule_ =
      fg::schedule(by_hand_, Scheduled::schedule);
  Scheduled& model_;
  torch::Tensor seed_ = torch::ones({});
  Books books_;
};

/// Autocast to bfloat16 for a scope, as LibTorch's own code writes it.
class AutocastByHand {
 public:
  AutocastByHand()
      : was_enabled_(at::autocast::is_autocast_enabled(at::kCPU)), was_type_(at::autocast::get_autocast_dtype(at::kCPU)) {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  AutocastByHand(const AutocastByHand&) = delete;
  AutocastByHand& operator=(const AutocastByHand&) = delete;
  ~AutocastByHand() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, was_enabled_);
    at::autocast::set_autocast_dtype(at::kCPU, was_type_);
  }

 private:
  bool was_enabled_;
  at::ScalarType was_type_;
};

class Bfloat16ByHand {
 public:
  explicit Bfloat16ByHand(Plain& model) : model_(model), optimizer_(model.parameters(), {.lr = rate}) {}

  void step(const fg::Example& batch) {
    books_.begin_epoch();
    const torch::Tensor loss = [&] {
      const AutocastByHand autocast;
      return loss_of(model_.net, batch);
    }();
    optimizer_.zero_grad();
    require_finite(loss);
    loss.backward(seed_);
    optimizer_.step();
    books_.count_step();
    books_.count_window();
    books_.count_batch();
  }
  std::int64_t global_step() const { return books_.progress().global_step; }

 private:
  Plain& model_;
  fg::AdamW optimizer_;
  torch::Tensor seed_ = torch::ones({});
  Books books_;
};

/// While one network trains, the parameters of the other need no gradient.
class TwoByHand {
 public:
  explicit TwoByHand(Two& model)
      : parts_{{model.net, model.net->parameters(), fg::AdamW(model.net->parameters(), {.lr = rate})},
               {model.second, model.second->parameters(), fg::AdamW(model.second->parameters(), {.lr = 2.0 * rate})}} {}

  void step(const fg::Example& batch) {
    books_.begin_epoch();
    train(parts_[0], parts_[1], batch);
    train(parts_[1], parts_[0], batch);
    books_.count_window();
    books_.count_batch();
  }
  std::int64_t global_step() const { return books_.progress().global_step; }

 private:
  struct Part {
    nn::Sequential network;
    std::vector<torch::Tensor> parameters;
    fg::AdamW optimizer;
  };

  void train(Part& part, Part& other, const fg::Example& batch) {
    for (const torch::Tensor& parameter : other.parameters) parameter.set_requires_grad(false);
    const torch::Tensor loss = loss_of(part.network, batch);
    part.optimizer.zero_grad();
    require_finite(loss);
    loss.backward(seed_);
    part.optimizer.step();
    books_.count_step();
    for (const torch::Tensor& parameter : other.parameters) parameter.set_requires_grad(true);
  }

  Part parts_[2];
  torch::Tensor seed_ = torch::ones({});
  Books books_;
};

// --- pairs -----------------------------------------------------------------------------------------------------------

/// Calls f(name, model type, loop by hand, policies...) for every training that is compared:
/// f.template operator()<Model, LoopByHand>(name, policies...).
template <class F>
void for_each_training(F&& f) {
  f.template operator()<Plain, ByHand<Plain>>("plain");
  f.template operator()<Plain, ByHand<Plain, NoClippingByHand, false>>("no look at the loss", fg::IgnoreNonFinite{});
  f.template operator()<Plain, ByHand<Plain, ClipNormByHand>>("ClipNorm", fg::ClipNorm{.max = limit});
  f.template operator()<Plain, ByHand<Plain, ClipValueByHand>>("ClipValue", fg::ClipValue{.max = limit});
  f.template operator()<Plain, AccumulatedByHand>("Accumulate<4>", fg::Accumulate<4>{});
  f.template operator()<Plain, Bfloat16ByHand>("Bfloat16Mixed", fg::Bfloat16Mixed{});
  f.template operator()<Scheduled, ScheduledByHand>("a schedule");
  f.template operator()<Two, TwoByHand>("two optimizers");
}

}  // namespace torch_loops
