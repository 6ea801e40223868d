// SPDX-License-Identifier: MIT
// What a training on tensors says when something is wrong: what is so, where, and what helps.
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/line.hpp"
#include "support/notices.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

using support::batches;

struct Line : support::Line {
  std::function<torch::Tensor(torch::Tensor, std::int64_t)> bend = [](torch::Tensor loss, std::int64_t) { return loss; };

  torch::Tensor training_step(const fg::Example& batch, auto& step) { return bend(loss_of(batch), step.batch_index()); }
  void validation_step(const fg::Example& batch, auto& step) { step.log("val_loss", loss_of(batch)); }

  /// A loss that is what it was, whose gradient is NaN.
  torch::Tensor with_nan_gradient(const torch::Tensor& loss) { return loss + torch::sqrt((line->weight * 0).sum()); }
};

bool finite(nn::Module& model) {
  for (const auto& parameter : model.parameters()) {
    if (!torch::isfinite(parameter.detach()).all().item<bool>()) return false;
  }
  return true;
}

template <class F>
std::string error_of(const F& act) {
  try {
    act();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

// --- errors of LibTorch --------------------------------------------------------------------------------------------

TEST_CASE("an error of LibTorch in a batch names epoch and batch, and what the batch holds") {
  auto data = batches();
  data[2].data = torch::randn({4, 5});
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  const std::string expected = "fulgurite: in batch 2 of epoch 0 (the batch holds Float [4, 5], Float [4, 1])";
  CHECK_THAT(error_of([&] { trainer.fit(data); }), ContainsSubstring(expected) && ContainsSubstring("4x5"));
  CHECK_THROWS_AS(trainer.fit(data), c10::Error);

  Line own;
  fg::Trainer other{own};
  auto loop = other.loop();
  CHECK_THAT(error_of([&] { loop.step(data[2]); }), ContainsSubstring("in batch 0 of epoch 0 (the batch holds Float [4, 5]"));
}

TEST_CASE("the error keeps its class, and a number format is named") {
  auto data = batches(2);
  data[1].data = data[1].data.to(torch::kDouble);
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THAT(error_of([&] { trainer.fit(data); }), ContainsSubstring("batch 1 of epoch 0 (the batch holds Double [4, 2], Float [4, 1])"));
  model.bend = [](torch::Tensor loss, std::int64_t) { return loss.index_select(0, torch::tensor({7})); };
  CHECK_THROWS_AS(trainer.fit(batches()), c10::Error);
}

TEST_CASE("an error in a validation says that it is one") {
  auto data = batches(2);
  data[1].target = torch::randn({3, 1});
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THAT(error_of([&] { trainer.fit(batches(), data); }),
             ContainsSubstring("fulgurite: in batch 1 of a validation in epoch 0 (the batch holds Float [4, 2], Float [3, 1])"));
}

namespace {
struct Pairs : Line {
  torch::Tensor training_step(const std::vector<torch::Tensor>& batch, auto&) { return line->forward(batch.front()).sum(); }
};
}  // namespace

TEST_CASE("of a batch of many tensors the first are named") {
  std::vector<std::vector<torch::Tensor>> data{std::vector<torch::Tensor>(11, torch::randn({3}))};
  Pairs model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THAT(error_of([&] { trainer.fit(data); }), ContainsSubstring("Float [3], Float [3], and 3 more)"));
}

// --- gradients that are not recorded -------------------------------------------------------------------------------

TEST_CASE("a training within a NoGradGuard records gradients, and leaves the guard as it was") {
  Line model, same;
  torch::NoGradGuard no_grad;
  same.line->weight.copy_(model.line->weight);
  same.line->bias.copy_(model.line->bias);
  const auto data = batches();
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(data, data);
  CHECK(!torch::GradMode::is_enabled());
  fg::Trainer other{same};
  auto loop = other.loop();
  for (const auto& batch : data) loop.step(batch);
  CHECK(!torch::GradMode::is_enabled());
  CHECK(model.line->weight.equal(same.line->weight));
  CHECK(trainer.progress().global_step == 3);
}

namespace {
struct ByHand : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(2, 1));
  bool zeroes = true, zeroes_the_model = false;

  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    if (zeroes) optimizer.zero_grad();
    if (zeroes_the_model) zero_grad();
    step.manual_backward(torch::mse_loss(line->forward(batch.data), batch.target));
    optimizer.step();
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};
}  // namespace

