// SPDX-License-Identifier: MIT
// Sequences of moves drawn from a seed, made by an eager trainer, by one with fg::Frozen and by one with a prefetched range:
// after each move all numbers are equal, bit for bit.
#include <fulgurite/frozen/frozen_steps.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/fulgurite.hpp>

#include "support/drawing.hpp"
#include "support/notices.hpp"
#include "support/resume.hpp"
#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

// --- what a sequence is --------------------------------------------------------------------------------------------

enum class At : int { epoch_start, batch_start, batch_end, validation, epoch_end, count };
enum class Deed : int { nothing, fail, stop, save, toggle, count };

/// The `call`-th time in a move that a hook is called, it does this.
struct Act {
  int at = 0;
  int call = 1;
  int deed = 0;
};
struct Move {
  enum Kind : int { fit, own_loop, validate, toggle, rate, save, load, kind_count };
  int kind = fit;
  int epochs = 1;  // more
  int batches = 1;
  int size = 3;  // examples per batch
  int short_last = 0;
  int nan = 0;  // this batch, from 1, has a NaN in it
  int validation = 0;
  int layer = 0;
  int end_epoch = 0;
  int data = 0;
  std::vector<Act> acts;
};
struct Setup {
  int window = 1;
  int clip = 0;
  int dropout = 0;
  int tapes = 8;
  int prefetched_frozen = 0;
};
struct Sequence {
  Setup setup;
  std::vector<Move> moves;
};

template <class T, class F>
  requires requires(T& setup) {
    setup.tapes;
  }
void for_each_number(T& setup, const F& f) {
  f("window", setup.window, 1);
  f("clip", setup.clip, 0);
  f("dropout", setup.dropout, 0);
  f("tapes", setup.tapes, 8);
  f("prefetched_frozen", setup.prefetched_frozen, 0);
}
template <class T, class F>
  requires requires(T& move) {
    move.acts;
  }
void for_each_number(T& move, const F& f) {
  f("epochs", move.epochs, 1);
  f("batches", move.batches, 1);
  f("size", move.size, 3);
  f("short_last", move.short_last, 0);
  f("nan", move.nan, 0);
  f("validation", move.validation, 0);
  f("layer", move.layer, 0);
  f("end_epoch", move.end_epoch, 0);
  f("data", move.data, 0);
}
template <class T, class F>
  requires requires(T& act) {
    act.deed;
  }
void for_each_number(T& act, const F& f) {
  f("at", act.at, 0);
  f("call", act.call, 1);
  f("deed", act.deed, 0);
}

std::string text_of(const Sequence& sequence) {
  const auto numbers = [](const auto& of) {
    std::string text;
    for_each_number(of, [&](const char* name, int number, int simplest) {
      if (number != simplest) text += std::string(" ") + name + " " + std::to_string(number);
    });
    return text + "\n";
  };
  constexpr const char* kinds[] = {"fit", "own loop", "validate", "toggle", "rate", "save", "load"};
  std::string text = "  setup:" + numbers(sequence.setup);
  for (const Move& move : sequence.moves) {
    text += std::string("  ") + kinds[move.kind] + ":" + numbers(move);
    for (const Act& act : move.acts) text += "    act:" + numbers(act);
  }
  return text;
}

Sequence draw_sequence(std::uint64_t seed) {
  support::Drawing draw(seed);
  Sequence sequence;
  Setup& setup = sequence.setup;
  setup.window = draw.between(1, 3);
  setup.clip = draw.below(2);
  setup.dropout = draw.below(2);
  setup.tapes = draw.one_of({1, 2, 8, 8});
  setup.prefetched_frozen = draw.below(2);
  for (int moves = draw.between(3, 6); moves > 0; --moves) {
    Move& move = sequence.moves.emplace_back();
    move.kind = draw.one_of<int>({Move::fit, Move::fit, Move::fit, Move::fit, Move::own_loop, Move::own_loop, Move::validate,
                                  Move::toggle, Move::rate, Move::save, Move::load});
    move.epochs = draw.between(1, 4);
    move.batches = draw.between(1, 8);
    move.size = draw.between(3, 4);
    move.short_last = draw.below(2);
    if (draw.one_in(12)) move.nan = draw.between(1, 8);
    if (draw.one_in(2)) move.validation = draw.between(1, 2);
    move.layer = draw.below(2);
    move.end_epoch = draw.one_in(4) ? 0 : 1;
    move.data = draw.below(4);
    for (int acts = draw.one_in(2) ? draw.between(1, 2) : 0; acts > 0; --acts) {
      Act& act = move.acts.emplace_back();
      act.at = draw.below(static_cast<int>(At::count));
      act.call = draw.between(1, 20);
      act.deed = draw.between(1, static_cast<int>(Deed::count) - 1);
    }
  }
  return sequence;
}

