// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/stochastic_weight_averaging.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstddef>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Message;
using Catch::Matchers::MessageMatches;

namespace {

// One number that every batch moves by the learning rate, and a schedule that halves the rate after every epoch.
struct Walk : nn::Module {
  torch::Tensor w = register_parameter("w", torch::zeros({1}, torch::kDouble));
  std::vector<double> rates, validated;

  torch::Tensor training_step(const torch::Tensor& batch, auto& step) {
    rates.push_back(step.optimizers().lr());
    return -(w * batch).sum();
  }
  void validation_step(const torch::Tensor&, auto&) { validated.push_back(w.item<double>()); }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 8.0})).lr_scheduler(fg::StepLR{.gamma = 0.5});
  }
};

struct Still : Walk {
  torch::Tensor training_step(const torch::Tensor&, auto&) { return (w * 0.0).sum(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 1.0}); }
};

const std::vector<torch::Tensor> one_batch{torch::ones({1}, torch::kDouble)};

constexpr auto linear = fg::Anneal::linear;

}  // namespace

TEST_CASE("the rate anneals from the start on, and the ends of all epochs from there are averaged") {
  Walk model;
  fg::Trainer trainer{model,
                      fg::StochasticWeightAveraging{
                          .lr = 1.0, .start = fg::EpochNumber{3}, .annealing_epochs = 2, .annealing = linear},
                      fg::MaxEpochs{6}};
  trainer.fit(one_batch, one_batch);
  CHECK(model.rates == std::vector<double>{8, 4, 2, 1.5, 1, 1});
  // Weights at the epochs' ends: 8, 12, 14, 15.5, 16.5, 17.5. Validation sees them raw.
  CHECK(model.validated == std::vector<double>{8, 12, 14, 15.5, 16.5, 17.5});
  CHECK(std::abs(model.w.item<double>() - (14 + 15.5 + 16.5 + 17.5) / 4) < 1e-13);
}

TEST_CASE("averaging before the epochs instead gives Lightning's average, without the last epoch") {
  Walk model;
  fg::Trainer trainer{model,
                      fg::StochasticWeightAveraging{.lr = 1.0,
                                                  .start = fg::Fraction{0.5},
                                                  .annealing_epochs = 2,
                                                  .annealing = linear,
                                                  .averages_at = fg::AveragesAt::epoch_start},
                      fg::MaxEpochs{6}};
  trainer.fit(one_batch);
  CHECK(model.rates == std::vector<double>{8, 4, 2, 1.5, 1, 1});
  CHECK(std::abs(model.w.item<double>() - (12 + 14 + 15.5 + 16.5) / 4) < 1e-13);
}

TEST_CASE("without annealing the rate is the averaging one at once") {
  Walk model;
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 3.0, .start = fg::EpochNumber{2}, .annealing_epochs = 0},
                      fg::MaxEpochs{3}};
  trainer.fit(one_batch);
  CHECK(model.rates == std::vector<double>{8, 3, 3});
  CHECK(std::abs(model.w.item<double>() - (11.0 + 14.0) / 2) < 1e-13);
}

TEST_CASE("the average of weights that do not change is those weights") {
  Still model;
  model.w.set_data(torch::full({1}, 0.1, torch::kDouble));
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.5, .start = fg::EpochNumber{1}}, fg::MaxEpochs{7}};
  trainer.fit(one_batch);
  CHECK(model.w.item<double>() == 0.1);
}

namespace {

struct Normed : nn::Module {
  nn::Linear linear = register_module("linear", nn::Linear(2, 2));
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(2));
  int passes = 0, ends = 0;

  torch::Tensor training_step(const torch::Tensor& batch, auto& step) {
    ++passes;
    const auto loss = norm->forward(linear->forward(batch)).pow(2).select(1, 0).mean() + linear->weight.pow(2).sum();
    step.log("loss", loss);
    step.log("passes", passes);
    return loss;
  }
  void on_train_batch_end(const auto&, const torch::Tensor&, auto&) { ++ends; }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

}  // namespace

TEST_CASE("the statistics of batch norm are those of the averaged weights") {
  torch::manual_seed(4);
  const std::vector<torch::Tensor> batches{torch::randn({6, 2}), torch::randn({6, 2}), torch::randn({6, 2})};
  Normed model;
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.05, .start = fg::EpochNumber{2}}, fg::MaxEpochs{3},
                      fg::LimitBatches{.train = fg::Batches{2}}};
  trainer.fit(batches);
  CHECK(model.passes == 3 * 2 + 2);
  CHECK(model.ends == 3 * 2);
  CHECK(trainer.metric("passes") == 6.0);  // the pass over the averaged weights is no part of the log
  CHECK(model.is_training());
  CHECK(model.norm->options.momentum() == 0.1);
  CHECK(model.norm->num_batches_tracked.item<int>() == 2);
  const auto mean = (model.linear->forward(batches[0]).mean(0) + model.linear->forward(batches[1]).mean(0)) / 2;
  CHECK(torch::allclose(model.norm->running_mean, mean, 1e-5, 1e-6));
  CHECK(torch::GradMode::is_enabled());
}

