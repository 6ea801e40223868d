// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/ema_weight_averaging.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
using Catch::Matchers::Message;

namespace {

// One number that a batch's own value moves: with a rate of 1, w -= batch. Remembers what it was in every step.
struct Walk : torch::nn::Module {
  torch::Tensor w = register_parameter("w", torch::zeros({1}, torch::kDouble));
  std::vector<double> trained, validated;
  int fail_at = -1;

  torch::Tensor training_step(const torch::Tensor& batch, auto&) {
    trained.push_back(w.item<double>());
    return (w * batch).sum();
  }
  void validation_step(const torch::Tensor&, auto&) {
    validated.push_back(w.item<double>());
    if (static_cast<int>(validated.size()) == fail_at) throw std::runtime_error("broken batch");
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 1.0}); }
};

std::vector<torch::Tensor> steps(int count) {
  std::vector<torch::Tensor> batches;
  for (int i = 1; i <= count; ++i) batches.push_back(torch::full({1}, -static_cast<double>(i), torch::kDouble));
  return batches;
}

const std::vector<torch::Tensor> once = steps(1);

void check_close(double actual, double expected) { CHECK(std::abs(actual - expected) < 1e-14); }

}  // namespace

TEST_CASE("the training goes on raw, validation and the fitted model have the average") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5}, fg::MaxEpochs{2}};
  trainer.fit(steps(3), once);
  // The weight is 1, 3, 6 in the first epoch and 7, 9, 12 in the second.
  CHECK(model.trained == std::vector<double>{0, 1, 3, 6, 7, 9});
  const double first = 0.5 * (0.5 * 1 + 0.5 * 3) + 0.5 * 6;
  const double second = 0.5 * (0.5 * (0.5 * first + 0.5 * 7) + 0.5 * 9) + 0.5 * 12;
  REQUIRE(model.validated.size() == 2);
  check_close(model.validated[0], first);
  check_close(model.validated[1], second);
  check_close(model.w.item<double>(), second);
}

TEST_CASE("without decay the average is the model") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.0}, fg::MaxEpochs{1}};
  trainer.fit(steps(4), once);
  CHECK(model.validated == std::vector<double>{10});
  CHECK(model.w.item<double>() == 10.0);
}

TEST_CASE("steps are averaged from `start` on, one out of every n") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.75, .every = 2, .start = 1}, fg::MaxEpochs{1}};
  trainer.fit(steps(6), once);
  // Steps of index 2 and 4 count: the weight is 6 and 15 after them.
  check_close(model.w.item<double>(), 0.75 * 6 + 0.25 * 15);
}

TEST_CASE("the average counts optimizer steps, not batches") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.75}, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(steps(4));
  // Two steps: w is 1.5, then 5.
  check_close(model.w.item<double>(), 0.75 * 1.5 + 0.25 * 5);
}

TEST_CASE("before `start` validation sees the model; an average that never began changes nothing") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.start = 100}, fg::MaxEpochs{1}};
  trainer.fit(steps(3), once);
  CHECK(model.validated == std::vector<double>{6});
  CHECK(model.w.item<double>() == 6.0);
}

TEST_CASE("a validation that fails leaves the raw weights in the model") {
  Walk model;
  model.fail_at = 1;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(steps(3), once), std::runtime_error);
  CHECK(model.validated[0] != 6.0);
  CHECK(model.w.item<double>() == 6.0);
}

TEST_CASE("a fit after one that threw goes on with the average") {
  Walk model;
  model.fail_at = 1;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(steps(3), once), std::runtime_error);
  trainer.fit(steps(3), once);
  // The weight is 1, 3, 6 and then 7, 9, 12.
  const double before = 0.5 * (0.5 * 1 + 0.5 * 3) + 0.5 * 6;
  check_close(model.w.item<double>(), 0.5 * (0.5 * (0.5 * before + 0.5 * 7) + 0.5 * 9) + 0.5 * 12);
}

TEST_CASE("in a loop of one's own, validation sees the average and the model keeps its weights") {
  Walk model;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5}};
  auto loop = trainer.loop();
  for (const auto& batch : steps(2)) loop.step(batch);
  trainer.validate(once);
  CHECK(model.validated == std::vector<double>{2});
  CHECK(model.w.item<double>() == 3.0);
}

