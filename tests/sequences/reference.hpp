// SPDX-License-Identifier: MIT
// The reference: the training loop as plain statements, the slow and obvious way. No line of the library is used here; the
// order of hooks and the rules are those of docs/reference and docs/differences_from_lightning.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "moves.hpp"
#include "program.hpp"

namespace sequences {

class Reference {
 public:
  Reference(const Kind& kind, const Setup& setup) : kind_(kind), setup_(setup) { renew(); }

  Report apply(const Move& move) {
    report_ = {};
    script_.begin(move.acts);
    data_ = move.data;
    try {
      make(move);
    } catch (const Failure&) {
      report_.outcome = {Outcome::failure};
    } catch (const NonFinite& loss) {
      report_.outcome = {Outcome::non_finite, loss.epoch, loss.batch};
    } catch (const std::invalid_argument&) {
      report_.outcome = {Outcome::invalid_argument};
    } catch (const std::logic_error&) {
      report_.outcome = {Outcome::logic_error};
    }
    describe();
    return std::move(report_);
  }

 private:
  struct NonFinite {
    std::int64_t epoch, batch;
  };
  struct Metric {
    std::string name;
    bool training;
    int flags;  // as Setup::loss_flags; -1: on_step alone
    double last = 0.0;
    std::vector<std::pair<double, double>> epoch{};  // values and weights
    std::optional<double> epoch_before{};
    std::int64_t call = 0;

    bool by_step() const { return flags == -1 || flags == 2; }
    bool by_epoch() const { return flags != -1; }
    double epoch_value() const {
      double sum = 0.0, mean = 0.0, weights = 0.0, least = epoch[0].first, most = epoch[0].first;
      for (const auto& [value, weight] : epoch) {
        sum += value;
        mean += value * weight;
        weights += weight;
        least = value < least || std::isnan(value) ? value : least;
        most = value > most || std::isnan(value) ? value : most;
      }
      return flags == 3 ? sum : flags == 4 ? least : flags == 5 ? most : mean / weights;
    }
    double value() const { return !by_epoch() ? last : !epoch.empty() ? epoch_value() : epoch_before.value_or(last); }
  };
  struct Schedule {
    bool follows_loss;
    int interval, frequency;
    std::int64_t steps = 0;
    double best = std::numeric_limits<double>::infinity();
    int bad = 0;
    std::int64_t fed = 0;  // call of the log that it took last
  };
  struct Window {
    std::int64_t expected = 1, held = 0, left_out = 0;
    double weight = 0.0;
    bool corrected = false;
    bool is_empty_mean() const { return held > 0 && held == left_out; }
  };
  struct Optimizer {
    std::int64_t steps = 0, steps_before_epoch = 0;
    bool plateau_due = false;
    Window window;
    std::vector<Schedule> schedules;
  };
  /// What a checkpoint keeps.
  struct State {
    std::int64_t epoch = 0, batch = 0, batches = 0, windows = 0, global_step = 0, skipped_steps = 0;
    std::optional<std::int64_t> epoch_size, validated_after;
    bool open = false, epoch_schedules_done = false, stop = false;
    Parameter parameters[2];
    Optimizer optimizers[2];
    std::vector<Metric> metrics;
    std::int64_t logs = 0, seen = 0;
  };
  struct Limits {
    std::int64_t max_epochs = 1000, max_steps = std::numeric_limits<std::int64_t>::max(), min_epochs = 0, min_steps = 0;
    bool time_is_over = false;
    int train = -1, validation = -1, interval = 0, every_epochs = 1, across = 0, sanity = 0, log_every = 1;
  };
  /// A batch, or the edge of an epoch.
  struct Step {
    bool training = true, last = false, edge = false;
    double size = 1.0;        // weight in the epoch's mean
    std::int64_t index = -1;  // in a validation
    std::int64_t logged_steps = 0, logs_before = 0;
    bool stepped[2] = {false, false};
    std::optional<double> losses[2]{};
    bool ends_epoch = false, closure_ran = false;
    Window windows[2]{};
  };

  // --- hooks -------------------------------------------------------------------------------------------------------