TEST_CASE("the same by hand") {
  ByHand model;
  const auto before = model.line->weight.detach().clone();
  torch::NoGradGuard no_grad;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(batches());
  CHECK(!model.line->weight.equal(before));
}

TEST_CASE("a training within c10::InferenceMode is refused in these words, before anything is changed") {
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  const auto data = batches();
  {
    c10::InferenceMode inference;
    CHECK_THROWS_WITH(trainer.fit(data),
                      "fulgurite: a training was begun within c10::InferenceMode, in which LibTorch records no "
                      "gradients: train outside of its scope");
    auto loop = trainer.loop();
    CHECK_THROWS_WITH(loop.step(data[0]), ContainsSubstring("within c10::InferenceMode"));
  }
  CHECK(trainer.progress() == fg::Progress{});
  trainer.fit(data);
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("a loss that was computed without gradients, or is complex, says so") {
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.bend = [](torch::Tensor loss, std::int64_t) {
    torch::NoGradGuard no_grad;
    return loss * 2;
  };
  CHECK_THROWS_WITH(trainer.fit(batches()), ContainsSubstring("a loss without gradient") && ContainsSubstring("NoGradGuard"));
  model.bend = [](torch::Tensor loss, std::int64_t) { return torch::complex(loss, loss); };
  CHECK_THROWS_WITH(trainer.fit(batches()),
                    "fulgurite: training_step returned a complex loss: return a real one, torch::abs(loss) or "
                    "torch::real(loss)");
  model.bend = [](torch::Tensor loss, std::int64_t) { return torch::abs(torch::complex(loss, loss)); };
  trainer.fit(batches());
  CHECK(trainer.progress().epoch == 1);
}

namespace {
struct LogsComplex : Line {
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = loss_of(batch);
    step.log("z", torch::complex(loss.detach(), loss.detach()));
    return loss;
  }
};
}  // namespace

TEST_CASE("a complex tensor that is logged is refused with what may be logged of it") {
  LogsComplex model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(
      trainer.fit(batches()),
      ContainsSubstring("fulgurite: step.log takes a real number, and this tensor is complex: log its torch::abs, "
                        "torch::real or torch::imag"));
}

// --- not finite ----------------------------------------------------------------------------------------------------

TEST_CASE("a NaN gradient with a finite loss: the next batch says that a parameter is not finite, and how to stop before") {
  Line model;
  model.bend = [&](torch::Tensor loss, std::int64_t batch) { return batch == 1 ? model.with_nan_gradient(loss) : loss; };
  fg::Trainer trainer{model, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{1}};
  try {
    trainer.fit(batches());
    FAIL("the parameters were NaN");
  } catch (const fg::NonFiniteLoss& error) {
    CHECK(error.batch() == 2);
    CHECK(error.parameter() == "line.weight");
    CHECK_THAT(error.what(), ContainsSubstring("The parameter line.weight is not finite") &&
                                 !ContainsSubstring("No optimizer has stepped"));
  }
}

TEST_CASE("ClipNorm with error_if_nonfinite stops before the update, with epoch, batch and parameter") {
  Line model;
  model.bend = [&](torch::Tensor loss, std::int64_t batch) { return batch == 1 ? model.with_nan_gradient(loss) : loss; };
  const auto fits = [&](auto... policies) {
    fg::Trainer trainer{model, fg::ClipNorm{.max = 1.0, .error_if_nonfinite = true}, fg::MaxEpochs{1}, policies...};
    CHECK_THROWS_WITH(trainer.fit(batches()), "fulgurite: the norm of the gradients is not finite in batch 1 of epoch 0, first in "
                                              "line.weight, and ClipNorm.error_if_nonfinite is set. No parameter was updated by them");
    CHECK(finite(model));
    CHECK(trainer.progress().global_step == 1);
  };
  fits();
  fits(fg::AutomaticOptimization{});
}

TEST_CASE("it passes finite gradients, and clips them as without") {
  Line one, other;
  {
    torch::NoGradGuard no_grad;
    other.line->weight.copy_(one.line->weight);
    other.line->bias.copy_(one.line->bias);
  }
  const auto data = batches();
  fg::Trainer checks{one, fg::ClipNorm{.max = 0.1, .error_if_nonfinite = true}, fg::MaxEpochs{1}};
  fg::Trainer plain{other, fg::ClipNorm{.max = 0.1}, fg::MaxEpochs{1}};
  checks.fit(data);
  plain.fit(data);
  CHECK(one.line->weight.equal(other.line->weight));
}

