// SPDX-License-Identifier: MIT
// The side of the library: a model with all hooks, callbacks, a logger, policies that a setup chooses at run time, and one
// kind of trainer after the other. It is driven by the same moves as the reference.
#pragma once

#include <fulgurite/trainer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "moves.hpp"
#include "program.hpp"
#include "support/toy_checkpoint.hpp"

namespace sequences {

namespace fg = fulgurite;

// --- policies that are chosen at run time --------------------------------------------------------------------------

/// One of the library's intervals.
struct AnyInterval {
  using slot = fg::slots::SchedulerInterval;
  std::variant<fg::EveryStep, fg::EveryBatch, fg::EveryEpoch> interval;

  AnyInterval(int kind, std::int64_t frequency) {
    if (kind == 0) interval = fg::EveryStep{frequency};
    if (kind == 1) interval = fg::EveryBatch{frequency};
    if (kind == 2) interval = fg::EveryEpoch{frequency};
  }
  bool due_after_step(const fg::SchedulePoint& point) const {
    return std::visit([&](const auto& each) { return each.due_after_step(point); }, interval);
  }
  bool due_after_epoch(const fg::SchedulePoint& point) const {
    return std::visit([&](const auto& each) { return each.due_after_epoch(point); }, interval);
  }
};

struct AnyNonFinite {
  using slot = fg::slots::NonFinite;
  static constexpr bool checks = true;
  int action = 0;

  fg::NonFiniteAction on_non_finite(const fg::NonFiniteReport& report) const {
    return action == 0   ? fg::StopOnNonFinite::on_non_finite(report)
           : action == 1 ? fg::SkipNonFinite::on_non_finite(report)
                         : fg::IgnoreNonFinite::on_non_finite(report);
  }
};

// --- optimizer and backend -----------------------------------------------------------------------------------------

struct Gradient {
  Parameter* parameter;

  void scale(double factor) { parameter->gradient *= factor; }
  void clip_norm(double max, double) { parameter->gradient = clipped_norm(parameter->gradient, max); }
  void clip_value(double max) { parameter->gradient = clipped_value(parameter->gradient, max); }
};

/// requires_grad of plain parameters.
class Toggles {
 public:
  template <class... Optimizers>
  explicit Toggles(Optimizers&... optimizers) : all_{optimizers.parameter...} {}

  class Guard {
   public:
    Guard(const std::vector<Parameter*>& all, std::size_t only) : all_(&all) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        before_.push_back(all[i]->requires_grad);
        all[i]->requires_grad = all[i]->requires_grad && i == only;
      }
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
      for (std::size_t i = 0; i < all_->size(); ++i) (*all_)[i]->requires_grad = before_[i];
    }

   private:
    const std::vector<Parameter*>* all_;
    std::vector<bool> before_;
  };
  Guard only(std::size_t optimizer) const { return {all_, optimizer}; }

 private:
  std::vector<Parameter*> all_;
};

struct Backend : fg::PlainBackend {
  using PlainBackend::PlainBackend;
  using Toggles = sequences::Toggles;

  double batch_size(double batch) const { return size_of(batch); }

  template <class Model>
  auto evaluation_guard(Model& model) const {
    struct Guard {
      bool& evaluates;
      bool before;
      ~Guard() { evaluates = before; }
    };
    return Guard{model.program->evaluates, std::exchange(model.program->evaluates, true)};
  }
};

struct Momentum {
  template <class Precision>
  using backend = Backend;
  Parameter* parameter;

  void step() { update(*parameter); }
  void zero_grad() { parameter->gradient = 0.0; }
  Gradient gradients() { return {parameter}; }
  std::int64_t group_count() const { return 1; }
  double lr(std::int64_t) const { return parameter->rate; }
  void set_lr(std::int64_t, double lr) { parameter->rate = lr; }

  template <class Archive>
  void state(Archive& archive) {
    archive("velocity", parameter->velocity);
    archive("rate", parameter->rate);
  }
};