  /// One host's call of a hook: it notes what it sees, and does what the script says.
  Deed happen(Hook hook, int host, Step* step, bool in_run = false, int optimizer = -1, double extra = 0.0) {
    Numbers seen;
    if (step || in_run) {
      seen.add("epoch", state_.epoch);
      seen.add("batches", state_.batches);
      seen.add("windows", state_.windows);
      seen.add("global_step", state_.global_step);
      seen.add("skipped_steps", state_.skipped_steps);
    }
    if (step) {
      seen.add("batch_index", step->training ? state_.batch : step->index);
      seen.add("is_last_batch", step->last);
      seen.add("is_training", step->training);
      seen.add("batch_count", step->training ? state_.epoch_size.value_or(-1) : -1);
      seen.add("log_step", step->logged_steps);
      seen.add("logging_due", step->training && (step->logged_steps + 1) % limits_.log_every == 0);
    }
    see_parameters(seen);
    seen.add("extra", extra);
    if (host == 1 && (step || in_run)) ++state_.seen;
    report_.events.push_back({hook, host, optimizer, std::move(seen)});
    const Act act = script_.next(hook);
    const auto deed = static_cast<Deed>(act.deed);
    if (deed == Deed::fail) throw Failure();
    if (!step && !in_run) return deed;
    if (deed == Deed::stop) state_.stop = true;
    if (deed == Deed::save) asked_.push_back(act.file);
    if (deed == Deed::lengthen) ++limits_.max_epochs;
    if (deed == Deed::toggle) state_.parameters[0].requires_grad = !state_.parameters[0].requires_grad;
    if (deed == Deed::fit || deed == Deed::step || deed == Deed::finish) throw std::logic_error("it runs already");
    if (deed == Deed::validate && step && step->training && fitting_) validate(validation_batches(2));
    return deed;
  }
  /// All hosts that have the hook, callbacks first, and last the one that follows metrics. Whether one ends the epoch.
  bool tell(Hook hook, Step* step, bool in_run = false, int optimizer = -1, double extra = 0.0) {
    const bool is_end =
        hook == Hook::on_train_batch_end || hook == Hook::on_validation_end || hook == Hook::on_train_epoch_end;
    bool ends = false;
    if (kind_.callbacks) ends = happen(hook, 1, step, in_run, optimizer, extra) == Deed::end_epoch;
    if (step) log_of(hook, *step);
    if (happen(hook, 0, step, in_run, optimizer, extra) == Deed::end_epoch) ends = true;
    if (kind_.callbacks && is_end) happen(hook, 2, step, in_run, optimizer, extra);
    return ends;
  }
  void tell_run(Hook hook) {
    tell(hook, nullptr, true);
    rest();
  }
  /// What the model logs in a hook, before all else.
  void log_of(Hook hook, Step& step) {
    const double value = state_.parameters[0].value;
    if (hook == Hook::on_train_epoch_start) log("epoch_start", value, step.size, 1, step);
    if (hook == Hook::on_train_batch_start) log("batch_start", value, step.size, -1, step);
    if (hook == Hook::on_train_batch_end) log("batch_end", value, step.size, 2, step);
    if (hook == Hook::on_train_epoch_end) log("epoch_end", value, step.size, 1, step);
    if (hook == Hook::on_validation_end) log("validation_end", value, step.size, 1, step);
  }
  Step edge(bool training = true) { return step(training, false, true); }
  Step step(bool training, bool last, bool is_edge = false) {
    Step made{.training = training, .last = last, .edge = is_edge};
    made.logged_steps = logged_steps();
    made.logs_before = state_.logs;
    return made;
  }

  // --- metrics and rows --------------------------------------------------------------------------------------------

  void log(const std::string& given, double value, double weight, int flags, const Step& step) {
    const std::string name = prefix_ + given;
    Metric* metric = nullptr;
    for (Metric& each : state_.metrics) {
      if (each.name == name && each.training == step.training) metric = &each;
    }
    if (!metric) metric = &state_.metrics.emplace_back(Metric{.name = name, .training = step.training, .flags = flags});
    metric->last = value;
    metric->epoch.emplace_back(value, weight);
    metric->call = ++state_.logs;
  }
  void begin_metrics(bool training) {
    for (Metric& metric : state_.metrics) {
      if (metric.training != training || metric.epoch.empty()) continue;
      metric.epoch_before = metric.epoch_value();
      metric.epoch.clear();
    }
  }
  const Metric* last_logged(const std::string& name) const {
    const Metric* found = nullptr;
    for (const Metric& metric : state_.metrics) {
      if (metric.name == name && (!found || metric.call > found->call)) found = &metric;
    }
    return found;
  }
  std::int64_t logged_steps() const { return kind_.manual ? state_.batches : state_.windows; }
  void row_of_batch(const Step& step) {
    if (logged_steps() == step.logged_steps || logged_steps() % limits_.log_every != 0) return;
    Row row = empty_row();
    for (const Metric& metric : state_.metrics) {
      if (!metric.training || !metric.by_step() || metric.call <= step.logs_before) continue;
      row.values.emplace_back(metric.flags == 2 ? metric.name + "_step" : metric.name, metric.last);
    }
    write(row);
  }
  void row_of_epoch(bool training) {
    Row row = empty_row();
    for (const Metric& metric : state_.metrics) {
      if (metric.training != training || !metric.by_epoch() || metric.epoch.empty()) continue;
      row.values.emplace_back(metric.flags == 2 ? metric.name + "_epoch" : metric.name, metric.epoch_value());
    }
    write(row);
  }
  Row empty_row() const { return {std::max<std::int64_t>(logged_steps() - 1, 0), state_.epoch, {}}; }
  void write(const Row& row) {
    if (row.values.empty()) return;
    report_.rows.push_back(row);
    happen(Hook::log_metrics, 3, nullptr);
  }

