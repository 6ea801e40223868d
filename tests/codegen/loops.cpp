// SPDX-License-Identifier: MIT
// Trainings of a model of plain doubles, each through fg::Trainer and as the loop that one would write by hand, which
// keeps the same books: counters, the metrics' epoch, the check of the loss. CountInstructions.cmake counts the instructions
// of both, which must end in the same numbers.
//
//   loops <case> <trainer|hand> <batches>    prints the weights
#include <fulgurite/core.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

namespace fg = fulgurite;

namespace {

// --- what is trained: y = w x + b, the squared error --------------------------------------------------------------

struct Sample {
  double x, y;
};

struct Parameter {
  double value = 0.0;
  double gradient = 0.0;
};

struct Line {
  Parameter w{0.5}, b{0.1};
};

struct Gradients {
  Line* line;

  void scale(double factor) const {
    line->w.gradient *= factor;
    line->b.gradient *= factor;
  }
  void clip_norm(double max, double /*norm_type*/) const {
    const double norm = std::sqrt(line->w.gradient * line->w.gradient + line->b.gradient * line->b.gradient);
    scale(std::min(1.0, max / (norm + 1e-6)));
  }
};

struct Sgd {
  Line* line;
  double rate;

  void step() const {
    line->w.value -= rate * line->w.gradient;
    line->b.value -= rate * line->b.gradient;
  }
  void zero_grad() const { line->w.gradient = line->b.gradient = 0.0; }
  Gradients gradients() const { return {line}; }
};

struct Loss {
  Line* line;
  double x, error;

  double value() const { return error * error; }
  void backward(double scale) const {
    line->w.gradient += scale * 2.0 * error * x;
    line->b.gradient += scale * 2.0 * error;
  }
};

Loss loss_of(Line& line, const Sample& batch) {
  return {&line, batch.x, line.w.value * batch.x + line.b.value - batch.y};
}

constexpr double rate = 0.01;
constexpr double limit = 0.5;  // of norms

// --- models ---------------------------------------------------------------------------------------------------------

struct Plain {
  Line line;

  Loss training_step(const Sample& batch, auto&) { return loss_of(line, batch); }
  auto configure_optimizers() { return Sgd{&line, rate}; }
};

struct Hooked : Plain {
  double seen = 0.0;
  std::int64_t steps = 0;

  void on_train_batch_start(const Sample& batch, auto&) { seen += batch.x; }
  void on_before_optimizer_step(auto&, auto&) { ++steps; }
  void optimizer_step(auto& optimizer, auto&& closure, auto&) { optimizer.step(closure); }
  void on_train_batch_end(const auto& result, const Sample&, auto&) { seen -= result.loss->value(); }
};

struct Two {
  Line line, second;

  Loss training_step(const Sample& batch, auto&, fg::OptimizerIndex<0>) { return loss_of(line, batch); }
  Loss training_step(const Sample& batch, auto&, fg::OptimizerIndex<1>) { return loss_of(second, batch); }
  auto configure_optimizers() { return fg::optimizers(Sgd{&line, rate}, Sgd{&second, 2.0 * rate}); }
};

// --- through the trainer --------------------------------------------------------------------------------------------

using Samples = std::span<const Sample>;

// The loops that are counted. Not inlined, so that their code can be looked at.
template <class Trainer>
__attribute__((noinline)) void train(Trainer& trainer, Samples samples) {
  auto loop = trainer.loop();
  for (const Sample& batch : samples) {
    [[maybe_unused]] const auto result = loop.step(batch);
  }
}

// --- by hand --------------------------------------------------------------------------------------------------------

struct Books {
  std::int64_t epoch = 0, batch = 0, batches = 0, windows = 0, global_step = 0, skipped_steps = 0;
  std::int64_t step_count[2] = {0, 0};
  bool epoch_open = false;
  fg::Metrics metrics;  // whose epoch begins with the first batch

  void begin_epoch() {
    if (epoch_open) return;
    epoch_open = true;
    metrics.begin_epoch(fg::Stage::training);
  }
  void count_step(int optimizer) {
    ++global_step;
    ++step_count[optimizer];
  }
  void count_batch() {
    ++batches;
    ++batch;
  }
};

[[noreturn]] __attribute__((noinline, cold)) void stop_on(double loss) {
  throw std::runtime_error("the loss is " + std::to_string(loss));
}

inline void require_finite(const Loss& loss) {
  if (!std::isfinite(loss.value())) stop_on(loss.value());
}

/// Forward, zero_grad, backward, clipping, update: a batch that is a step.
template <bool Clip>
inline void step_by_hand(Books& books, Line& line, const Sgd& sgd, const Sample& batch, int optimizer) {
  const Loss loss = loss_of(line, batch);
  sgd.zero_grad();
  require_finite(loss);
  loss.backward(1.0);
  if constexpr (Clip) sgd.gradients().clip_norm(limit, 2.0);
  sgd.step();
  books.count_step(optimizer);
}

struct PlainByHand {
  Plain& model;
  Sgd sgd{&model.line, rate};
  Books books{};