// --- hooks ---------------------------------------------------------------------------------------------------------

/// What the hooks of one side share.
struct Program {
  Kind kind;
  Setup setup;
  Report report;
  Script script;
  Parameter parameters[2];
  std::optional<toy::Checkpoint> files[file_count];
  bool evaluates = false;
  bool fits = false;
  std::function<void()> lengthen, validate, fit, step, finish;

  /// One host's call of a hook; `at` is its step or run, if it has one.
  template <class At>
  Deed happen(Hook hook, int host, At* at, int optimizer = -1, double extra = 0.0) {
    constexpr bool in_step = requires {
      at->batch_index();
    };
    Numbers seen;
    if constexpr (requires { at->progress(); }) {
      seen.add("epoch", at->epoch());
      seen.add("batches", at->progress().batches);
      seen.add("windows", at->progress().windows);
      seen.add("global_step", at->global_step());
      seen.add("skipped_steps", at->progress().skipped_steps);
    }
    if constexpr (in_step) {
      seen.add("batch_index", at->batch_index());
      seen.add("is_last_batch", at->is_last_batch());
      seen.add("is_training", at->is_training());
      seen.add("batch_count", at->batch_count().value_or(-1));
      seen.add("log_step", at->log_step());
      seen.add("logging_due", at->logging_due());
    }
    see_parameters(seen);
    seen.add("extra", extra);
    report.events.push_back({hook, host, optimizer, std::move(seen)});
    const Act act = script.next(hook);
    const auto deed = static_cast<Deed>(act.deed);
    if (deed == Deed::fail) throw Failure();
    if constexpr (requires { at->progress(); }) {
      if (deed == Deed::stop) at->stop();
      if (deed == Deed::save) at->when_at_rest([this, file = act.file](auto& engine) { this->save(engine, file); });
      if (deed == Deed::lengthen) lengthen();
      if (deed == Deed::fit) fit();
      if (deed == Deed::step) step();
      if (deed == Deed::finish) finish();
      if (deed == Deed::toggle) parameters[0].requires_grad = !parameters[0].requires_grad;
      if constexpr (in_step) {
        if (deed == Deed::validate && at->is_training() && fits) validate();
      }
    }
    return deed;
  }

  template <class Engine>
  void save(Engine& engine, int file) {
    toy::Checkpoint written;
    toy::detail::write(engine, written);
    files[file] = std::move(written);
  }

  void see_parameters(Numbers& seen) const {
    for (const Parameter& parameter : parameters) {
      seen.add("value", parameter.value);
      seen.add("gradient", parameter.gradient);
      seen.add("velocity", parameter.velocity);
      seen.add("rate", parameter.rate);
      seen.add("requires_grad", parameter.requires_grad);
    }
    seen.add("evaluates", evaluates);
  }
};

struct NoStep {};
inline constexpr NoStep* no_step = nullptr;

/// Hooks that models and callbacks have. `Logs`: the model's, which logs.
template <int Host>
struct Hooks {
  explicit Hooks(Program& of) : program(&of) {}
  Program* program;