  // --- a batch -----------------------------------------------------------------------------------------------------

  std::int64_t window_size() const {
    if (!kind_.accumulates) return 1;
    return state_.epoch >= setup_.later_from ? setup_.later_window : setup_.window;
  }

  /// With requires_grad for the parameter of one optimizer alone; -1: for all.
  template <class F>
  auto alone(int which, const F& f) {
    const bool before[2] = {state_.parameters[0].requires_grad, state_.parameters[1].requires_grad};
    const auto restore = [&] {
      if (which < 0) return;
      for (int i = 0; i < 2; ++i) state_.parameters[i].requires_grad = before[i];
    };
    if (which >= 0) state_.parameters[1 - which].requires_grad = false;
    try {
      const auto result = f();
      restore();
      return result;
    } catch (...) {
      restore();
      throw;
    }
  }

  Step train_batch(double batch, bool last) {
    feed_plateaus_of_steps();
    Step step = this->step(true, last);
    step.size = size_of(batch);
    if (tell(Hook::on_train_batch_start, &step)) {
      drop_windows();
      step.ends_epoch = true;
      return step;
    }
    if (kind_.manual) {
      train_by_hand(batch, step);
    } else {
      bool closed = false;
      for (int i = 0; i < kind_.optimizers; ++i) {
        if (kind_.takes_turns) {
          const std::int64_t place = state_.batch % (setup_.first_turn + setup_.second_turn);
          if ((place < setup_.first_turn ? 0 : 1) != i) continue;
        }
        closed = alone(kind_.optimizers > 1 ? i : -1, [&] { return train_one(i, batch, step); });
      }
      if (closed) ++state_.windows;
      advance_schedules_of_steps(step, state_.batch + 1);
      if (last) advance_schedules_of_epoch();
    }
    ++state_.batches;
    double extra = step.stepped[0] || step.stepped[1] ? 100.0 : 0.0;
    for (const auto& loss : step.losses) extra += loss ? 1000.0 + *loss : 0.0;
    tell(Hook::on_train_batch_end, &step, false, -1, extra);
    row_of_batch(step);
    ++state_.batch;
    note_steps(step);
    return step;
  }

  /// One batch for one optimizer. Whether it closed a window.
  bool train_one(int i, double batch, Step& step) {
    Window& window = window_of(i, step);
    step.closure_ran = false;
    const bool closes = step.last || window.held + 1 >= window_size();
    const auto closure = [&] { run_closure(i, batch, step, window); };
    if (closes) {
      close_window(i, step, closure);
    } else {
      closure();
    }
    return closes;
  }
  Window& window_of(int i, Step& step) { return kind_.accumulates ? state_.optimizers[i].window : step.windows[i]; }

  void run_closure(int i, double batch, Step& step, Window& window) {
    step.closure_ran = true;
    step.losses[i].reset();
    const Deed deed = happen(Hook::training_step, 0, &step, false, kind_.optimizers > 1 ? i : -1, batch);
    Loss loss = loss_of(state_.parameters[0], state_.parameters[1], kind_.optimizers, i, batch, deed);
    log("loss", loss.number, weight_of(batch), setup_.loss_flags == 0 ? -1 : setup_.loss_flags, step);
    if (window.held == 0) {
      window = {.expected = window_size()};
      const std::int64_t left = state_.epoch_size.value_or(0) - state_.batch;
      if (!setup_.full_divisor && left > 0 && left < window.expected) window.expected = left;
      tell(Hook::on_before_zero_grad, &step, false, i);
      if (!kind_.overrides || happen(Hook::optimizer_zero_grad, 0, &step, false, i) != Deed::skip) {
        state_.parameters[i].gradient = 0.0;
      }
    }
    if (deed != Deed::skip) {
      if (is_usable(loss)) {
        tell(Hook::on_before_backward, &step, false, -1, loss.number);
        loss.backward(kind_.weighted ? 1.0 : 1.0 / static_cast<double>(window.expected));
        tell(Hook::on_after_backward, &step);
        step.losses[i] = loss.number;
        if (kind_.weighted) window.weight += weight_of(batch);
      } else {
        ++window.left_out;
      }
    }
    ++window.held;
  }

