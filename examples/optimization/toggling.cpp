// SPDX-License-Identifier: MIT
// Toggling: while one optimizer trains, the parameters of the others need no gradient.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <stdexcept>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Networks : nn::Module {
  nn::Linear generator = register_module("generator", nn::Linear(4, 2));
  nn::Linear discriminator = register_module("discriminator", nn::Linear(2, 1));

  torch::Tensor generator_loss(const fg::Example& batch) {
    auto fake = generator->forward(torch::randn({batch.data.size(0), 4}));
    return nn::functional::softplus(-discriminator->forward(fake)).mean();
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::SGD(generator->parameters(), {.lr = 0.01}),
                          fg::SGD(discriminator->parameters(), {.lr = 0.01}));
  }
};

// [toggle]
struct Toggled : Networks {
  void training_step(const fg::Example& batch, auto& step) {
    auto [g_opt, d_opt] = step.optimizers();
    {
      auto only = step.toggle(g_opt);  // until the end of this block
      g_opt.zero_grad();
      step.manual_backward(generator_loss(batch));  // leaves no gradient in the discriminator
      g_opt.step();
    }
    {
      auto only = step.toggle(d_opt);
      d_opt.zero_grad();
      step.manual_backward(-generator_loss(batch));
      d_opt.step();
    }
  }
};
// [/toggle]

struct Watched : Toggled {
  void on_before_optimizer_step(auto& optimizer, auto& /*step*/) {
    if (optimizer.index() == 0) {
      problem::check(!discriminator->weight.grad().defined(), "the other's parameters got no gradient");
    } else {
      problem::check(discriminator->weight.grad().defined(), "until its own turn");
    }
  }
};

// [nested]
struct Nested : Networks {
  void training_step(const fg::Example& /*batch*/, auto& step) {
    auto [g_opt, d_opt] = step.optimizers();
    auto generator_only = step.toggle(g_opt);
    {
      auto discriminator_only = step.toggle(d_opt);  // the innermost counts
      problem::check(discriminator->weight.requires_grad() && !generator->weight.requires_grad(),
                     "inside: the inner one");
    }
    problem::check(generator->weight.requires_grad() && !discriminator->weight.requires_grad(),
                   "then the outer one again");
    throw std::runtime_error("something went wrong");  // guards end here, too
  }
};
// [/nested]

// [automatic]
struct Automatic : Networks {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/, auto index) {
    if constexpr (index == 0) {
      problem::check(!discriminator->weight.requires_grad(),
                     "automatically each optimizer is toggled in its turn");
    }
    return generator_loss(batch) + discriminator->forward(batch.data).square().mean();
  }
};
// [/automatic]

int main() {
  const fg::LimitBatches one{.train = fg::Batches{1}};
  Watched toggled;
  fg::Trainer{toggled, fg::ManualOptimization{}, one, fg::MaxEpochs{1}}.fit(problem::circle());
  problem::check(toggled.generator->weight.requires_grad(), "after the blocks all need gradients again");

  Nested nested;
  try {
    fg::Trainer{nested, fg::ManualOptimization{}, one, fg::MaxEpochs{1}}.fit(problem::circle());
  } catch (const std::runtime_error&) {
    problem::check(nested.generator->weight.requires_grad() && nested.discriminator->weight.requires_grad(),
                   "after an exception all parameters need gradients as before");
  }

  Automatic automatic;
  fg::Trainer{automatic, one, fg::MaxEpochs{1}}.fit(problem::circle());
  problem::check(automatic.discriminator->weight.requires_grad(), "and restored");
  return problem::outcome();
}