namespace {
/// Asks its step for nothing, so that it can be frozen.
struct Plain : Line {
  torch::Tensor training_step(const fg::Example& batch, auto&) { return loss_of(batch); }
};

/// It can be frozen too. Inputs that are 0 have a loss of 0 whose gradient is NaN.
struct Roots : Line {
  int calls = 0;
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    ++calls;
    return torch::sqrt((line->forward(batch.data) - line->bias).abs()).mean();
  }
};
}  // namespace

TEST_CASE("a frozen training checks gradients too: forward and backward pass are replayed, clipping and update are not") {
  const auto data = batches(12);
  const auto trained = [&](const auto& range, auto execution, auto clipping, const auto& look) {
    torch::manual_seed(1);
    Roots model;
    fg::Trainer trainer{model, clipping, execution, fg::MaxEpochs{2}};
    std::string error = error_of([&] { trainer.fit(range); });
    look(model, trainer);
    return std::pair(model.line->weight.detach().clone(), error);
  };
  constexpr fg::ClipNorm checks{.max = 0.1, .error_if_nonfinite = true};
  const auto [frozen, none] = trained(data, fg::Frozen{.strict = true}, checks, [](auto& model, auto& trainer) {
    CHECK_FALSE(trainer.frozen().refusal());
    CHECK(model.calls < 24);
  });
  CHECK(none.empty());
  CHECK(frozen.equal(trained(data, fg::Eager{}, fg::ClipNorm{.max = 0.1}, [](auto&, auto&) {}).first));

  auto spoilt = data;
  spoilt[9].data = torch::zeros({4, 2});
  const std::string error = trained(spoilt, fg::Frozen{.strict = true}, checks, [](auto& model, auto& trainer) {
                              CHECK(finite(model));
                              CHECK(model.calls < 9);
                              CHECK(trainer.progress().global_step == 9);
                            }).second;
  CHECK(error == "fulgurite: the norm of the gradients is not finite in batch 9 of epoch 0, first in line.weight, and "
                 "ClipNorm.error_if_nonfinite is set. No parameter was updated by them");
}

namespace {
/// Its schedule computes a rate of `third` for the third step.
struct Scheduled : Line {
  double third;
  explicit Scheduled(double rate) : third(rate) {}
  auto configure_optimizers() {
    const auto factor = [rate = third](std::int64_t step) { return step < 2 ? 1.0 : rate; };
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1})).lr_scheduler(fg::LambdaLR{factor}, fg::EveryStep{});
  }
};
}  // namespace

TEST_CASE("a schedule's rate that is negative or NaN stops a fit before the optimizer has it, after the step that was made") {
  const auto data = batches();
  const auto trained = [&](double third, const std::string& expected) {
    torch::manual_seed(1);
    Scheduled model(third);
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    const std::string error = error_of([&] { trainer.fit(expected.empty() ? std::vector{data[0], data[1]} : data); });
    CHECK(error == expected);
    CHECK(trainer.progress().global_step == 2);
    CHECK(trainer.optimizer().lr(0) == (expected.empty() ? 0.1 * third : 0.1));
    return model.line->weight.detach().clone();
  };
  const auto weight = trained(1.0, "");
  CHECK(trained(std::nan(""), "fulgurite: SGD needs a learning rate of 0 or more, and was given nan").equal(weight));
  CHECK(trained(-10.0, "fulgurite: SGD needs a learning rate of 0 or more, and was given -1").equal(weight));
}

TEST_CASE("by hand clip_grad_norm_ checks as PyTorch's does, before it changes a gradient") {
  auto weight = torch::ones({2}, torch::requires_grad());
  weight.mutable_grad() = torch::tensor({1.0f, std::nanf("")});
  CHECK_THROWS_AS(fg::clip_grad_norm_({weight}, 0.5, 2.0, true), fg::NonFiniteGradient);
  CHECK(weight.grad()[0].item<float>() == 1.0f);
  weight.mutable_grad() = torch::tensor({3.0f, 4.0f});
  CHECK(fg::clip_grad_norm_({weight}, 0.5, 2.0, true).item<float>() == 5.0f);
}