TEST_CASE("invalid values are refused by name") {
  Walk model;
  const auto refusal = [&](const fg::EMAWeightAveraging& average, const char* sentence) {
    CHECK_THROWS_MATCHES((fg::Trainer{model, average}), std::invalid_argument, Message(std::string("fulgurite: ") + sentence));
  };
  refusal({.decay = 1.5}, "EMAWeightAveraging.decay must be in [0, 1]");
  refusal({.decay = -0.1}, "EMAWeightAveraging.decay must be in [0, 1]");
  refusal({.warm_up = -1}, "EMAWeightAveraging.warm_up must be 0 or more updates");
  refusal({.every = 0}, "EMAWeightAveraging.every must be 1 or more optimizer steps");
  refusal({.start = -1}, "EMAWeightAveraging.start must be 0 or more: the index of an optimizer step");
}

namespace {
// Validation counts its examples in buffers of either type; training counts its batches.
struct Counting : Walk {
  torch::Tensor seen = register_buffer("seen", torch::zeros({}));
  torch::Tensor number = register_buffer("number", torch::zeros({}, torch::kLong));
  torch::Tensor statistic = register_buffer("statistic", torch::zeros({}, torch::kDouble));

  torch::Tensor training_step(const torch::Tensor& batch, auto& step) {
    number += 1;
    statistic.fill_(batch.item<double>());
    return Walk::training_step(batch, step);
  }
  void validation_step(const torch::Tensor& batch, auto& step) {
    seen += 8;
    number += 1;
    Walk::validation_step(batch, step);
  }
};
}  // namespace

TEST_CASE("what validation writes into a buffer is kept, in a fit, in a test after it and before an exception") {
  for (const auto buffers : {fg::BufferAveraging::copy, fg::BufferAveraging::average}) {
    for (const std::int64_t every : {1, 2}) {
      Counting model;
      fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5, .every = every, .buffers = buffers},
                          fg::ValidateEvery{.interval = fg::Batches{2}}, fg::MaxEpochs{2}};
      trainer.fit(steps(4), steps(3));
      CHECK(model.seen.item<double>() == 2 * 2 * 3 * 8.0);
      CHECK(model.number.item<int>() == 2 * 4 + 2 * 2 * 3);
      const bool is_raw = model.statistic.item<double>() == -4.0;
      CHECK(is_raw == (buffers == fg::BufferAveraging::copy));

      trainer.validate(steps(2), "test_");
      CHECK(model.seen.item<double>() == 14 * 8.0);
      model.fail_at = static_cast<int>(model.validated.size()) + 2;
      trainer.set_limit(fg::MaxEpochs{3});
      CHECK_THROWS_AS(trainer.fit(steps(4), steps(3)), std::runtime_error);
      CHECK(model.seen.item<double>() == 16 * 8.0);
    }
  }
}

TEST_CASE("a resumed average knows which buffers validation writes") {
  const support::TemporaryFolder folder;
  const auto average = fg::EMAWeightAveraging{.decay = 0.5};
  Counting whole, first, second;
  fg::Trainer never_stopped{whole, average, fg::MaxEpochs{3}};
  never_stopped.fit(steps(4), steps(3));
  const auto path = folder.path / "run.ckpt";
  fg::Trainer stopped{first, average, fg::MaxEpochs{3}};
  auto loop = stopped.loop();
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const auto& batch : steps(4)) loop.step(batch);
    loop.validate(steps(3));
    loop.end_epoch();
  }
  fg::save_checkpoint(stopped, path);
  fg::Trainer resumed{second, average, fg::MaxEpochs{3}};
  fg::load_checkpoint(resumed, path);
  resumed.fit(steps(4), steps(3));
  CHECK(second.seen.item<double>() == whole.seen.item<double>());
  CHECK(second.number.item<int>() == whole.number.item<int>());
  CHECK(torch::equal(second.w, whole.w));
  CHECK(torch::equal(second.statistic, whole.statistic));
}
