// SPDX-License-Identifier: MIT
// One step of each optimizer: LibTorch's own, ours, and (where there is one) the bare fused kernel in a hand-written loop.
// Optimizers that LibTorch has not are compared to Python's, by optimizer_step.py.
//
// usage: [optimizer...], by default all.
//
// With the argument --serve it measures on request, so that optimizer_step.py can take turns with it: a line
// "<optimizer> <tensors> <elements>" in, the microseconds of a step out.
#include <torch/torch.h>

#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>

#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/fulgurite.hpp>

#include "support/compare.hpp"

namespace {

namespace fg = fulgurite;

struct Size {
  std::int64_t tensors, elements;
};

std::vector<torch::Tensor> parameters_of(Size size, bool matrices = false) {
  torch::manual_seed(0);
  std::vector<torch::Tensor> parameters;
  for (std::int64_t i = 0; i < size.tensors; ++i) {
    const std::vector<std::int64_t> shape =
        matrices ? std::vector<std::int64_t>{8, size.elements / 8} : std::vector<std::int64_t>{size.elements};
    parameters.push_back(torch::randn(shape).requires_grad_());
    parameters.back().mutable_grad() = torch::randn(shape).mul_(1e-3);
  }
  return parameters;
}

/// A step of `Optimizer`, which the returned function keeps alive.
template <class Optimizer, class... Arguments>
std::function<void()> step_of(Size size, Arguments... arguments) {
  constexpr bool matrices = std::is_same_v<Optimizer, fg::Muon>;
  auto optimizer = std::make_shared<Optimizer>(parameters_of(size, matrices), arguments...);
  optimizer->step();  // makes the state now, before a contender's temporary tensors can decide where it lies
  return [optimizer] { optimizer->step(); };
}

/// What a careful hand writes: lists that were prepared once, and two calls a step. Gradients are among them, which spares
/// this loop what a training cannot: there backward makes new ones, and every step has to collect them.
template <class Kernel>
std::function<void()> bare_adam(Size size, Kernel kernel) {
  struct State {
    std::vector<torch::Tensor> parameters, gradients, means, squares, steps;
    torch::Tensor all_steps;
  };
  auto state = std::make_shared<State>();
  state->parameters = parameters_of(size);
  state->all_steps = torch::zeros({size.tensors});
  state->steps = state->all_steps.unbind();
  for (const auto& parameter : state->parameters) {
    state->gradients.push_back(parameter.grad());
    state->means.push_back(torch::zeros_like(parameter, torch::requires_grad(false)));
    state->squares.push_back(torch::zeros_like(parameter, torch::requires_grad(false)));
  }
  return [state, kernel] {
    const torch::NoGradGuard no_grad;
    state->all_steps.add_(1);
    kernel(*state);
  };
}

std::function<void()> bare_sgd(Size size) {
  struct State {
    std::vector<torch::Tensor> parameters, gradients, buffers;
    bool first = true;
  };
  auto state = std::make_shared<State>();
  state->parameters = parameters_of(size);
  for (const auto& parameter : state->parameters) {
    state->gradients.push_back(parameter.grad());
    state->buffers.push_back(torch::zeros_like(parameter, torch::requires_grad(false)));
  }
  return [state] {
    const torch::NoGradGuard no_grad;
    at::_fused_sgd_(state->parameters, state->gradients, state->buffers, 0.0, 0.9, 1e-3, 0.0, false, false,
                    std::exchange(state->first, false));
  };
}

struct Entry {
  std::function<std::function<void()>(Size)> ours, torchs, bare;
};

/// LBFGS on a sum of squares, whose gradient is the parameter: a step of four iterations that never ends early.
template <class Optimizer, class Options>
std::function<void()> lbfgs_step_of(Size size, Options options) {
  const auto parameters = parameters_of(size);
  auto optimizer = std::make_shared<Optimizer>(parameters, options);
  return [optimizer, parameters, loss = torch::ones({})] {
    optimizer->step([&]() -> torch::Tensor {
      const torch::NoGradGuard no_grad;
      for (const auto& parameter : parameters) parameter.mutable_grad().copy_(parameter);
      return loss;
    });
  };
}

template <class Optimizer, class Options>
auto ours(Options options) {
  return [options](Size size) { return step_of<Optimizer>(size, options); };
}
template <class Optimizer, class Options>
auto torchs(Options options) {
  return [options](Size size) { return step_of<Optimizer>(size, options); };
}

const std::map<std::string, Entry>& entries() {
  static const std::map<std::string, Entry> all{
      {"SGD",
       {ours<fg::SGD>(fg::SGDOptions{.lr = 1e-3, .momentum = 0.9}),
        torchs<torch::optim::SGD>(torch::optim::SGDOptions(1e-3).momentum(0.9)), bare_sgd}},
      {"Adam",
       {ours<fg::Adam>(fg::AdamOptions{}), torchs<torch::optim::Adam>(torch::optim::AdamOptions(1e-3)),
        [](Size size) {
          return bare_adam(size, [](auto& s) {
            at::_fused_adam_(s.parameters, s.gradients, s.means, s.squares, {}, s.steps, 1e-3, 0.9, 0.999, 0.0, 1e-8, false,
                             false);
          });
        }}},
      {"AdamW",
       {ours<fg::AdamW>(fg::AdamWOptions{}), torchs<torch::optim::AdamW>(torch::optim::AdamWOptions(1e-3)),
        [](Size size) {
          return bare_adam(size, [](auto& s) {
            at::_fused_adamw_(s.parameters, s.gradients, s.means, s.squares, {}, s.steps, 1e-3, 0.9, 0.999, 1e-2, 1e-8, false,
                              false);
          });
        }}},
      {"Adagrad",
       {ours<fg::Adagrad>(fg::AdagradOptions{}), torchs<torch::optim::Adagrad>(torch::optim::AdagradOptions(1e-2)),
        [](Size size) {
          return bare_adam(size, [](auto& s) {
            at::_fused_adagrad_(s.parameters, s.gradients, s.squares, s.steps, 1e-2, 0.0, 0.0, 1e-10, false);
          });
        }}},
      {"RMSprop",
       {ours<fg::RMSprop>(fg::RMSpropOptions{}), torchs<torch::optim::RMSprop>(torch::optim::RMSpropOptions(1e-2)), {}}},
      {"LBFGS",
       {[](Size size) {
          return lbfgs_step_of<fg::LBFGS>(
              size, fg::LBFGSOptions{.lr = 1e-4, .max_iter = 4, .tolerance_grad = 0, .tolerance_change = 0, .history_size = 10});
        },
        [](Size size) {
          return lbfgs_step_of<torch::optim::LBFGS>(
              size, torch::optim::LBFGSOptions(1e-4).max_iter(4).tolerance_grad(0).tolerance_change(0).history_size(10));
        },
        {}}},
      {"NAdam", {ours<fg::NAdam>(fg::NAdamOptions{}), {}, {}}},
      {"RAdam", {ours<fg::RAdam>(fg::RAdamOptions{}), {}, {}}},
      {"Adamax", {ours<fg::Adamax>(fg::AdamaxOptions{}), {}, {}}},
      {"Adadelta", {ours<fg::Adadelta>(fg::AdadeltaOptions{}), {}, {}}},
      {"Rprop", {ours<fg::Rprop>(fg::RpropOptions{}), {}, {}}},
      {"ASGD", {ours<fg::ASGD>(fg::ASGDOptions{}), {}, {}}},
      {"Adafactor", {ours<fg::Adafactor>(fg::AdafactorOptions{}), {}, {}}},
      {"Muon", {ours<fg::Muon>(fg::MuonOptions{}), {}, {}}},
      {"Lion", {ours<fg::Lion>(fg::LionOptions{}), {}, {}}},
  };
  return all;
}

int serve() {
  std::string name;
  Size size{};
  std::map<std::string, std::function<void()>> steps;  // a case keeps its state between its turns
  while (std::cin >> name >> size.tensors >> size.elements) {
    auto& step = steps[name + std::to_string(size.tensors) + "x" + std::to_string(size.elements)];
    if (!step) step = entries().at(name).ours(size);
    std::cout << benchmarks::compare({{name, step}}, 1).front().microseconds << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  if (argc > 1 && std::string(argv[1]) == "--serve") return serve();
  const std::set<std::string> asked_for(argv + 1, argv + argc);

  for (const Size size : {Size{8, 1'000}, Size{160, 1'000}, Size{160, 64'000}}) {
    for (const auto& [name, entry] : entries()) {
      if (!entry.torchs || !(asked_for.empty() || asked_for.contains(name))) continue;
      if (name == "LBFGS" && size.elements > 1'000) continue;  // takes seconds a step
      std::vector<benchmarks::Contender> contenders{{"torch::optim::" + name, entry.torchs(size)}, {"fg::" + name, entry.ours(size)}};
      if (entry.bare) contenders.push_back({"the fused kernel in a hand-written loop", entry.bare(size)});
      benchmarks::print(name + ", " + std::to_string(size.tensors) + " x " + std::to_string(size.elements),
                        benchmarks::compare(contenders));
    }
  }
}