namespace {
struct Searches : Line {
  int calls = 0, fails_in = 3;
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return ++calls == fails_in ? loss_of(batch) * std::nan("") : loss_of(batch);
  }
  auto configure_optimizers() { return fg::LBFGS(parameters(), {.lr = 1.0, .line_search_fn = fg::LineSearch::strong_wolfe}); }
};
}  // namespace

TEST_CASE("a loss that is not finite within a line search says where the parameters are, and advises what compiles") {
  for (const int fails_in : {1, 3}) {
    Searches model;
    model.fails_in = fails_in;
    const auto before = model.line->weight.detach().clone();
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    const std::string error = error_of([&] { trainer.fit(batches(1)); });
    const bool moved = !model.line->weight.equal(before);
    CHECK(moved == (fails_in == 3));
    CHECK_THAT(error, ContainsSubstring("the loss is nan in epoch 0, batch 0") && !ContainsSubstring("SkipNonFinite"));
    CHECK((error.find("No optimizer has stepped") != std::string::npos) != moved);
  }
}

TEST_CASE("a frozen training is not advised to skip, which it cannot") {
  Plain model;
  auto data = batches(2);
  data[1].target = torch::full({4, 1}, std::nanf(""));
  fg::Trainer trainer{model, fg::Frozen{}, fg::MaxEpochs{1}};
  CHECK_THAT(error_of([&] { trainer.fit(data); }),
             ContainsSubstring("No optimizer has stepped on it") && !ContainsSubstring("SkipNonFinite"));
  CHECK(finite(model));
}

// --- parameters ----------------------------------------------------------------------------------------------------

namespace {
struct Unregistered : nn::Module {
  nn::Linear line{2, 1};
  torch::Tensor training_step(const fg::Example& batch, auto&) { return torch::mse_loss(line->forward(batch.data), batch.target); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};
struct UnregisteredForLibTorch : Unregistered {
  auto configure_optimizers() { return fg::optimizer(torch::optim::SGD(parameters(), 0.05)); }
};
struct UnregisteredInside : nn::Module {
  struct Block : nn::Module {
    nn::Linear inner{2, 1};
  };
  std::shared_ptr<Block> block = register_module("block", std::make_shared<Block>());
  torch::Tensor training_step(const fg::Example& batch, auto&) { return block->inner->forward(batch.data).mean(); }
  auto configure_optimizers() { return fg::LBFGS(block->parameters(), {.lr = 0.05}); }
};
}  // namespace

TEST_CASE("a module that was not registered is named as the cause, whichever optimizer finds no parameters") {
  const auto is_the_cause = ContainsSubstring(
      "a module's parameters() holds those of its own that are registered, so write "
      "register_module(\"name\", module) for each module in it, and "
      "register_parameter(\"name\", tensor) for each tensor");
  Unregistered model;
  CHECK_THROWS_WITH((fg::Trainer{model}), is_the_cause);
  UnregisteredForLibTorch other;
  CHECK_THROWS_WITH((fg::Trainer{other}), is_the_cause && StartsWith("fulgurite: an optimizer was given no parameters: "));
  UnregisteredInside inside;
  CHECK_THROWS_WITH((fg::Trainer{inside}), is_the_cause);
}

TEST_CASE("a module that was replaced after the trainer was made is refused by name") {
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.line = model.replace_module("line", nn::Linear(2, 1));
  CHECK_THROWS_WITH(trainer.fit(batches()),
                    "fulgurite: the parameter line.bias was replaced after the trainer was made, and the optimizer still "
                    "trains the tensor that it was: make the trainer when the model is complete, or copy new "
                    "values into the parameter");
  auto loop = trainer.loop();
  CHECK_THROWS_WITH(loop.step(batches()[0]), ContainsSubstring("was replaced after the trainer was made"));
  CHECK(trainer.progress() == fg::Progress{});

  Line less;
  fg::Trainer other{less, fg::MaxEpochs{1}};
  less.unregister_module("line");
  CHECK_THROWS_WITH(other.fit(batches()), ContainsSubstring("the parameter line.bias was removed after the trainer was made"));
}

TEST_CASE("values that were copied into parameters, another name, and memory of their own do not count as a replacement") {
  const support::Notices notices;
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  {
    torch::NoGradGuard no_grad;
    model.line->weight.fill_(0.5);
    model.line->bias.set_data(torch::zeros({1}));
  }
  const auto line = model.line;
  model.unregister_module("line");
  model.register_module("renamed", line);
  trainer.fit(batches());
  CHECK(trainer.progress().epoch == 1);
  CHECK(notices.all.empty());
}

TEST_CASE("a parameter that was added after the trainer was made is mentioned") {
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.register_module("head", nn::Linear(1, 1));
  const support::Notices notices;
  trainer.fit(batches());
  REQUIRE(notices.all.size() == 1);
  CHECK_THAT(notices.all[0],
             StartsWith("fulgurite: the parameter head.") &&
                 EndsWith(" was added after the trainer was made, and no optimizer trains it: make the trainer when the "
                          "model is complete"));
  fg::Trainer complete{model, fg::MaxEpochs{1}};
  complete.fit(batches());
  CHECK(notices.all.size() == 1);
}

namespace {
/// An optimizer of the program's own, which does not tell what it trains.
class Silent {
 public:
  template <class Precision>
  using backend = fg::TensorBackend<Precision>;
  explicit Silent(nn::Module& model) : model_(&model) {}
  void step() {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model_->parameters()) {
      if (parameter.grad().defined()) parameter.sub_(parameter.grad(), 0.1);
    }
  }
  void zero_grad() { model_->zero_grad(); }