// --- what is trained -----------------------------------------------------------------------------------------------

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("a hook failed") {}
};

/// What survives the models and trainers of one side.
struct Program {
  Setup setup;
  std::filesystem::path path;
  const Move* move = nullptr;
  std::array<int, static_cast<std::size_t>(At::count)> calls{};
  std::vector<std::string> rows;
  std::vector<at::Tensor> trace;  // the losses, and parameters and gradients after each batch
  std::int64_t steps_run = 0;     // of training_step
};

struct Rows {
  using slot = fg::slots::Callback;
  Program* program;

  void log_metrics(const fg::MetricsRow& row) {
    std::string& text = program->rows.emplace_back(std::to_string(row.step) + " " + std::to_string(row.epoch));
    for (const auto& [name, value] : row.values) text += " " + std::string(name) + " " + fg::detail::text_of(value);
  }
};

struct Net : nn::Module {
  nn::Linear first = register_module("first", nn::Linear(3, 4));
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(4));
  nn::Linear second = register_module("second", nn::Linear(4, 4));
  nn::Linear head = register_module("head", nn::Linear(4, 1));
  Program* program;
  std::vector<double> losses{};  // for resume::Picture: they are in the trace

  explicit Net(Program& of) : program(&of) {}

  torch::Tensor loss_of(const fg::Example& batch) {
    auto hidden = torch::tanh(norm->forward(first->forward(batch.data)));
    if (program->setup.dropout) hidden = torch::dropout(hidden, 0.25, is_training());
    return torch::mse_loss(head->forward(torch::tanh(second->forward(hidden))), batch.target);
  }
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    ++program->steps_run;
    auto loss = loss_of(batch);
    step.log("loss", loss, fg::on_step | fg::on_epoch);
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("validation_loss", loss_of(batch));
    act(At::validation, step);
  }
  void on_train_epoch_start(auto& step) { act(At::epoch_start, step); }
  void on_train_batch_start(const fg::Example&, auto& step) { act(At::batch_start, step); }
  void on_train_batch_end(const auto& result, const fg::Example&, auto& step) {
    program->trace.push_back(result.loss->detach().clone());
    for (const auto& parameter : parameters()) {
      program->trace.push_back(parameter.detach().clone());
      program->trace.push_back(parameter.grad().defined() ? parameter.grad().clone() : torch::empty({0}));
    }
    act(At::batch_end, step);
  }
  void on_train_epoch_end(auto& step) { act(At::epoch_end, step); }

  void toggle(int layer) {
    for (auto& parameter : (layer == 0 ? first : second)->parameters())
      parameter.set_requires_grad(!parameter.requires_grad());
  }

 private:
  void act(At at, auto& step) {
    const int call = ++program->calls[static_cast<std::size_t>(at)];
    for (const Act& each : program->move->acts) {
      if (each.at != static_cast<int>(at) || each.call != call) continue;
      switch (static_cast<Deed>(each.deed)) {
        case Deed::fail:
          throw Failure();
        case Deed::stop:
          step.stop();
          break;
        case Deed::save:
          fg::save_checkpoint(step, program->path);
          break;
        case Deed::toggle:
          toggle(call % 2);
          break;
        default:
          break;
      }
    }
  }
};

/// Every batch is a step, and the update is on the tape.
struct Plain {
  struct Model : Net {
    using Net::Net;
    auto configure_optimizers() {
      return fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-2})).lr_scheduler(fg::ExponentialLR{.gamma = 0.9}, fg::EveryStep{});
    }
  };
  template <class Execution>
  static auto make(Model& model, Program& program, Execution execution) {
    return fg::Trainer{model, execution, Rows{.program = &program}, fg::LogEvery{1}};
  }
};