  void on_fit_start(auto& run) { happen(Hook::on_fit_start, run); }
  void on_train_start(auto& run) { happen(Hook::on_train_start, run); }
  void on_train_epoch_start(auto& step) {
    log("epoch_start", step, fg::on_epoch);
    happen(Hook::on_train_epoch_start, step);
  }
  fg::EpochControl on_train_batch_start(double, auto& step) {
    log("batch_start", step, {});
    const Deed deed = happen(Hook::on_train_batch_start, step);
    return deed == Deed::end_epoch ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
  void on_before_zero_grad(auto& optimizer, auto& step) {
    happen(Hook::on_before_zero_grad, step, static_cast<int>(optimizer.index()));
  }
  void on_before_backward(const auto& loss, auto& step) { happen(Hook::on_before_backward, step, -1, loss.value()); }
  void on_after_backward(auto& step) { happen(Hook::on_after_backward, step); }
  void on_before_optimizer_step(auto&& optimizer, auto& step) {
    happen(Hook::on_before_optimizer_step, step, static_cast<int>(optimizer.index()));
  }
  void on_train_batch_end(const auto& result, double, auto& step) {
    log("batch_end", step, fg::on_step | fg::on_epoch);
    double extra = result.stepped ? 100.0 : 0.0;
    if constexpr (requires { result.losses; }) {
      for (const auto& loss : result.losses) extra += loss ? 1000.0 + loss->value() : 0.0;
    } else if constexpr (requires { result.loss->value(); }) {
      extra += result.loss ? 1000.0 + result.loss->value() : 0.0;
    }
    happen(Hook::on_train_batch_end, step, -1, extra);
  }
  void on_validation_start(auto& step) { happen(Hook::on_validation_start, step); }
  void on_validation_epoch_start(auto& step) { happen(Hook::on_validation_epoch_start, step); }
  void on_validation_batch_start(double batch, auto& step) { happen(Hook::on_validation_batch_start, step, -1, batch); }
  void on_validation_batch_end(double batch, auto& step) { happen(Hook::on_validation_batch_end, step, -1, batch); }
  void on_validation_epoch_end(auto& step) { happen(Hook::on_validation_epoch_end, step); }
  void on_validation_end(auto& step) {
    log("validation_end", step, {});
    happen(Hook::on_validation_end, step);
  }
  void on_train_epoch_end(auto& step) {
    log("epoch_end", step, fg::on_epoch);
    happen(Hook::on_train_epoch_end, step);
  }
  void on_train_end(auto& run) { happen(Hook::on_train_end, run); }
  void on_fit_end(auto& run) { happen(Hook::on_fit_end, run); }
  void teardown() { program->happen(Hook::teardown, Host, no_step); }

 protected:
  Deed happen(Hook hook, auto& at, int optimizer = -1, double extra = 0.0) {
    ++seen;
    return program->happen(hook, Host, &at, optimizer, extra);
  }
  void log(const char* name, auto& step, fg::LogFlags flags) {
    if constexpr (Host == 0) step.log(name, program->parameters[0].value, flags);
  }

  std::int64_t seen = 0;
};

/// A callback with all hooks and a state.
struct Watcher : Hooks<1> {
  using slot = fg::slots::Callback;
  using Hooks<1>::Hooks;
  void on_save_checkpoint(auto& checkpoint) {
    program->happen(Hook::on_save_checkpoint, 1, no_step);
    checkpoint("seen", seen);
  }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("seen", seen); }

  auto validation_scope(auto& step) {
    happen(Hook::validation_scope, step);
    struct Guard {
      explicit Guard(Program* of) : program(of) {}
      Guard(const Guard&) = delete;
      Guard& operator=(const Guard&) = delete;
      ~Guard() { program->happen(Hook::scope_ends, 1, no_step); }
      Program* program;
    };
    return Guard(program);
  }
};

/// A callback that comes after the model where something ends.
struct Follower {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;
  Program* program;

  void on_train_batch_end(const auto& result, double batch, auto& step) {
    Hooks<2>(*program).on_train_batch_end(result, batch, step);
  }
  void on_validation_end(auto& step) { Hooks<2>(*program).on_validation_end(step); }
  void on_train_epoch_end(auto& step) { Hooks<2>(*program).on_train_epoch_end(step); }
};

struct Logger {
  using slot = fg::slots::Callback;
  Program* program;

  void log_metrics(const fg::MetricsRow& row) {
    Row copy{row.step, row.epoch, {}};
    for (const auto& [name, value] : row.values) copy.values.emplace_back(name, value);
    program->report.rows.push_back(std::move(copy));
    program->happen(Hook::log_metrics, 3, no_step);
  }
};

// --- models --------------------------------------------------------------------------------------------------------