  bool is_usable(const Loss& loss) {
    if (std::isfinite(loss.number) || setup_.non_finite == 2) return true;
    if (setup_.non_finite == 1) return false;
    for (int i = 0; i < kind_.optimizers; ++i) state_.parameters[i].gradient = 0.0;
    drop_windows();
    throw NonFinite{state_.epoch, state_.batch};
  }

  void close_window(int i, Step& step, const std::function<void()>& closure) {
    Window& window = window_of(i, step);
    const std::int64_t held = window.held;
    try {
      step_on_window(i, step, closure);
    } catch (...) {
      if (window.held > held || held >= window_size() || window.corrected) window = {};  // the step had begun
      throw;
    }
    count_step(i, step, !window.is_empty_mean());
    window = {};
  }

  void step_on_window(int i, Step& step, const std::function<void()>& closure) {
    if (kind_.overrides) {
      const Deed deed = happen(Hook::optimizer_step, 0, &step, false, i);
      if (deed == Deed::closure_only) {
        closure();
      } else if (deed != Deed::without_closure) {
        make_step(i, step, closure);
        if (deed == Deed::step_twice) make_step(i, step, [] {});
      }
      if (!step.closure_ran) throw std::logic_error("the closure did not run");
    } else {
      make_step(i, step, closure);
    }
  }

  void make_step(int i, Step& step, const std::function<void()>& closure) {
    closure();
    Window& window = window_of(i, step);
    double& gradient = state_.parameters[i].gradient;
    if (window.is_empty_mean()) return;
    if (!window.corrected) {
      const auto counted = static_cast<double>(window.held - window.left_out);
      if (window.weight > 0.0) {
        gradient *= 1.0 / window.weight;
      } else if (!setup_.full_divisor || !kind_.accumulates) {
        gradient *= static_cast<double>(window.expected) / counted;
      }
      window.corrected = true;
    }
    tell(Hook::on_before_optimizer_step, &step, false, i);
    const double largest = largest_gradient(setup_);
    if (kind_.overrides) {
      happen(Hook::configure_gradient_clipping, 0, &step, false, i);
      gradient = clipped_value(gradient, largest);
    } else if (kind_.accumulates) {
      gradient = i == 0 ? clipped_norm(gradient, largest) : clipped_value(gradient, 2.0 * largest);
    }
    update(state_.parameters[i]);
  }

  void count_step(int i, Step& step, bool made) {
    if (!made) {
      ++state_.skipped_steps;
      return;
    }
    ++state_.global_step;
    ++state_.optimizers[i].steps;
    step.stepped[i] = true;
  }
  void drop_windows() {
    for (Optimizer& optimizer : state_.optimizers) optimizer.window = {};
  }

  /// The training_step of manual optimization: gradients of `window` batches, then a step.
  void train_by_hand(double batch, Step& step) {
    const Deed deed = happen(Hook::training_step, 0, &step, false, -1, batch);
    for (int i = 0; i < 2; ++i) {
      alone(setup_.full_divisor ? i : -1, [&] {
        Loss loss = loss_of(state_.parameters[0], state_.parameters[1], 2, i, batch, deed);
        if (state_.batches % setup_.window == 0) state_.parameters[i].gradient = 0.0;
        if (is_usable(loss)) {
          tell(Hook::on_before_backward, &step, false, -1, loss.number);
          loss.backward(1.0);
          tell(Hook::on_after_backward, &step);
        }
        if ((state_.batches + 1) % setup_.window == 0) {
          tell(Hook::on_before_optimizer_step, &step, false, i);
          update(state_.parameters[i]);
          count_step(i, step, true);
        }
        return 0;
      });
    }
    if (!step.last) return;
    for (int i = 0; i < 2; ++i) advance(i, state_.optimizers[i].schedules[0]);
  }

  // --- schedules ---------------------------------------------------------------------------------------------------

