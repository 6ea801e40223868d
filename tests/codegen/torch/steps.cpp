// SPDX-License-Identifier: MIT
// The trainings of loops.hpp, by hand and through the trainer, for callgrind: cmake/CompareInstructions.cmake counts what
// the functions of `Steps` execute. Prints how many trainings are compared.
#include "loops.hpp"

#include <cstdio>

namespace {

using namespace torch_loops;

constexpr int steps = 16;

template <class Training>
void train(Training& training, const fg::Example& batch) {
  for (int i = 0; i < steps; ++i) training.step(batch);
}

// Not inlined, so that callgrind finds them; the template argument says to which training they belong.
template <class LoopByHand>
struct Steps {
  __attribute__((noinline)) static void by_hand(LoopByHand& training, const fg::Example& batch) { train(training, batch); }
  template <class Training>
  __attribute__((noinline)) static void by_trainer(Training& training, const fg::Example& batch) {
    train(training, batch);
  }
};

struct Run {
  int& trainings;

  template <class Model, class LoopByHand, class... Policies>
  void operator()(const char*, Policies... policies) const {
    const fg::Example batch = make_batch();
    {
      Model model;
      initialize(model);
      LoopByHand by_hand(model);
      train(by_hand, batch);
      Steps<LoopByHand>::by_hand(by_hand, batch);
    }
    {
      Model model;
      initialize(model);
      ByTrainer<Model, Policies...> by_trainer(model, policies...);
      train(by_trainer, batch);
      Steps<LoopByHand>::by_trainer(by_trainer, batch);
    }
    ++trainings;
  }
};

}  // namespace

int main() {
  torch::set_num_threads(1);
  int trainings = 0;
  for_each_training(Run{trainings});
  std::printf("%d trainings\n", trainings);
}