/// Windows, clipping, one memory for all parameters.
struct Windows {
  struct Model : Net {
    using Net::Net;
    auto configure_optimizers() {
      return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05, .momentum = 0.9}, fg::Contiguous{}))
          .lr_scheduler(fg::StepLR{.step_size = 2, .gamma = 0.5});
    }
  };
  template <class Execution>
  static auto make(Model& model, Program& program, Execution execution) {
    const Setup& setup = program.setup;
    return fg::Trainer{model,
                       execution,
                       Rows{.program = &program},
                       fg::LogEvery{1},
                       fg::AccumulateSchedule{.stages = {{0, setup.window}, {2, 2}}},
                       fg::ClipNorm{.max = setup.clip ? 0.1 : 1e6}};
  }
};

/// The batches of a move; a shorter one is last.
std::vector<fg::Example> batches_of(const Move& move, int count, int data) {
  std::vector<fg::Example> batches;
  for (int i = 0; i < count; ++i) {
    const std::int64_t size = move.short_last && i + 1 == count ? 2 : move.size;
    auto x = torch::arange(size * 3, torch::kFloat).reshape({size, 3});
    x = torch::sin(x * (0.37 + 0.11 * i) + data);
    if (i + 1 == move.nan) x[0][0] = std::numeric_limits<float>::quiet_NaN();
    batches.emplace_back(x, torch::cos(x.sum(1, true)));
  }
  return batches;
}

// --- one side ------------------------------------------------------------------------------------------------------

/// How a move ended, and all that can be seen after it.
template <class Model>
struct Report {
  std::string outcome;
  std::vector<std::string> rows;
  std::vector<at::Tensor> trace;
  std::vector<bool> requires_grad;
  resume::Picture<Model> picture;
};

std::string text_of(const std::map<std::string, double>& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) text += name + " " + fg::detail::text_of(value) + "\n";
  return text;
}

template <class Model>
std::string difference(const Report<Model>& a, const Report<Model>& b) {
  if (a.outcome != b.outcome) return "it ends with " + a.outcome + " and " + b.outcome;
  if (!(a.picture.progress == b.picture.progress)) return "the counters";
  if (a.trace.size() != b.trace.size()) return "the number of batches";
  for (std::size_t i = 0; i < a.trace.size(); ++i) {
    if (!resume::same(a.trace[i], b.trace[i])) return "a loss, parameter or gradient after batch " + std::to_string(i / 17);
  }
  if (a.rows != b.rows) return "rows";
  if (a.requires_grad != b.requires_grad) return "requires_grad";
  for (std::size_t i = 0; i < a.picture.tensors.size(); ++i) {
    if (!resume::same(a.picture.tensors[i].second, b.picture.tensors[i].second)) return a.picture.tensors[i].first;
  }
  for (std::size_t i = 0; i < a.picture.optimizers.size(); ++i) {
    if (!resume::same(a.picture.optimizers[i], b.picture.optimizers[i])) return "the optimizer's state";
  }
  if (!resume::same(c10::IValue(a.picture.random), c10::IValue(b.picture.random))) return "the random stream";
  return text_of(a.picture.metrics) == text_of(b.picture.metrics) ? "" : "metrics";
}

template <class Kind, class Execution, bool Prefetches>
class Side {
  using Model = typename Kind::Model;
  using Trainer = decltype(Kind::make(std::declval<Model&>(), std::declval<Program&>(), std::declval<Execution>()));

 public:
  Side(const Setup& setup, std::filesystem::path path) {
    program.setup = setup;
    program.path = std::move(path);
    torch::manual_seed(5);
    renew();
    random_ = generator().get_state();
  }

  /// `other_path`: the file of another side, which is to be the same.
  Report<Model> apply(const Move& move, const std::filesystem::path& other_path) {
    generator().set_state(random_);
    program.move = &move;
    program.calls = {};
    program.rows.clear();
    program.trace.clear();
    std::string outcome = "nothing";
    try {
      make(move, other_path);
    } catch (const Failure&) {
      outcome = "a failure";
    } catch (const fg::NonFiniteLoss& loss) {
      outcome = "a loss that is not finite in batch " + std::to_string(loss.batch());
    } catch (const std::logic_error&) {
      outcome = "a refusal";
    }
    Report<Model> report{std::move(outcome), program.rows, program.trace, {}, resume::Picture<Model>(*trainer_)};
    for (const auto& parameter : model_->parameters()) report.requires_grad.push_back(parameter.requires_grad());
    random_ = generator().get_state();
    return report;
  }

  Program program;

 private:
  static at::Generator generator() { return at::globalContext().defaultGenerator(at::kCPU); }