namespace {

/// A range that can be walked once.
struct Once {
  std::vector<torch::Tensor> batches{torch::randn({6, 2}), torch::randn({6, 2})};
  std::size_t at = 0;
  struct Iterator {
    Once* range;
    const torch::Tensor& operator*() const { return range->batches[range->at]; }
    void operator++() { ++range->at; }
    bool operator!=(std::default_sentinel_t) const { return range->at < range->batches.size(); }
  };
  Iterator begin() { return {this}; }
  std::default_sentinel_t end() const { return {}; }
};

}  // namespace

TEST_CASE("batch norm cannot be refreshed by a range that is spent, but by one that can be walked again") {
  Normed model;
  Once once;
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.05, .start = fg::EpochNumber{1}}, fg::MaxEpochs{1}};
  CHECK_THROWS_MATCHES(
      trainer.fit(once), std::invalid_argument,
      Message("fulgurite: the training range gave no batch to refresh batch norm for the averaged weights: give "
              "fit a range that can be walked more than once"));
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(once.batches);
  CHECK(model.norm->num_batches_tracked.item<int>() == 2);
}

TEST_CASE("manual optimization with batch norm is refused when the fit begins") {
  Normed model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::StochasticWeightAveraging{.lr = 0.05}, fg::MaxEpochs{1}};
  const std::vector<torch::Tensor> batches{torch::ones({2, 2})};
  CHECK_THROWS_MATCHES(trainer.fit(batches), std::logic_error,
                       Message("fulgurite: StochasticWeightAveraging cannot refresh batch norm in manual optimization, whose "
                               "training_step updates by itself: use fg::AveragedModel and fg::update_bn"));
  fg::AveragedModel average(model);
  average.update();
  average.copy_to_model();
  CHECK(fg::update_bn(model, batches,
                              [&](const torch::Tensor& batch) { model.norm->forward(model.linear->forward(batch)); }) == 1);
}

TEST_CASE("a start that the fit does not reach is refused by name, and so is a part of an unknown number of epochs") {
  Walk model;
  fg::Trainer late{model, fg::StochasticWeightAveraging{.lr = 1.0, .start = fg::EpochNumber{5}}, fg::MaxEpochs{4}};
  CHECK_THROWS_MATCHES(
      late.fit(one_batch), std::invalid_argument,
      Message("fulgurite: StochasticWeightAveraging.start is epoch number 5, but the fit ends after 4: start earlier, or "
              "train longer"));
  late.set_limit(fg::MaxEpochs{5});
  late.fit(one_batch);
  fg::Trainer unknown{model, fg::StochasticWeightAveraging{.lr = 1.0}, fg::MaxSteps{4}};
  const auto is_unknown = Message(
      "fulgurite: StochasticWeightAveraging.start is a Fraction of a training whose number of epochs is "
      "unknown: use fg::EpochNumber, or fit with fg::MaxEpochs");
  CHECK_THROWS_MATCHES(unknown.fit(one_batch), std::invalid_argument, is_unknown);
  unknown.set_limit(fg::MaxEpochs{4});
  unknown.fit(one_batch);
  fg::Trainer looped{model, fg::StochasticWeightAveraging{.lr = 1.0}};
  auto loop = looped.loop();
  CHECK_THROWS_MATCHES(loop.step(one_batch[0]), std::invalid_argument, is_unknown);
  fg::Trainer numbered{model, fg::StochasticWeightAveraging{.lr = 1.0, .start = fg::EpochNumber{1}}};
  numbered.loop().step(one_batch[0]);
}

TEST_CASE("an epoch's place is a number or a part, never confused") {
  const auto index = [](fg::EpochPlace place, std::optional<std::int64_t> epochs) { return place.index(epochs, "start"); };
  CHECK(index(fg::EpochNumber{1}, std::nullopt) == 0);
  CHECK(index(fg::EpochNumber{6}, 6) == 5);
  CHECK(index(fg::Fraction{0.8}, 10) == 7);
  CHECK(index(fg::Fraction{0.5}, 6) == 2);
  CHECK(index(fg::Fraction{0.0}, 6) == 0);
  CHECK(index(fg::Fraction{1.0}, 6) == 5);
  STATIC_CHECK(!std::is_convertible_v<int, fg::EpochPlace> && !std::is_convertible_v<double, fg::EpochPlace>);
}

TEST_CASE("invalid values are refused by name in the trainer") {
  Walk model;
  const auto refusal = [&](const fg::StochasticWeightAveraging& average, const char* sentence) {
    CHECK_THROWS_MATCHES((fg::Trainer{model, average}), std::invalid_argument, Message(std::string("fulgurite: ") + sentence));
  };
  const char* const start = "StochasticWeightAveraging.start must be fg::EpochNumber of 1 or more, or a Fraction in [0, 1]";
  refusal({}, "StochasticWeightAveraging.lr must be above 0");
  refusal({.lr = 0.1, .start = fg::EpochNumber{0}}, start);
  refusal({.lr = 0.1, .start = fg::Fraction{1.5}}, start);
  refusal({.lr = 0.1, .annealing_epochs = -1}, "StochasticWeightAveraging.annealing_epochs must be 0 or more");
  fg::Trainer groups{model, fg::StochasticWeightAveraging{.lr = {0.1, 0.2}, .start = fg::EpochNumber{1}}, fg::MaxEpochs{1}};
  CHECK_THROWS_MATCHES(groups.fit(one_batch), std::invalid_argument, MessageMatches(ContainsSubstring("2 values")));
}
