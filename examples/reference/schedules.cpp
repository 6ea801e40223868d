// SPDX-License-Identifier: MIT
// Every schedule, as docs/reference/schedulers shows it: prints the first rates of each.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <utility>

namespace fg = fulgurite;

namespace {

template <fg::Scheduler Schedule>
void show(std::string_view name, Schedule value) {
  fg::SGD optimizer({torch::zeros(1).requires_grad_()}, {.lr = 0.1, .momentum = 0.9});
  auto schedule = fg::schedule(optimizer, std::move(value));
  std::cout << name << ": " << optimizer.lr(0);
  for (int step = 0; step < 6; ++step) {
    if constexpr (fg::MetricScheduler<Schedule>) {
      schedule.step(1.0);
    } else {
      schedule.step();
    }
    std::cout << ' ' << schedule.last_lr();
  }
  std::cout << '\n';
}

void pure_schedules() {
  // [constant]
  const fg::ConstantLR constant{.factor = 0.1, .steps = 5};  // a tenth of the rate for 5 steps
  // [/constant]
  show("constant", constant);
  // [linear]
  const fg::LinearLR linear{.start_factor = 0.1, .end_factor = 1.0, .steps = 5};
  // [/linear]
  show("linear", linear);
  // [warmup]
  const auto warmed_up = fg::LinearWarmup{.steps = 500}.then(fg::CosineAnnealingLR{.t_max = 9'500});
  // [/warmup]
  show("warm-up", warmed_up);
  // [step]
  const fg::StepLR step{.step_size = 30, .gamma = 0.1};  // a tenth after 30, 60, 90, …
  // [/step]
  show("step", step);
  // [anneal-to]
  const fg::SWALR anneal_to{.target = 0.02, .period = 5, .anneal = fg::Anneal::linear};
  // [/anneal-to]
  show("anneal to", anneal_to);
  // [multi-step]
  const fg::MultiStepLR multi_step{.milestones = {30, 80}, .gamma = 0.1};
  // [/multi-step]
  show("multi-step", multi_step);
  // [exponential]
  const fg::ExponentialLR exponential{.gamma = 0.95};
  // [/exponential]
  show("exponential", exponential);
  // [cosine]
  const fg::CosineAnnealingLR cosine{.t_max = 100, .min_lr = 1e-5};
  // [/cosine]
  show("cosine", cosine);
  // [restarts]
  const fg::CosineAnnealingWarmRestarts restarts{.period = 10, .multiplier = 2};  // restarts at 10, 30, 70, …
  // [/restarts]
  show("warm restarts", restarts);
  // [polynomial]
  const fg::PolynomialLR polynomial{.steps = 100, .power = 0.9};
  // [/polynomial]
  show("polynomial", polynomial);
  // [one-cycle]
  const fg::OneCycleLR one_cycle{.max_lr = 0.3, .epochs = 10, .steps_per_epoch = 200};
  // [/one-cycle]
  show("one cycle", one_cycle);
  // [cyclic]
  const fg::CyclicLR cyclic{.base_lr = 0.01, .max_lr = 0.1, .steps_up = 4, .mode = fg::CycleMode::triangular2};
  const auto scaled = cyclic.scaled_by([](std::int64_t cycle) { return 1.0 / static_cast<double>(cycle); });
  // [/cyclic]
  show("cyclic", cyclic);
  show("scaled", scaled);
}

void functions() {
  // [lambda]
  const fg::LambdaLR inverse_root{[](std::int64_t step) { return 1.0 / std::sqrt(static_cast<double>(step + 1)); }};
  // [/lambda]
  show("lambda", inverse_root);
  // [multiplicative]
  const fg::MultiplicativeLR slower{[](std::int64_t step) { return step < 3 ? 1.0 : 0.5; }};
  // [/multiplicative]
  show("multiplicative", slower);
}

void composites() {
  // [sequential]
  const fg::SequentialLR sequence{{20, 60},                                  // milestones, then the schedules
                                        fg::ConstantLR{.factor = 0.1, .steps = 20},
                                        fg::ExponentialLR{.gamma = 0.95},
                                        fg::StepLR{.step_size = 10}};
  // [/sequential]
  show("sequence", sequence);
  // [chained]
  const fg::ChainedScheduler chain{fg::ConstantLR{.factor = 0.1, .steps = 4}, fg::ExponentialLR{.gamma = 0.9}};
  // [/chained]
  show("chain", chain);
}

// [plateau]
struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(1, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return torch::mse_loss(line->forward(batch.data), batch.target);
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("val_loss", torch::mse_loss(line->forward(batch.data), batch.target));
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1}))
        .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 2, .min_lr = 1e-4});
  }
};
// [/plateau]

void without_trainer() {
  torch::nn::Linear model(1, 1);
  // [driven]
  torch::optim::Adam optimizer(model->parameters(), torch::optim::AdamOptions(1e-2));  // or one of ours
  auto schedule = fg::schedule(optimizer, fg::CosineAnnealingLR{.t_max = 100});
  for (int step = 0; step < 100; ++step) {
    optimizer.zero_grad();
    model->forward(torch::ones({1, 1})).sum().backward();
    optimizer.step();
    schedule.step();
  }
  // [/driven]
  std::cout << "driven: " << schedule.last_lr() << '\n';
  // [state]
  const fg::ScheduleState saved = schedule.state();  // "last_epoch", "base_lrs", "_last_lr"
  auto resumed = fg::schedule(optimizer, fg::CosineAnnealingLR{.t_max = 100});
  resumed.load_state(saved);
  // [/state]
  if (resumed.steps() != 100) std::exit(1);
}

}  // namespace

int main() {
  torch::manual_seed(0);
  pure_schedules();
  functions();
  composites();
  show("plateau", fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 2});

  const auto inputs = torch::linspace(-1, 1, 32).unsqueeze(1);
  fg::data::TensorBatches batches{inputs, 2 * inputs + 1, {.batch_size = 8}};
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{60}};
  trainer.fit(batches, batches);
  std::cout << "after a plateau: " << trainer.optimizer().lr(0) << '\n';

  without_trainer();
}