 private:
  nn::Module* model_;
};
struct TrainedSilently : Line {
  auto configure_optimizers() { return Silent(*this); }
};
}  // namespace

TEST_CASE("nothing is said of it if an optimizer does not tell which parameters it trains") {
  TrainedSilently model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.register_module("head", nn::Linear(1, 1));
  const support::Notices notices;
  trainer.fit(batches());
  CHECK(trainer.progress().global_step == 3);
  CHECK(notices.all.empty());
}

// --- silence -------------------------------------------------------------------------------------------------------

namespace {
struct WithNorm : Line {
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(2));
  bool trains_itself = false;
  void on_fit_start(auto&) {
    if (trains_itself) train();
  }
};
}  // namespace

TEST_CASE("a training that begins in evaluation mode keeps the mode, as in Lightning, and says so") {
  WithNorm model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  {
    const support::Notices notices;
    trainer.fit(batches());
    CHECK(notices.all.empty());
  }
  trainer.set_limit(fg::MaxEpochs{2});
  model.eval();
  {
    const support::Notices notices;
    trainer.fit(batches());
    REQUIRE(notices.all.size() == 1);
    CHECK(notices.all[0] ==
          "fulgurite: the training begins with the model in evaluation mode: dropout and batch norm act there as in "
          "evaluation. If that is not meant, call model.train() before");
    CHECK(!model.is_training());
  }
  trainer.set_limit(fg::MaxEpochs{3});
  model.train();
  model.norm->eval();
  {
    const support::Notices notices;
    trainer.fit(batches());
    REQUIRE(notices.all.size() == 1);
    CHECK_THAT(notices.all[0],
               ContainsSubstring("fulgurite: the training begins with norm in evaluation mode: dropout and batch norm act"));
    model.line->eval();
    trainer.set_limit(fg::MaxEpochs{4});
    trainer.fit(batches());
    REQUIRE(notices.all.size() == 2);
    CHECK_THAT(notices.all[1], ContainsSubstring("begins with line and 1 more in evaluation mode: "));
  }
  trainer.set_limit(fg::MaxEpochs{5});
  model.trains_itself = true;
  model.eval();
  const support::Notices notices;
  trainer.fit(batches());
  CHECK(notices.all.empty());
}

TEST_CASE("steps by hand without zero_grad are mentioned once; gradients that are zeroed otherwise are not") {
  const auto notices_of = [](bool zeroes, bool zeroes_the_model) {
    const support::Notices notices;
    ByHand model;
    model.zeroes = zeroes;
    model.zeroes_the_model = zeroes_the_model;
    fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{2}};
    trainer.fit(batches());
    return notices.all;
  };
  CHECK(notices_of(true, false).empty());
  CHECK(notices_of(false, true).empty());
  const auto missing = notices_of(false, false);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0] == "fulgurite: SGD steps again without its zero_grad() since its last step, so that gradients add up unless they are set "
                      "to 0 in place: call optimizer.zero_grad() before the backward pass");
}