inline fg::LogFlags loss_flags(const Setup& setup) {
  constexpr fg::LogFlags flags[] = {{},           fg::on_epoch, fg::on_step | fg::on_epoch, fg::epoch_sum, fg::epoch_min,
                                    fg::epoch_max};
  return flags[setup.loss_flags];
}

template <int Count>
struct Model : Hooks<0> {
  using Hooks<0>::Hooks;

  void validation_step(double batch, auto& step) {
    happen(Hook::validation_step, step, -1, batch);
    const double distance = program->parameters[0].value - batch;
    step.log(program->setup.same_name ? "loss" : "validation_loss", distance * distance);
  }

  /// What checkpoints keep.
  toy::Weight &weight = program->parameters[0], &second = program->parameters[1];

 protected:
  /// The loss of the `which`-th optimizer, and whether the batch is to be skipped.
  std::pair<Loss, bool> compute(double batch, auto& step, int which = 0) {
    const Deed deed = happen(Hook::training_step, step, Count > 1 ? which : -1, batch);
    const Loss loss = loss_of(program->parameters[0], program->parameters[1], Count, which, batch, deed);
    step.log("loss", loss.number, loss_flags(program->setup), fg::Weight{weight_of(batch)});
    return {loss, deed == Deed::skip};
  }
  auto optimizer(int which) {
    const Setup& setup = program->setup;
    return fg::optimizer(Momentum{&program->parameters[which]})
        .lr_scheduler(fg::StepLR{.step_size = setup.decay_every, .gamma = 0.5}, AnyInterval(setup.interval, setup.frequency));
  }
  auto optimizer_by_hand(int which) {
    return fg::optimizer(Momentum{&program->parameters[which]})
        .lr_scheduler(fg::StepLR{.step_size = program->setup.decay_every, .gamma = 0.5});
  }
  auto optimizer_on_plateau(int which) {
    const Setup& setup = program->setup;
    return fg::optimizer(Momentum{&program->parameters[which]})
        .lr_scheduler(fg::StepLR{.step_size = setup.decay_every, .gamma = 0.5})  // by the trainer's interval
        .lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = setup.patience, .strict = setup.strict != 0},
              AnyInterval(setup.plateau_interval, setup.plateau_frequency));
  }
};

inline fg::AccumulateSchedule accumulation(const Setup& setup) {
  return {.stages = {{0, setup.window}, {setup.later_from, setup.later_window}},
          .partial = setup.full_divisor ? fg::PartialWindow::full_divisor : fg::PartialWindow::own_mean};
}

// --- the driver ----------------------------------------------------------------------------------------------------

/// A range of unknown size, which can be walked twice at a time (`MultiPass`) or not.
template <bool MultiPass>
struct Unsized {
  int data;
  int count;
  std::int64_t epoch = 0;

  void set_epoch(std::int64_t begins) { epoch = begins; }

  struct Iterator {
    using iterator_category = std::conditional_t<MultiPass, std::forward_iterator_tag, std::input_iterator_tag>;
    using value_type = double;
    using difference_type = std::ptrdiff_t;
    using reference = double;
    using pointer = void;
    int data = 0;
    std::int64_t epoch = 0;
    int at = 0;

    double operator*() const { return batch_value(data, epoch, at); }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++at;
      return before;
    }
    bool operator==(const Iterator& other) const { return at == other.at; }
  };
  Iterator begin() const { return {data, epoch, 0}; }
  Iterator end() const { return {data, epoch, count}; }
};

struct Sized : Unsized<true> {
  std::size_t size() const { return static_cast<std::size_t>(count); }
};

/// `Side` is a kind of trainer: `Model`, and `make(program)`, which returns a trainer of it.
template <class Side>
class Library {
 public:
  Library(const Kind& kind, const Setup& setup) {
    program_.kind = kind;
    program_.setup = setup;
    renew();
  }