  void advance(int i, Schedule& schedule, double metric = 0.0) {
    if (kind_.overrides) {
      Step at = edge();
      if (happen(Hook::lr_scheduler_step, 0, &at, false, i) == Deed::skip) return;
    }
    double& rate = state_.parameters[i].rate;
    ++schedule.steps;
    if (!schedule.follows_loss) {
      if (schedule.steps % setup_.decay_every == 0) rate *= 0.5;
      return;
    }
    if (metric < schedule.best * (1.0 - 1e-4)) {
      schedule.best = metric;
      schedule.bad = 0;
    } else if (++schedule.bad > setup_.patience) {
      schedule.bad = 0;
      if (rate - 0.5 * rate > 1e-8) rate *= 0.5;
    }
  }
  bool due_after_step(int i, const Schedule& schedule, std::int64_t batches) const {
    const Optimizer& optimizer = state_.optimizers[i];
    if (schedule.interval == 0) return (optimizer.steps - optimizer.steps_before_epoch) % schedule.frequency == 0;
    return schedule.interval == 1 && batches % schedule.frequency == 0;
  }
  bool due_after_epoch(const Schedule& schedule) const {
    return schedule.interval == 2 && (state_.epoch + 1) % schedule.frequency == 0;
  }
  template <class F>
  void for_each_schedule(int i, bool follows_loss, const F& f) {
    for (Schedule& schedule : state_.optimizers[i].schedules) {
      if (schedule.follows_loss == follows_loss) f(schedule);
    }
  }
  void advance_schedules_of_steps(const Step& step, std::int64_t batches) {
    for (int i = 0; i < kind_.optimizers; ++i) {
      if (!step.stepped[i]) continue;
      for_each_schedule(i, false, [&](Schedule& schedule) {
        if (due_after_step(i, schedule, batches)) advance(i, schedule);
      });
    }
  }
  /// Once an epoch.
  void advance_schedules_of_epoch() {
    if (std::exchange(state_.epoch_schedules_done, true)) return;
    for (int i = 0; i < kind_.optimizers; ++i) {
      for_each_schedule(i, false, [&](Schedule& schedule) {
        if (due_after_epoch(schedule)) advance(i, schedule);
      });
    }
  }
  /// Before the next batch, or the end of the epoch: a validation may have come between.
  void feed_plateaus_of_steps() {
    for (int i = 0; i < kind_.optimizers; ++i) {
      if (!std::exchange(state_.optimizers[i].plateau_due, false)) continue;
      for_each_schedule(i, true, [&](Schedule& schedule) {
        if (due_after_step(i, schedule, state_.batch)) feed(i, schedule, true);
      });
    }
  }
  void feed(int i, Schedule& schedule, bool after_step) {
    const Metric* metric = last_logged("loss");
    if (!metric && setup_.strict) throw std::invalid_argument("no metric");
    if (!metric || std::exchange(schedule.fed, metric->call) == metric->call) return;
    advance(i, schedule, after_step && metric->by_step() ? metric->last : metric->value());
  }
  void note_steps(const Step& step) {
    for (int i = 0; i < kind_.optimizers; ++i) state_.optimizers[i].plateau_due |= step.stepped[i] && !kind_.manual;
  }

  // --- an epoch ----------------------------------------------------------------------------------------------------

  void begin_epoch() {
    if (state_.open) return;
    state_.open = true;
    state_.epoch_schedules_done = false;
    begin_metrics(true);
    Step at = edge();
    tell(Hook::on_train_epoch_start, &at);
    rest();
  }
  void close_epoch() {
    if (kind_.manual) return;
    Step step = this->step(true, true);
    bool closed = false;
    for (int i = 0; i < kind_.optimizers; ++i) {
      if (state_.optimizers[i].window.held == 0) continue;
      step.closure_ran = closed = true;
      close_window(i, step, [] {});
    }
    if (closed) {
      note_steps(step);
      ++state_.windows;
      advance_schedules_of_steps(step, state_.batch);
    }
    advance_schedules_of_epoch();
  }
  void end_epoch(bool completed) {
    if (state_.open) {
      if (completed) close_epoch();
      drop_windows();
      feed_plateaus_of_steps();
      Step at = edge();
      tell(Hook::on_train_epoch_end, &at);
      row_of_epoch(true);
      for (int i = 0; i < kind_.optimizers && completed; ++i) {
        for_each_schedule(i, true, [&](Schedule& schedule) {
          if (due_after_epoch(schedule)) feed(i, schedule, false);
        });
      }
      ++state_.epoch;
      forget_epoch();
    }
    state_.epoch_size.reset();
  }
  void forget_epoch() {
    for (Optimizer& optimizer : state_.optimizers) optimizer.steps_before_epoch = optimizer.steps;
    state_.batch = 0;
    state_.open = resumed_ = false;
  }

  // --- validation --------------------------------------------------------------------------------------------------

