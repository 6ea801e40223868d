// SPDX-License-Identifier: MIT
// Hooks of a model and of a callback, and the order in which they are called.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

std::vector<std::string> calls;

// [model]
struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  void on_train_epoch_start(auto& /*step*/) { calls.emplace_back("on_train_epoch_start"); }
  fg::EpochControl on_train_batch_start(const fg::Example& /*batch*/, auto& step) {
    calls.emplace_back("on_train_batch_start");
    return step.batch_index() < 3 ? fg::EpochControl::go_on : fg::EpochControl::end_epoch;
  }
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    calls.emplace_back("training_step");
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  void on_before_zero_grad(auto& /*optimizer*/, auto& /*step*/) { calls.emplace_back("on_before_zero_grad"); }
  void optimizer_zero_grad(auto& optimizer, auto& /*step*/) {
    calls.emplace_back("optimizer_zero_grad");
    optimizer.zero_grad();
  }
  void on_before_backward(const auto& /*loss*/, auto& /*step*/) { calls.emplace_back("on_before_backward"); }
  void on_after_backward(auto& /*step*/) { calls.emplace_back("on_after_backward"); }
  void optimizer_step(auto& optimizer, auto&& closure, auto& /*step*/) {
    calls.emplace_back("optimizer_step");
    optimizer.step(closure);
  }
  void on_before_optimizer_step(auto& /*optimizer*/, auto& /*step*/) {
    calls.emplace_back("on_before_optimizer_step");
  }
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    calls.emplace_back("configure_gradient_clipping");
    step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5});
  }
  void lr_scheduler_step(auto& scheduler, auto& /*step*/) {
    calls.emplace_back("lr_scheduler_step");
    scheduler.step();
  }
  void on_train_batch_end(const auto& /*result*/, const fg::Example& /*batch*/, auto& /*step*/) {
    calls.emplace_back("on_train_batch_end");
  }
  void on_train_epoch_end(auto& /*step*/) { calls.emplace_back("on_train_epoch_end"); }

  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05}))
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.9}, fg::EveryStep{});
  }
};
// [/model]

// [callback]
struct Watch {
  using slot = fg::slots::Callback;

  int batches = 0;

  void on_train_batch_end(const auto& result, const auto& /*batch*/, auto& /*step*/) {
    calls.emplace_back(result.stepped ? "callback: stepped" : "callback: accumulated");
    ++batches;
  }
};
// [/callback]

int main() {
  Regression model;
  // [fit]
  fg::Trainer trainer{model, fg::Accumulate<2>{}, Watch{}, fg::MaxEpochs{1}};
  trainer.fit(problem::plane());
  const int batches = trainer.callback<Watch>().batches;
  // [/fit]

  for (const auto& call : calls) std::cout << call << '\n';
  const std::vector<std::string> window{
      // the first batch of the window: the closure alone
      "on_train_batch_start", "training_step", "on_before_zero_grad", "optimizer_zero_grad",
      "on_before_backward", "on_after_backward", "callback: accumulated", "on_train_batch_end",
      // the second, which closes it
      "on_train_batch_start", "optimizer_step", "training_step", "on_before_backward", "on_after_backward",
      "on_before_optimizer_step", "configure_gradient_clipping", "lr_scheduler_step", "callback: stepped",
      "on_train_batch_end"};
  const std::vector<std::string> first(calls.begin() + 1,
                                       calls.begin() + 1 + static_cast<std::ptrdiff_t>(window.size()));
  problem::check(calls.front() == "on_train_epoch_start" && first == window,
                 "hooks of a window come in this order");
  problem::check(calls.back() == "on_train_epoch_end" && batches == 3,
                 "a hook ends the epoch after three batches");
  return problem::outcome();
}