  template <bool Clip = false>
  void step(const Sample& batch) {
    books.begin_epoch();
    step_by_hand<Clip>(books, model.line, sgd, batch, 0);
    ++books.windows;
    books.count_batch();
  }
};

struct ClippedByHand : PlainByHand {
  explicit ClippedByHand(Plain& trained) : PlainByHand{trained} {}
  void step(const Sample& batch) { PlainByHand::step<true>(batch); }
};

struct AccumulatedByHand {
  Plain& model;
  Sgd sgd{&model.line, rate};
  Books books{};
  std::int64_t in_window = 0;
  std::int64_t divisor = 4;
  std::optional<std::int64_t> epoch_size{};  // in batches, if known: the last window may be short

  void step(const Sample& batch) {
    books.begin_epoch();
    const Loss loss = loss_of(model.line, batch);
    if (in_window == 0) {
      divisor = 4;
      if (epoch_size) {
        const std::int64_t remaining = *epoch_size - books.batch;
        if (remaining > 0 && remaining < 4) divisor = remaining;
      }
      sgd.zero_grad();
    }
    require_finite(loss);
    loss.backward(1.0 / static_cast<double>(divisor));
    if (++in_window == 4) {
      sgd.step();
      in_window = 0;
      books.count_step(0);
      ++books.windows;
    }
    books.count_batch();
  }
};

struct TwoByHand {
  Two& model;
  Sgd sgd{&model.line, rate}, second_sgd{&model.second, 2.0 * rate};
  Books books{};

  void step(const Sample& batch) {
    books.begin_epoch();
    step_by_hand<false>(books, model.line, sgd, batch, 0);
    step_by_hand<false>(books, model.second, second_sgd, batch, 1);
    ++books.windows;
    books.count_batch();
  }
};

struct HookedByHand {
  Hooked& model;
  Sgd sgd{&model.line, rate};
  Books books{};

  void step(const Sample& batch) {
    books.begin_epoch();
    model.on_train_batch_start(batch, *this);
    fg::StepResult<Loss> result;
    result.loss = loss_of(model.line, batch);
    sgd.zero_grad();
    require_finite(*result.loss);
    result.loss->backward(1.0);
    model.on_before_optimizer_step(sgd, *this);
    sgd.step();
    books.count_step(0);
    ++books.windows;
    ++books.batches;
    model.on_train_batch_end(result, batch, *this);
    ++books.batch;
  }
};

template <class ByHand>
__attribute__((noinline)) void train_by_hand(ByHand& by_hand, Samples samples) {
  for (const Sample& batch : samples) by_hand.step(batch);
}

// --- running them ---------------------------------------------------------------------------------------------------

void print(const Line& line) { std::printf("%a %a\n", line.w.value, line.b.value); }
void print(const Plain& model) { print(model.line); }
void print(const Hooked& model) {
  print(model.line);
  std::printf("%a %lld\n", model.seen, static_cast<long long>(model.steps));
}
void print(const Two& model) {
  print(model.line);
  print(model.second);
}

template <class Model, class ByHand, class... Policies>
int run(const char* how, Samples samples, Policies... policies) {
  Model model;
  if (std::strcmp(how, "trainer") == 0) {
    fg::Trainer trainer{model, policies...};
    train(trainer, samples);
    print(model);
    std::printf("%lld\n", static_cast<long long>(trainer.progress().global_step));
  } else {
    ByHand by_hand{model};
    train_by_hand(by_hand, samples);
    print(model);
    std::printf("%lld\n", static_cast<long long>(by_hand.books.global_step));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const char* name = argv[1];
  static Sample all[3000];
  for (int i = 0; i < 3000; ++i) {
    const double x = static_cast<double>(i % 17) / 17.0;
    all[i] = {x, 2.0 * x - 0.5};
  }
  const Samples samples = Samples(all).first(std::strtoul(argv[3], nullptr, 10));
  const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("plain")) return run<Plain, PlainByHand>(argv[2], samples);
  if (is("accumulate")) return run<Plain, AccumulatedByHand>(argv[2], samples, fg::Accumulate<4>{});
  if (is("clipping")) return run<Plain, ClippedByHand>(argv[2], samples, fg::ClipNorm{.max = limit});
  if (is("two_optimizers")) return run<Two, TwoByHand>(argv[2], samples);
  if (is("hooks")) return run<Hooked, HookedByHand>(argv[2], samples);
  return 2;
}