  void validate(std::int64_t batches, bool is_check = false) {
    if (batches == 0) return;
    const bool was_evaluating = std::exchange(evaluates_, true);
    try {
      begin_metrics(false);
      Step at = edge(false);
      at.index = state_.batch;
      tell(Hook::on_validation_start, &at);
      at = edge(false);
      at.index = state_.batch;
      Scope scope(*this, at);
      tell(Hook::on_validation_epoch_start, &at);
      for (std::int64_t i = 0; i < batches; ++i) {
        const double batch = batch_value(data_ + 7, 0, i);
        Step step = this->step(false, i + 1 == batches);
        step.index = i;
        step.size = size_of(batch);
        tell(Hook::on_validation_batch_start, &step, false, -1, batch);
        happen(Hook::validation_step, 0, &step, false, -1, batch);
        const double distance = state_.parameters[0].value - batch;
        log(setup_.same_name ? "loss" : "validation_loss", distance * distance, step.size, 1, step);
        tell(Hook::on_validation_batch_end, &step, false, -1, batch);
      }
      at = edge(false);
      at.index = state_.batch;
      tell(Hook::on_validation_epoch_end, &at);
      scope.end();
      at = edge(false);
      at.index = state_.batch;
      tell(Hook::on_validation_end, &at);
      if (!is_check) row_of_epoch(false);
    } catch (...) {
      evaluates_ = was_evaluating;
      throw;
    }
    evaluates_ = was_evaluating;
  }
  /// The callback's validation_scope, and the end of what it gave.
  class Scope {
   public:
    Scope(Reference& reference, Step& at) : reference_(reference) {
      if (reference_.kind_.callbacks) reference_.happen(Hook::validation_scope, 1, &at);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { end(); }
    void end() {
      if (reference_.kind_.callbacks && !std::exchange(ended_, true)) reference_.happen(Hook::scope_ends, 1, nullptr);
    }

   private:
    Reference& reference_;
    bool ended_ = false;
  };
  std::int64_t validation_batches(std::int64_t size) const {
    return limits_.validation < 0 ? size : std::min<std::int64_t>(size, limits_.validation);
  }

  // --- a fit -------------------------------------------------------------------------------------------------------

  bool stops() const {
    return (state_.stop || limits_.time_is_over) && state_.epoch >= limits_.min_epochs &&
           state_.global_step >= limits_.min_steps;
  }
  bool ends_after_batch() const { return state_.global_step >= limits_.max_steps || stops(); }
  bool goes_on() const { return state_.open || !(ends_after_batch() || state_.epoch >= limits_.max_epochs); }

  void fit(const Move& move) {
    set_limits(move);
    if (state_.open && !resumed_) throw std::logic_error("in the middle of an epoch of its own loop");
    validation_interval(move);
    if (state_.open) require_same_size(size_of_epoch(move));
    const bool was_loaded = std::exchange(loaded_, false);
    if (!was_loaded) state_.stop = false;
    fitting_ = true;
    untouched_ = false;
    try {
      if (goes_on() || was_loaded) run_fit(move);
    } catch (...) {
      asked_.clear();
      if (untouched_ && resumed_) {
        loaded_ = true;
      } else {
        abandon_epoch();
      }
      fitting_ = false;
      throw;
    }
    fitting_ = false;
  }

  void run_fit(const Move& move) {
    tell(Hook::on_fit_start, nullptr, true);
    if (move.validation > 0 && limits_.sanity > 0 && state_.batches == 0) check_sanity(move);
    rest();
    tell_run(Hook::on_train_start);
    while (goes_on() && run_epoch(move)) {
    }
    tell_run(Hook::on_train_end);
    tell_run(Hook::on_fit_end);
    tell(Hook::teardown, nullptr);
  }

  void check_sanity(const Move& move) {
    const std::vector<Metric> metrics = state_.metrics;
    const std::int64_t logs = state_.logs;
    const auto forget = [&] {
      state_.metrics = metrics;
      state_.logs = logs;
    };
    try {
      validate(std::min<std::int64_t>(limits_.sanity, validation_batches(move.validation)), true);
    } catch (...) {
      forget();
      throw;
    }
    forget();
  }

  bool run_epoch(const Move& move) {
    const std::int64_t batches = limits_.train < 0 ? move.batches : std::min(move.batches, limits_.train);
    if (batches == 0) return false;
    const auto size = size_of_epoch(move);
    const std::int64_t every = validation_interval(move);
    const bool validates = move.validation > 0 && (limits_.across > 0 || (state_.epoch + 1) % limits_.every_epochs == 0);
    const auto is_due = [&] {
      return validates && every > 0 && (limits_.across > 0 ? state_.batches : state_.batch) % every == 0;
    };
    const bool was_open = state_.open, was_trained = was_open && state_.epoch_size == state_.batch;
    state_.epoch_size = size;
    begin_epoch();
    bool validated = was_open && (state_.validated_after == state_.batches || is_due());
    bool completed = was_trained || !(was_open ? ends_after_batch() || state_.epoch >= limits_.max_epochs : stops());

    if (completed && !was_trained && state_.batch >= batches) {
      untouched_ = true;
      throw std::invalid_argument("the range has no further batch");
    }
    for (bool go_on = completed && !was_trained; go_on;) {
      const bool last = state_.batch + 1 == batches;
      const bool ended = train_batch(batch_value(move.data, state_.epoch, state_.batch), last).ends_epoch;
      validated = !ended && is_due();
      if (validated) validate_in_fit(move);
      // A validation that only the request to stop brings comes after what was asked for in the epoch's last batch.
      const bool is_extra = validates && every > 0 && !validated && stops();
      if (last && is_extra && !asked_.empty()) state_.epoch_size = state_.batch;
      if (!(last || ended) || is_extra) rest();
      go_on = !ended && !ends_after_batch();
      completed = last || ended || go_on;
      if (last) break;
    }
    if (completed) close_epoch();
    if (validates && !validated && ((completed && every == 0) || stops())) validate_in_fit(move);
    if (!completed) rest();
    end_epoch(completed);
    rest();
    return true;
  }
  void validate_in_fit(const Move& move) {
    validate(validation_batches(move.validation));
    state_.validated_after = state_.batches;
  }