  Report apply(const Move& move) {
    program_.report = {};
    program_.script.begin(move.acts);
    data_ = move.data;
    try {
      make(move);
    } catch (const Failure&) {
      program_.report.outcome = {Outcome::failure};
    } catch (const fg::NonFiniteLoss& loss) {
      program_.report.outcome = {Outcome::non_finite, loss.epoch(), loss.batch()};
    } catch (const std::invalid_argument&) {
      program_.report.outcome = {Outcome::invalid_argument};
    } catch (const std::logic_error&) {
      program_.report.outcome = {Outcome::logic_error};
    }
    program_.fits = false;
    describe();
    return std::move(program_.report);
  }

 private:
  using Trainer = decltype(Side::make(std::declval<typename Side::Model&>(), std::declval<Program&>()));

  void make(const Move& move) {
    Trainer& trainer = *trainer_;
    switch (move.kind) {
      case Move::fit:
        return fit(move);
      case Move::own_loop:
        return own_loop(move);
      case Move::validate:
        return trainer.validate(Sized{{data_ + 7, move.batches}}, move.prefix ? "test_" : "");
      case Move::save:
        return program_.save(fg::detail::EngineAccess::of(trainer), move.file);
      case Move::load: {
        if (!program_.files[move.file]) return;
        if (move.anew) renew();
        const bool on[2] = {program_.parameters[0].requires_grad, program_.parameters[1].requires_grad};
        toy::load(*trainer_, *program_.files[move.file]);
        for (int i = 0; i < 2; ++i) program_.parameters[i].requires_grad = on[i];
        return;
      }
      case Move::renew:
        return renew();
      default:
        bool& requires_grad = program_.parameters[move.parameter].requires_grad;
        requires_grad = !requires_grad;
    }
  }

  void fit(const Move& move) {
    set_limits(move);
    program_.fits = true;
    Sized validation{{move.data + 7, move.validation}};
    Sized train{{move.data, move.batches}};
    if (move.validation == 0) return trainer_->fit(train);
    if (move.range == 1) return trainer_->fit(Unsized<true>{move.data, move.batches}, validation);
    if (move.range == 2) return trainer_->fit(Unsized<false>{move.data, move.batches}, validation);
    trainer_->fit(train, validation);
  }

  void set_limits(const Move& move) {
    constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
    const fg::Progress& progress = trainer_->progress();
    Trainer& trainer = *trainer_;
    trainer.set_limit(fg::MaxEpochs{max_epochs_ = progress.epoch + move.epochs});
    trainer.set_limit(fg::MaxSteps{move.steps == 0 ? none : progress.global_step + move.steps});
    trainer.set_limit(fg::MinEpochs{move.min_epochs == 0 ? 0 : progress.epoch + move.min_epochs});
    trainer.set_limit(fg::MinSteps{move.min_steps == 0 ? 0 : progress.global_step + move.min_steps});
    trainer.set_limit(fg::MaxTime{std::chrono::hours{move.time_is_over ? 0 : 1000}});
    fg::LimitBatches batches;
    if (move.train_limit >= 0) batches.train = fg::Batches{move.train_limit};
    if (move.validation_limit >= 0) batches.validation = fg::Batches{move.validation_limit};
    trainer.set_limit(batches);
    fg::ValidateEvery times{.epochs = move.every_epochs};
    if (move.interval > 0) times.interval = fg::Batches{move.interval};
    if (move.interval < 0) times.interval = fg::Fraction{0.5};
    move.across > 0 ? trainer.set_limit(fg::ValidateAcrossEpochs{move.across}) : trainer.set_limit(times);
    trainer.set_limit(fg::SanityCheck{move.sanity});
  }

  void own_loop(const Move& move) {
    auto loop = trainer_->loop();
    for (int i = 0; i < move.batches && !(i > 0 && loop.stop_requested()); ++i) {
      const double batch = batch_value(move.data, 9, i);
      const bool last = move.last != 0 && i + 1 == move.batches;
      if (last) {
        loop.step(batch, fg::last);
      } else if (loop.step(batch).ends_epoch) {
        loop.end_epoch();
      }
    }
    if (move.end_epoch) loop.end_epoch();
  }