  void renew() {
    trainer_.reset();
    model_ = std::make_unique<Model>(program);
    Execution execution;
    if constexpr (Execution::freezes) execution.tapes = static_cast<std::size_t>(program.setup.tapes);
    trainer_ = std::make_unique<Trainer>(Kind::make(*model_, program, execution));
  }

  void make(const Move& move, const std::filesystem::path& other_path) {
    Trainer& trainer = *trainer_;
    const auto data = batches_of(move, move.batches, move.data);
    switch (move.kind) {
      case Move::fit: {
        trainer.set_limit(fg::MaxEpochs{trainer.progress().epoch + move.epochs});
        const auto validation = batches_of({}, move.validation, 9);
        if constexpr (Prefetches) {
          return move.validation > 0 ? trainer.fit(data | fg::data::prefetch(2), validation)
                                     : trainer.fit(data | fg::data::prefetch(2));
        } else {
          return move.validation > 0 ? trainer.fit(data, validation) : trainer.fit(data);
        }
      }
      case Move::own_loop: {
        auto loop = trainer.loop();
        for (const auto& batch : data) loop.step(batch);
        if (move.end_epoch) loop.end_epoch();
        return;
      }
      case Move::validate:
        return trainer.validate(batches_of({}, 1, 8));
      case Move::toggle:
        return model_->toggle(move.layer);
      case Move::rate:
        return trainer.optimizer().set_lr(0, 0.5 * trainer.optimizer().lr(0));
      case Move::save:
        return fg::save_checkpoint(trainer, program.path);
      default:
        if (!std::filesystem::exists(other_path)) return;
        renew();
        fg::load_checkpoint(*trainer_, other_path);
    }
  }

  std::unique_ptr<Model> model_;
  std::unique_ptr<Trainer> trainer_;
  at::Tensor random_;
};

/// Batches that were trained without a call of training_step.
struct Replays {
  std::int64_t batches = 0, calls = 0;
};

template <class Kind>
std::string first_difference(const Sequence& sequence, Replays& replays) {
  const support::Notices notices;
  const support::TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder.path / name; };
  Side<Kind, fg::Eager, false> eager(sequence.setup, path("eager"));
  Side<Kind, fg::Frozen, false> frozen(sequence.setup, path("frozen"));
  std::optional<Side<Kind, fg::Eager, true>> prefetched;
  std::optional<Side<Kind, fg::Frozen, true>> both;
  if (sequence.setup.prefetched_frozen) {
    both.emplace(sequence.setup, path("prefetched"));
  } else {
    prefetched.emplace(sequence.setup, path("prefetched"));
  }
  for (std::size_t i = 0; i < sequence.moves.size(); ++i) {
    const Move& move = sequence.moves[i];
    const std::string after = "after move " + std::to_string(i + 1);
    const auto wanted = eager.apply(move, path("frozen"));
    if (const auto text = difference(wanted, frozen.apply(move, path("prefetched"))); !text.empty()) {
      return after + ", eager and frozen: " + text;
    }
    const auto last = both ? both->apply(move, path("eager")) : prefetched->apply(move, path("eager"));
    if (const auto text = difference(wanted, last); !text.empty()) return after + ", eager and prefetched: " + text;
  }
  replays.batches += eager.program.steps_run;
  replays.calls += frozen.program.steps_run;
  return {};
}

template <class Kind>
void compare() {
  const std::uint64_t first = support::number_from_environment("FULGURITE_SEED", 1);
  const std::uint64_t count = support::number_from_environment("FULGURITE_SEQUENCES", 100);
  Replays replays;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Sequence sequence = draw_sequence(seed);
    if (first_difference<Kind>(sequence, replays).empty()) continue;
    const auto text = [&](const Sequence& each) { return first_difference<Kind>(each, replays); };
    const Sequence small = support::shrunk(sequence, [&](const Sequence& each) { return !text(each).empty(); });
    FAIL("the sequence of seed " << seed << " (FULGURITE_SEED=" << seed << " FULGURITE_SEQUENCES=1 repeats it), shrunk to\n"
                                 << text_of(small) << text(small));
  }
  CHECK(replays.calls < replays.batches);
}

}  // namespace

TEST_CASE("in sequences of moves, frozen and prefetched trainings are the eager one") {
  compare<Plain>();
}

TEST_CASE("in sequences of moves, frozen and prefetched windows are the eager ones") {
  compare<Windows>();
}