  std::optional<std::int64_t> size_of_epoch(const Move& move) const {
    if (move.range != 0 && move.validation > 0) return std::nullopt;
    return limits_.train < 0 ? move.batches : std::min(move.batches, limits_.train);
  }
  /// Batches; 0: whole epochs.
  std::int64_t validation_interval(const Move& move) const {
    if (move.validation == 0 || (limits_.across == 0 && limits_.interval == 0)) return 0;
    if (limits_.across > 0) return limits_.across;
    const auto size = size_of_epoch(move);
    if (limits_.interval < 0 && !size) throw std::invalid_argument("half of an unknown size");
    if (limits_.interval < 0) return std::max<std::int64_t>(1, *size / 2);
    if (size && limits_.interval > *size) throw std::invalid_argument("longer than an epoch");
    return limits_.interval;
  }
  void require_same_size(std::optional<std::int64_t> size) const {
    const auto& before = state_.epoch_size;
    if (size && (before ? *before == *size : state_.batch < *size)) return;
    if (!size && (!before || *before == state_.batch)) return;
    throw std::invalid_argument("a range of another size");
  }
  void set_limits(const Move& move) {
    limits_.max_epochs = state_.epoch + move.epochs;
    limits_.max_steps = move.steps == 0 ? std::numeric_limits<std::int64_t>::max() : state_.global_step + move.steps;
    limits_.min_epochs = move.min_epochs == 0 ? 0 : state_.epoch + move.min_epochs;
    limits_.min_steps = move.min_steps == 0 ? 0 : state_.global_step + move.min_steps;
    limits_.time_is_over = move.time_is_over != 0;
    limits_.train = move.train_limit;
    limits_.validation = move.validation_limit;
    limits_.interval = move.interval;
    limits_.every_epochs = move.every_epochs;
    limits_.across = move.across;
    limits_.sanity = move.sanity;
  }
  /// After an exception that left a fit: the epoch may begin anew.
  void abandon_epoch() {
    drop_windows();
    state_.epoch_size.reset();
    for (Optimizer& optimizer : state_.optimizers) optimizer.plateau_due = false;
    forget_epoch();
  }

  // --- moves and files ---------------------------------------------------------------------------------------------

  void make(const Move& move) {
    switch (move.kind) {
      case Move::fit:
        return fit(move);
      case Move::own_loop:
        return own_loop(move);
      case Move::validate:
        prefix_ = move.prefix ? "test_" : "";
        return or_forget([&] { validate(validation_batches(move.batches)), rest(); });
      case Move::save:
        return save(move.file);
      case Move::load:
        if (!files_[move.file]) return;
        if (move.anew) renew();
        return load(*files_[move.file]);
      case Move::renew:
        return renew();
      default:
        state_.parameters[move.parameter].requires_grad = !state_.parameters[move.parameter].requires_grad;
    }
  }

  void own_loop(const Move& move) {
    for (int i = 0; i < move.batches && !(i > 0 && state_.stop); ++i) {
      const bool last = move.last != 0 && i + 1 == move.batches;
      bool ended = false;
      or_forget([&] {
        begin_epoch();
        ended = train_batch(batch_value(move.data, 9, i), last).ends_epoch;
        if (!last) rest();
      });
      if (last || ended) or_forget([&] { end_epoch(true), rest(); });
    }
    if (move.end_epoch) or_forget([&] { end_epoch(true), rest(); });
  }

  /// What was asked for in a call that failed is not done later.
  template <class F>
  void or_forget(const F& f) {
    try {
      f();
    } catch (...) {
      asked_.clear();
      prefix_.clear();
      throw;
    }
    prefix_.clear();
  }

