// SPDX-License-Identifier: MIT
// Makes the trainers of the list, and trains each on a few batches.
#pragma once

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "laws/pairs/rows.hpp"
#include "support/temporary_folder.hpp"

namespace pairs {

namespace fg = fulgurite;
namespace nn = torch::nn;

template <std::size_t I, Factor factor>
inline constexpr int level = rows[I][factor];

template <std::size_t I, class O>
auto configured(O given) {
  auto scheduled = [&] {
    auto plain = fg::optimizer(std::move(given));
    if constexpr (level<I, schedule> == exponential_decay) {
      return std::move(plain).lr_scheduler(fg::ExponentialLR{.gamma = 0.9});
    } else if constexpr (level<I, schedule> == plateau) {
      return std::move(plain).lr_scheduler(fg::ReduceLROnPlateau<"loss_epoch">{.factor = 0.5, .patience = 0});
    } else {
      return plain;
    }
  }();
  if constexpr (level<I, clipping> == clip_of_optimizer) {
    return std::move(scheduled).clip(fg::ClipNorm{.max = 1.0});
  } else {
    return scheduled;
  }
}

template <std::size_t I>
struct Net : nn::Module {
  nn::Linear first = register_module("first", nn::Linear(4, 3));
  nn::Linear second = register_module("second", nn::Linear(3, 1));

  torch::Tensor loss(const fg::Example& batch, auto& step) {
    const auto output = second->forward(torch::tanh(first->forward(batch.data))).to(batch.target.scalar_type());
    const auto mean = nn::functional::mse_loss(output, batch.target);
    step.log("loss", mean, fg::on_step | fg::on_epoch | fg::prog_bar);
    return mean;
  }
  void validation_step(const fg::Example& batch, auto& step) { loss(batch, step); }

  auto configure_optimizers() {
    constexpr int which = level<I, optimizer>;
    if constexpr (which == sgd) {
      return configured<I>(fg::SGD(parameters(), {.lr = 0.1, .momentum = 0.9}));
    } else if constexpr (which == adamw) {
      return configured<I>(fg::AdamW(parameters(), {.lr = 0.05}));
    } else if constexpr (which == lbfgs) {
      return configured<I>(fg::LBFGS(parameters(), {.lr = 0.1, .max_iter = 3}));
    } else if constexpr (which == torch_rmsprop) {
      return configured<I>(torch::optim::RMSprop(parameters(), 0.05));
    } else {
      return fg::optimizers(configured<I>(fg::SGD(first->parameters(), {.lr = 0.1})),
                            configured<I>(fg::AdamW(second->parameters(), {.lr = 0.05})));
    }
  }
};

template <std::size_t I>
struct Automatic : Net<I> {
  torch::Tensor training_step(const fg::Example& batch, auto& step) { return this->loss(batch, step); }
};
template <std::size_t I>
struct AutomaticPair : Net<I> {
  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<0>) { return this->loss(batch, step); }
  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<1>) { return this->loss(batch, step); }
};
template <std::size_t I>
struct Manual : Net<I> {
  void training_step(const fg::Example& batch, auto& step) {
    const auto update = [&](auto handle) {
      handle.step([&] {
        handle.zero_grad();
        auto value = this->loss(batch, step);
        step.manual_backward(value);
        return value;
      });
    };
    if constexpr (level<I, optimizer> == two_optimizers) {
      std::apply([&](auto... each) { (update(each), ...); }, step.optimizers());
    } else {
      update(step.optimizers());
    }
    if constexpr (level<I, schedule> != no_schedule) {
      if (step.is_last_batch()) step.lr_schedulers().step();
    }
  }
};
template <std::size_t I>
using Model = std::conditional_t<level<I, optimization> == manual, Manual<I>,
                                 std::conditional_t<level<I, optimizer> == two_optimizers, AutomaticPair<I>, Automatic<I>>>;

struct WithinClosure {
  using slot = fg::slots::Callback;
  int calls = 0;
  void on_before_zero_grad(auto&, auto&) { ++calls; }
  void on_after_backward(auto&) { ++calls; }
};
struct AroundUpdate {
  using slot = fg::slots::Callback;
  int calls = 0;
  void on_before_optimizer_step(auto&, auto&) { ++calls; }
  void on_train_batch_end(const auto&, const auto&, auto&) { ++calls; }
};

/// The choice of that number, from 1; none for 0, and for what is beyond the last.
template <int chosen, class... Choices>
auto one_of(Choices... choices) {
  if constexpr (chosen == 0 || chosen > static_cast<int>(sizeof...(Choices))) {
    return std::tuple<>();
  } else {
    return std::make_tuple(std::get<chosen - 1>(std::make_tuple(choices...)));
  }
}

template <std::size_t I>
auto limits() {
  constexpr int which = level<I, end>;
  if constexpr (which == max_epochs) {
    return std::make_tuple(fg::MaxEpochs{2});
  } else if constexpr (which == max_steps) {
    return std::make_tuple(fg::MaxSteps{3});
  } else if constexpr (which == max_time) {
    return std::make_tuple(fg::MaxTime{std::chrono::minutes{5}}, fg::MaxEpochs{2});
  } else if constexpr (which == minima) {
    return std::make_tuple(fg::MinEpochs{1}, fg::MinSteps{2}, fg::MaxEpochs{2});
  } else {
    return std::make_tuple(fg::FastDevRun{2});
  }
}