  void renew() {
    trainer_.reset();
    model_.reset();
    for (int i = 0; i < 2; ++i) {
      program_.parameters[i] = {};
      program_.parameters[i].value = 1.0 - i;
      program_.parameters[i].rate = 1.0 / (1 << program_.setup.rate);
    }
    model_ = std::make_unique<typename Side::Model>(program_);
    trainer_ = std::make_unique<Trainer>(Side::make(*model_, program_));
    trainer_->set_limit(fg::LogEvery{program_.setup.log_every});
    max_epochs_ = 1000;
    program_.lengthen = [this] { trainer_->set_limit(fg::MaxEpochs{++max_epochs_}); };
    program_.fit = [this] { trainer_->fit(Sized{{data_, 1}}); };
    program_.step = [this] { trainer_->loop().step(batch_value(data_, 0, 0)); };
    program_.finish = [this] { trainer_->loop().end_epoch(); };
    program_.validate = [this] { trainer_->loop().validate(Sized{{data_ + 7, 2}}); };
  }

  // --- what is compared ---

  void describe() {
    Report& report = program_.report;
    const fg::Progress& progress = trainer_->progress();
    for (const auto& [name, value] : {std::pair{"epoch", progress.epoch},
                                      {"batch", progress.batch},
                                      {"batches", progress.batches},
                                      {"windows", progress.windows},
                                      {"global_step", progress.global_step},
                                      {"skipped_steps", progress.skipped_steps}}) {
      report.state.add(name, value);
    }
    report.state.add("stop_requested", trainer_->loop().stop_requested());
    report.state.add("step_count", trainer_->step_count());
    if constexpr (Side::kind.optimizers > 1) report.state.add("step_count", trainer_->step_count(fg::optimizer_index<1>));
    program_.see_parameters(report.state);
    report.metrics = trainer_->metrics().values();
    for (int i = 0; i < file_count; ++i) {
      if (program_.files[i]) describe(*program_.files[i], report.files[i]);
    }
  }

  static void describe(const toy::Checkpoint& file, Numbers& numbers) {
    const fg::Progress& progress = file.progress;
    for (const auto& [name, value] : {std::pair{"epoch", progress.epoch},
                                      {"batch", progress.batch},
                                      {"batches", progress.batches},
                                      {"windows", progress.windows},
                                      {"global_step", progress.global_step},
                                      {"skipped_steps", progress.skipped_steps},
                                      {"epoch_size", entry<std::optional<std::int64_t>>(file, "epoch_size").value_or(-1)}}) {
      numbers.add(name, value);
    }
    numbers.add("epoch_open", entry<bool>(file, "epoch_open"));
    numbers.add("stop_requested", entry<bool>(file, "stop_requested"));
    for (int i = 0; i < Side::kind.optimizers; ++i) {
      const std::string optimizer = "optimizer_" + std::to_string(i) + ".";
      const toy::Weight& weight = file.weights.at(static_cast<std::size_t>(i));
      numbers.add("value", weight.value);
      numbers.add("gradient", weight.gradient);
      numbers.add("velocity", entry<double>(file, optimizer + "state.velocity"));
      numbers.add("rate", entry<double>(file, optimizer + "state.rate"));
      numbers.add("step_count", entry<std::int64_t>(file, optimizer + "step_count"));
      numbers.add("window", entry<std::int64_t>(file, optimizer + "window.batches"));
    }
  }
  template <class T>
  static T entry(const toy::Checkpoint& file, const std::string& name) {
    return std::any_cast<T>(file.entries.at(name));
  }

  Program program_;
  std::unique_ptr<typename Side::Model> model_;
  std::unique_ptr<Trainer> trainer_;
  std::int64_t max_epochs_ = 0;
  int data_ = 0;
};

}  // namespace sequences