  void rest() {
    for (const int file : std::exchange(asked_, {})) save(file);
  }
  void save(int file) {
    if (kind_.callbacks) happen(Hook::on_save_checkpoint, 1, nullptr);
    State kept = state_;
    bool keeps_gradients = kind_.manual || kind_.overrides;
    for (const Optimizer& optimizer : state_.optimizers) keeps_gradients |= optimizer.window.held > 0;
    for (Parameter& parameter : kept.parameters) {
      if (!keeps_gradients) parameter.gradient = 0.0;
    }
    kept.stop = fitting_ ? state_.stop && !stops() : loaded_ && loaded_stop_;
    files_[file] = std::move(kept);
  }
  void load(const State& file) {
    const bool on[2] = {state_.parameters[0].requires_grad, state_.parameters[1].requires_grad};
    state_ = file;
    for (int i = 0; i < 2; ++i) state_.parameters[i].requires_grad = on[i];
    asked_.clear();
    loaded_ = true;
    loaded_stop_ = state_.stop;
    resumed_ = state_.open;
  }
  void renew() {
    state_ = {};
    limits_ = {.log_every = setup_.log_every};
    for (int i = 0; i < 2; ++i) {
      state_.parameters[i].value = 1.0 - i;
      state_.parameters[i].rate = 1.0 / (1 << setup_.rate);
      if (i >= kind_.optimizers) continue;
      state_.optimizers[i].schedules.push_back({false, setup_.interval, setup_.frequency});
      if (kind_.plateau) state_.optimizers[i].schedules.push_back({true, setup_.plateau_interval, setup_.plateau_frequency});
    }
    asked_.clear();
    loaded_ = loaded_stop_ = resumed_ = false;
  }

  // --- what is compared --------------------------------------------------------------------------------------------

  void see_parameters(Numbers& seen) const {
    for (const Parameter& parameter : state_.parameters) {
      seen.add("value", parameter.value);
      seen.add("gradient", parameter.gradient);
      seen.add("velocity", parameter.velocity);
      seen.add("rate", parameter.rate);
      seen.add("requires_grad", parameter.requires_grad);
    }
    seen.add("evaluates", evaluates_);
  }
  void describe() {
    Numbers& state = report_.state;
    for (const auto& [name, value] : {std::pair{"epoch", state_.epoch},
                                      {"batch", state_.batch},
                                      {"batches", state_.batches},
                                      {"windows", state_.windows},
                                      {"global_step", state_.global_step},
                                      {"skipped_steps", state_.skipped_steps}}) {
      state.add(name, value);
    }
    state.add("stop_requested", state_.stop);
    for (int i = 0; i < kind_.optimizers; ++i) state.add("step_count", state_.optimizers[i].steps);
    see_parameters(state);
    for (const Metric& metric : state_.metrics) {
      if (&metric == last_logged(metric.name)) report_.metrics[metric.name] = metric.value();
      if (metric.flags != 2) continue;
      report_.metrics[metric.name + "_step"] = metric.last;
      report_.metrics[metric.name + "_epoch"] = metric.value();
    }
    for (int i = 0; i < file_count; ++i) {
      if (!files_[i]) continue;
      const State& file = *files_[i];
      Numbers& numbers = report_.files[i];
      for (const auto& [name, value] : {std::pair{"epoch", file.epoch},
                                        {"batch", file.batch},
                                        {"batches", file.batches},
                                        {"windows", file.windows},
                                        {"global_step", file.global_step},
                                        {"skipped_steps", file.skipped_steps},
                                        {"epoch_size", file.epoch_size.value_or(-1)}}) {
        numbers.add(name, value);
      }
      numbers.add("epoch_open", file.open);
      numbers.add("stop_requested", file.stop);
      for (int j = 0; j < kind_.optimizers; ++j) {
        numbers.add("value", file.parameters[j].value);
        numbers.add("gradient", file.parameters[j].gradient);
        numbers.add("velocity", file.parameters[j].velocity);
        numbers.add("rate", file.parameters[j].rate);
        numbers.add("step_count", file.optimizers[j].steps);
        numbers.add("window", kind_.accumulates ? file.optimizers[j].window.held : 0);
      }
    }
  }

  Kind kind_;
  Setup setup_;
  State state_;
  Limits limits_;
  std::optional<State> files_[file_count];
  std::vector<int> asked_;  // files
  bool fitting_ = false, evaluates_ = false, untouched_ = false;
  bool loaded_ = false;  // since the last fit began
  bool loaded_stop_ = false;
  bool resumed_ = false;  // the open epoch was loaded
  std::string prefix_;
  Script script_;
  int data_ = 0;
  Report report_;
};

}  // namespace sequences
