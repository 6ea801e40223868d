// SPDX-License-Identifier: MIT
// What a sequence is: a setup, and moves with what hooks do in them. All of it is small numbers, each with a simplest value,
// so that one list of them serves drawing, printing and shrinking.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sequences {

/// What a kind of trainer has. Its policies are types, so there is a handful of kinds.
struct Kind {
  const char* name = "";
  int optimizers = 1;
  bool accumulates = false;
  bool takes_turns = false;
  bool manual = false;
  bool overrides = false;  ///< the model has optimizer_step and the other hooks that replace a part
  bool weighted = false;   ///< training_step returns weighted losses
  bool plateau = false;    ///< a schedule follows the loss
  bool callbacks = false;  ///< two callbacks that have hooks too
  bool skips = false;      ///< training_step may return nothing
};

enum class Hook : int {
  on_fit_start,
  on_train_start,
  on_train_epoch_start,
  on_train_batch_start,
  training_step,
  on_before_zero_grad,
  optimizer_zero_grad,
  on_before_backward,
  on_after_backward,
  optimizer_step,
  on_before_optimizer_step,
  configure_gradient_clipping,
  lr_scheduler_step,
  on_train_batch_end,
  on_validation_start,
  validation_scope,
  scope_ends,  ///< no hook, but the end of what validation_scope gave
  on_validation_epoch_start,
  on_validation_batch_start,
  validation_step,
  on_validation_batch_end,
  on_validation_epoch_end,
  on_validation_end,
  on_train_epoch_end,
  on_train_end,
  on_fit_end,
  teardown,
  log_metrics,
  on_save_checkpoint,
  count
};
inline constexpr int hook_count = static_cast<int>(Hook::count);
inline constexpr const char* hook_names[hook_count] = {"on_fit_start",
                                                       "on_train_start",
                                                       "on_train_epoch_start",
                                                       "on_train_batch_start",
                                                       "training_step",
                                                       "on_before_zero_grad",
                                                       "optimizer_zero_grad",
                                                       "on_before_backward",
                                                       "on_after_backward",
                                                       "optimizer_step",
                                                       "on_before_optimizer_step",
                                                       "configure_gradient_clipping",
                                                       "lr_scheduler_step",
                                                       "on_train_batch_end",
                                                       "on_validation_start",
                                                       "validation_scope",
                                                       "the end of validation_scope",
                                                       "on_validation_epoch_start",
                                                       "on_validation_batch_start",
                                                       "validation_step",
                                                       "on_validation_batch_end",
                                                       "on_validation_epoch_end",
                                                       "on_validation_end",
                                                       "on_train_epoch_end",
                                                       "on_train_end",
                                                       "on_fit_end",
                                                       "teardown",
                                                       "log_metrics",
                                                       "on_save_checkpoint"};

/// What a hook does beside its work.
enum class Deed : int {
  nothing,
  fail,             ///< throws
  stop,             ///< step.stop()
  save,             ///< asks for a checkpoint
  lengthen,         ///< raises MaxEpochs by one
  validate,         ///< validates within the hook
  fit,              ///< calls fit within a fit, a step, an epoch's end or a validation, as the next two
  step,             ///< calls loop.step
  finish,           ///< calls loop.end_epoch
  toggle,           ///< turns requires_grad of the first parameter over
  end_epoch,        ///< of on_train_batch_start
  skip,             ///< of training_step, optimizer_zero_grad and lr_scheduler_step: they do nothing
  nan,              ///< of training_step: its loss
  infinity,         ///< of training_step: its loss
  closure_only,     ///< of optimizer_step
  step_twice,       ///< of optimizer_step
  without_closure,  ///< of optimizer_step
  count
};
inline constexpr const char* deed_names[static_cast<int>(Deed::count)] = {
    "nothing", "fail",      "stop", "save", "lengthen", "validate",     "fit",        "step", "finish",
    "toggle",  "end epoch", "skip", "nan",  "infinity", "closure only", "step twice", "without closure"};

/// In a move, the `call`-th call of a hook (from 1, of all hosts together) does this.
struct Act {
  int hook = 0;
  int call = 1;
  int deed = 0;
  int file = 0;  ///< of a save
};

inline constexpr int file_count = 2;

struct Move {
  enum Kind : int { fit, own_loop, validate, save, load, renew, toggle, kind_count };
  int kind = fit;
  int epochs = 0;        ///< fit: more than have ended, and as many with the next
  int batches = 1;       ///< of the training range, or of the program's own loop
  int range = 0;         ///< fit with validation: 0 of known size, 1 of unknown size, 2 single-pass
  int validation = 0;    ///< batches; 0: none
  int interval = 0;      ///< of validation in batches; 0: whole epochs, -1: half of them
  int every_epochs = 1;  ///< of validation
  int across = 0;        ///< validation across epochs; 0: not
  int sanity = 0;
  int train_limit = -1;       ///< -1: all
  int validation_limit = -1;  ///< -1: all
  int steps = 0;              ///< fit: MaxSteps beyond those that were made; 0: no limit
  int min_epochs = 0;         ///< beyond those that have ended
  int min_steps = 0;          ///< beyond those that were made
  int time_is_over = 0;
  int last = 0;       ///< own loop: its last batch is the epoch's
  int end_epoch = 0;  ///< own loop
  int prefix = 0;     ///< validate
  int file = 0;       ///< save, load
  int anew = 0;       ///< load: into a new trainer
  int parameter = 0;  ///< toggle
  int data = 0;       ///< which numbers the batches hold
  std::vector<Act> acts;
};
inline constexpr const char* move_names[Move::kind_count] = {"fit",  "own loop", "validate", "save",
                                                             "load", "renew",    "toggle"};