template <std::size_t I>
auto validations() {
  constexpr int which = level<I, validation>;
  if constexpr (which == validate_every) {
    return std::make_tuple(fg::ValidateEvery{.interval = fg::Batches{2}});
  } else if constexpr (which == validate_across_epochs) {
    return std::make_tuple(fg::ValidateAcrossEpochs{3});
  } else if constexpr (which == sanity_check) {
    return std::make_tuple(fg::SanityCheck{});
  } else {
    return std::tuple<>();
  }
}

template <std::size_t I>
auto policies_of(const std::filesystem::path& folder, std::FILE* out) {
  using Checkpoint = fg::ModelCheckpoint<"loss_epoch">;
  return std::tuple_cat(
      one_of<level<I, optimization>>(fg::ManualOptimization{}),
      one_of<level<I, accumulation>>(fg::Accumulate<2>{}, fg::AccumulateSchedule{.stages = {{.from_epoch = 1, .batches = 2}}}),
      one_of<level<I, clipping>>(fg::ClipNorm{.max = 0.5}, fg::ClipValue{.max = 0.1}),
      one_of<level<I, interval>>(fg::EveryStep{}, fg::EveryEpoch{}, fg::EveryBatch{.frequency = 2}),
      one_of<level<I, precision>>(fg::Float32{}, fg::Float64{}, fg::Bfloat16Mixed{}, fg::Float16Mixed{.initial_scale = 256.0},
                                  fg::Bfloat16True{}),
      one_of<level<I, device>>(fg::Cpu{}), one_of<level<I, execution>>(fg::Eager{}, fg::Frozen{}),
      one_of<level<I, non_finite>>(fg::SkipNonFinite{}, fg::IgnoreNonFinite{}), limits<I>(), validations<I>(),
      one_of<level<I, early_stopping>>(fg::EarlyStopping<"loss_epoch">{.patience = 100}),
      one_of<level<I, model_checkpoint>>(Checkpoint{.folder = folder}, Checkpoint{.folder = folder, .every = fg::EveryStep{2}}),
      one_of<level<I, rate_monitor>>(fg::LearningRateMonitor{}), one_of<level<I, progress_bar>>(fg::ProgressBar{.out = out}),
      one_of<level<I, exponential_average>>(fg::EMAWeightAveraging{.decay = 0.9}),
      one_of<level<I, stochastic_average>>(
          fg::StochasticWeightAveraging{.lr = 0.02, .start = fg::EpochNumber{1}, .annealing_epochs = 2}),
      one_of<level<I, logger>>(fg::CsvLogger{.path = folder / "log.csv"}, fg::JsonLinesLogger{.path = folder / "log.jsonl"}),
      one_of<level<I, hooks>>(WithinClosure{}, AroundUpdate{}), std::make_tuple(fg::LogEvery{1}));
}

inline std::vector<fg::Example> batches(int count) {
  torch::manual_seed(1);
  std::vector<fg::Example> made;
  for (int i = 0; i < count; ++i) {
    const auto x = torch::randn({8, 4});
    made.emplace_back(x, 0.3 * x.sum(1, true));
  }
  return made;
}

inline std::string text_of(const Row& row) {
  std::string text;
  for (std::size_t factor = 0; factor < factor_count; ++factor) {
    text += std::string(names[factor]) + '=' + std::to_string(row[factor]) + ' ';
  }
  return text;
}

template <std::size_t I>
void train_row() {
  INFO("trainer " << I << ": " << text_of(rows[I]));
  const support::TemporaryFolder folder;
  std::FILE* out = std::tmpfile();
  torch::manual_seed(2);
  Model<I> model;
  const auto weights = [&] { return torch::nn::utils::parameters_to_vector(model.parameters()).detach().to(torch::kDouble); };
  torch::Tensor before;
  std::apply(
      [&](const auto&... policy) {
        fg::Trainer trainer{model, policy...};
        before = weights();  // in the number format of the training, which it has brought them to
        if constexpr (level<I, validation> == no_validation) {
          trainer.fit(batches(4));
        } else {
          trainer.fit(batches(4), batches(2));
        }
        CHECK(trainer.progress().global_step > 0);
        CHECK(trainer.metric("loss_epoch").has_value());
      },
      policies_of<I>(folder.path, out));
  std::fclose(out);
  const torch::Tensor after = weights();
  CHECK(after.isfinite().all().template item<bool>());
  CHECK_FALSE(torch::equal(after, before));
}

/// Trainers `First` to `First + Count`, as far as the list goes.
template <std::size_t First, std::size_t Count>
void train_rows() {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    const auto train = [&]<std::size_t Index>(std::integral_constant<std::size_t, Index>) {
      if constexpr (Index < rows.size()) train_row<Index>();
    };
    (train(std::integral_constant<std::size_t, First + I>{}), ...);
  }(std::make_index_sequence<Count>{});
}

}  // namespace pairs
