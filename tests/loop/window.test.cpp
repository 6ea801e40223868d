// SPDX-License-Identifier: MIT
#include <fulgurite/loop/window.hpp>

#include <catch2/catch_test_macros.hpp>

#include <any>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {
/// The gradient after each backward pass.
struct Watched : toy::Model {
  std::vector<double> gradients;
  void on_after_backward(auto&) { gradients.push_back(weight.gradient); }
};

/// Has its first batch saved.
struct Saving : Watched {
  toy::Checkpoint file;
  void on_train_batch_start(double batch, auto& step) {
    if (batch == 1.0) toy::save(step, file);
  }
};

template <class T>
T saved(auto& trainer, const char* name) {
  return std::any_cast<T>(toy::saved(trainer).entries.at(std::string("optimizer_0.window.") + name));
}
}  // namespace

TEST_CASE("windows beyond the end of a fit's epoch that a loop of the program's own goes on with have their full length") {
  Saving model;
  fg::Trainer(model, fg::Accumulate<2>{}, fg::MaxEpochs{1}).fit(toy::counting(2));
  Watched other;
  fg::Trainer resumed{other, fg::Accumulate<2>{}};
  toy::load(resumed, model.file);
  auto loop = resumed.loop();
  for (const double batch : {3.0, 4.0, 8.0, 6.0, 2.0}) loop.step(batch);  // the second to the sixth of an epoch of two
  CHECK(other.gradients == std::vector<double>{2.0, 2.0, 6.0, 3.0, 4.0});
  CHECK(other.weight.value == -(2.0 + 6.0 + 4.0));
}

TEST_CASE("a window that was closed leaves nothing to the next: neither of batches that were left out, nor of weights") {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::SkipNonFinite{}};
  const auto is_as_new = [&] {
    return saved<std::int64_t>(trainer, "batches") == 0 && !saved<bool>(trainer, "is_odd") &&
           saved<std::int64_t>(trainer, "left_out") == 0 && saved<double>(trainer, "weight") == 0.0 &&
           !saved<bool>(trainer, "corrected");
  };
  CHECK(is_as_new());
  auto loop = trainer.loop();
  loop.step(1.0);
  CHECK(saved<std::int64_t>(trainer, "batches") == 1);
  loop.step(std::nan(""));
  CHECK(is_as_new());
  loop.step(1.0);
  loop.end_epoch();
  CHECK(is_as_new());
}