/// What stays the same in a sequence.
struct Setup {
  int window = 1;
  int later_window = 1;
  int later_from = 1;  ///< epoch
  int full_divisor = 0;
  int clip = 0;         ///< quarters; 0: far away
  int rate = 0;         ///< 2^-rate
  int decay_every = 1;  ///< step_size of the StepLR
  int interval = 2;     ///< of schedules: 0 EveryStep, 1 EveryBatch, 2 EveryEpoch
  int frequency = 1;
  int plateau_interval = 2;
  int plateau_frequency = 1;
  int patience = 0;
  int strict = 0;
  int non_finite = 0;  ///< 0 stop, 1 skip, 2 ignore
  int first_turn = 1;
  int second_turn = 1;
  int loss_flags = 0;  ///< 0 none, 1 on_epoch, 2 both, 3 sum, 4 min, 5 max
  int same_name = 0;   ///< validation logs under the same name as training
  int log_every = 1;
};

struct Sequence {
  Setup setup;
  std::vector<Move> moves;
};

/// Calls f(name, number, simplest) for each number of a setup, a move or an act.
template <class T, class F>
  requires requires(T& setup) {
    setup.later_window;
  }
void for_each_number(T& setup, const F& f) {
  f("window", setup.window, 1);
  f("later_window", setup.later_window, 1);
  f("later_from", setup.later_from, 1);
  f("full_divisor", setup.full_divisor, 0);
  f("clip", setup.clip, 0);
  f("rate", setup.rate, 0);
  f("decay_every", setup.decay_every, 1);
  f("interval", setup.interval, 2);
  f("frequency", setup.frequency, 1);
  f("plateau_interval", setup.plateau_interval, 2);
  f("plateau_frequency", setup.plateau_frequency, 1);
  f("patience", setup.patience, 0);
  f("strict", setup.strict, 0);
  f("non_finite", setup.non_finite, 0);
  f("first_turn", setup.first_turn, 1);
  f("second_turn", setup.second_turn, 1);
  f("loss_flags", setup.loss_flags, 0);
  f("same_name", setup.same_name, 0);
  f("log_every", setup.log_every, 1);
}
template <class T, class F>
  requires requires(T& move) {
    move.acts;
  }
void for_each_number(T& move, const F& f) {
  f("epochs", move.epochs, 0);
  f("batches", move.batches, 1);
  f("range", move.range, 0);
  f("validation", move.validation, 0);
  f("interval", move.interval, 0);
  f("every_epochs", move.every_epochs, 1);
  f("across", move.across, 0);
  f("sanity", move.sanity, 0);
  f("train_limit", move.train_limit, -1);
  f("validation_limit", move.validation_limit, -1);
  f("steps", move.steps, 0);
  f("min_epochs", move.min_epochs, 0);
  f("min_steps", move.min_steps, 0);
  f("time_is_over", move.time_is_over, 0);
  f("last", move.last, 0);
  f("end_epoch", move.end_epoch, 0);
  f("prefix", move.prefix, 0);
  f("file", move.file, 0);
  f("anew", move.anew, 0);
  f("parameter", move.parameter, 0);
  f("data", move.data, 0);
}
template <class T, class F>
  requires requires(T& act) {
    act.deed;
  }
void for_each_number(T& act, const F& f) {
  f("call", act.call, 1);
  f("file", act.file, 0);
}

/// A sequence as text: what is not at its simplest.
inline std::string text_of(const Sequence& sequence) {
  const auto numbers = [](const auto& of) {
    std::string text;
    for_each_number(of, [&](const char* name, int number, int simplest) {
      if (number != simplest) text += std::string(text.empty() ? "" : ", ") + name + " " + std::to_string(number);
    });
    return text;
  };
  std::string text = "  setup: " + numbers(sequence.setup) + "\n";
  for (std::size_t i = 0; i < sequence.moves.size(); ++i) {
    const Move& move = sequence.moves[i];
    text += "  " + std::to_string(i + 1) + " " + move_names[move.kind] + ": " + numbers(move) + "\n";
    for (const Act& act : move.acts) {
      text += std::string("      ") + hook_names[act.hook] + ", call " + std::to_string(act.call) + ": " +
              deed_names[act.deed] + (act.deed == static_cast<int>(Deed::save) ? " file " + std::to_string(act.file) : "") +
              "\n";
    }
  }
  return text;
}

}  // namespace sequences
