// SPDX-License-Identifier: MIT
// Several optimizers, and manual optimization: a run that was saved anywhere goes on bit for bit.
#include "support/resume.hpp"

#include <fulgurite/optim.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers.hpp>

namespace {

namespace fg = fulgurite;
using resume::require_resumes_anywhere;

struct TwoLosses : resume::Net {
  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<0>) {
    return Net::training_step(batch, step);
  }
  torch::Tensor training_step(const fg::Example& batch, auto&, fg::OptimizerIndex<1>) {
    return forward(batch.data).square().mean();
  }
};

struct Together : TwoLosses {
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(fg::Adam(first->parameters(), {.lr = 0.01})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 9}, fg::EveryStep{}),
        fg::optimizer(fg::RMSprop(second->parameters(), {.lr = 0.01, .momentum = 0.5})).lr_scheduler(fg::StepLR{.step_size = 1}));
  }
};

TEST_CASE("two optimizers with a window go on where they were saved") {
  require_resumes_anywhere<Together>([](auto& model) { return fg::Trainer{model, fg::Accumulate<3>{}, fg::MaxEpochs{3}}; });
}

struct Turns : TwoLosses {
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(fg::Adam(first->parameters(), {.lr = 0.01})).frequency(fg::Batches{1}),
                          fg::optimizer(fg::SGD(second->parameters(), {.lr = 0.1})).frequency(fg::Batches{2}));
  }
};

TEST_CASE("optimizers that take turns go on where they were saved") {
  require_resumes_anywhere<Turns>([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{3}}; });
}

/// Gathers gradients over three batches by hand, clips in the second and steps in the third.
struct ByHand : resume::Net {
  void training_step(const fg::Example& batch, auto& step) {
    auto [one, two] = step.optimizers();
    const auto place = step.progress().batches % 3;
    auto loss = torch::mse_loss(forward(batch.data), batch.target);
    step.manual_backward(loss);
    step.log("train_loss", loss, fg::on_step | fg::on_epoch);
    if (place == 1) step.clip_gradients(one, fg::ClipNorm{.max = 0.1});
    if (place != 2) return;
    one.step();
    one.zero_grad();
    two.step();
    two.zero_grad();
    if (step.is_last_batch()) std::get<0>(std::tuple(step.lr_schedulers())).step();
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(fg::AdamW(first->parameters(), {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1}),
                          fg::optimizer(fg::SGD(second->parameters(), {.lr = 0.1, .momentum = 0.9})));
  }
};

TEST_CASE("manual optimization goes on where it was saved, with gradients and a clipping that wait for their step") {
  require_resumes_anywhere<ByHand>([](auto& model) { return fg::Trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{3}}; });
}

/// Steps in the last batch of a few, on the gradients of the one before. Those of the first `Unscaled` ones are unscaled at once;
/// the first one's are larger and overflow more often.
template <int Batches, int Unscaled>
struct UnscalesEarly : resume::Net {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    const std::int64_t place = step.progress().batches % Batches;
    if (place == Batches - 1) return optimizer.step();
    optimizer.zero_grad();
    step.manual_backward(torch::mse_loss(forward(batch.data), batch.target) * (place == 0 ? 256.0 : 1.0));
    if (place < Unscaled) optimizer.gradients().unscale();
  }
  auto configure_optimizers() { return fg::Adam(parameters(), {.lr = 0.01}); }
};

TEST_CASE("gradients that were unscaled before a checkpoint, some of which overflowed, are stepped on or skipped after it") {
  const auto make = [](auto& model) {
    return fg::Trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{3},
                       fg::Float16Mixed{.initial_scale = 16.0 * 65536.0, .backoff_factor = 0.25, .growth_interval = 2}};
  };
  require_resumes_anywhere<UnscalesEarly<2, 1>>(make);
  require_resumes_anywhere<UnscalesEarly<3, 2>>(make);  // an overflow of the first batch counts when the last one steps
  require_resumes_anywhere<UnscalesEarly<3, 1>>(make);
}

struct KeepsGradients : resume::Net {
  void optimizer_zero_grad(auto& optimizer, auto& step) {
    if (step.progress().batches % 2 == 0) optimizer.zero_grad();
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.02}); }
};

TEST_CASE("gradients that a model's own optimizer_zero_grad keeps are kept in a checkpoint") {
  require_resumes_anywhere<KeepsGradients>([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{3}}; });
}

}  // namespace
