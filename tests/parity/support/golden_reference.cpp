// SPDX-License-Identifier: MIT
// The plain loop: for epoch, for batch, backward, clip, step; every rule of Lightning's that the traces need in the place where
// Lightning has it. Of the library it uses the optimizers and the schedules, which have traces of their own, one call at a
// time.
#include "golden_reference.hpp"

#include <torch/torch.h>

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "any_optimizer.hpp"
#include "any_policies.hpp"
#include "any_schedule.hpp"
#include "golden_nets.hpp"

namespace parity::golden {

namespace {

/// A narrow number format on the CPU while it lives, if there is one.
class Autocast {
 public:
  explicit Autocast(std::optional<at::ScalarType> format)
      : wanted_(format),
        enabled_(at::autocast::is_autocast_enabled(at::kCPU)),
        before_(at::autocast::get_autocast_dtype(at::kCPU)) {
    if (!wanted_) return;
    at::autocast::set_autocast_dtype(at::kCPU, *format);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~Autocast() {
    if (!wanted_) return;
    at::autocast::set_autocast_enabled(at::kCPU, enabled_);
    at::autocast::set_autocast_dtype(at::kCPU, before_);
    at::autocast::clear_cache();
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool wanted_, enabled_;
  at::ScalarType before_;
};

std::optional<at::ScalarType> autocast_of(const Json& config) {
  const auto precision = trainer_of(config).value("precision", "");
  if (precision == "bf16-mixed") return at::kBFloat16;
  const Json half = config.value("amp16", Json(false));
  if (precision == "16-mixed" || half.is_object() || half == true) return at::kHalf;
  return std::nullopt;
}

/// What is logged under one name.
struct Metric {
  double last = 0.0, sum = 0.0, weight = 0.0, largest = 0.0, least = 0.0;
  bool any = false;

  void add(double value, double of_weight = 1.0) {
    last = value;
    sum += of_weight * value;
    weight += of_weight;
    largest = any ? std::max(largest, value) : value;
    least = any ? std::min(least, value) : value;
    any = true;
  }
};

/// A schedule under way, of either kind.
struct Schedule {
  std::size_t optimizer = 0;
  bool plateau = false, by_step = false, strict = true;
  std::int64_t frequency = 1;
  std::string monitor;
  std::function<void(double)> advance;
  std::int64_t seen = 0;  // how often its metric had been logged when it was last advanced
};

template <class Net>
class PlainLoop {
 public:
  PlainLoop(const Json& given, Rules whose, const std::string& version)
      : config_(given),
        trainer_(trainer_of(given)),
        lightning_(whose == Rules::lightning),
        v1_(version.starts_with("1.")),
        manual_(given.at("mode").get<std::string>().starts_with("manual")),
        program_(given.value("program", "plain")),
        accumulation_(accumulation_of(given)),
        clip_(clipping_of(given)) {
    const auto dtype = given.value("dtype", "float64") == "float32" ? torch::kFloat : torch::kDouble;
    net_.to(dtype);
    {
      const torch::NoGradGuard no_grad;
      const Json& initial = shared().at("init").at(Net::initial);
      for (auto& parameter : net_.named_parameters()) {
        parameter->copy_(torch::tensor(numbers(initial.at(parameter.key())), torch::kDouble).view(parameter->sizes()));
      }
    }
    for (const Json& name : config_.value("frozen", Json::array())) {
      for (auto& parameter : named(name.get<std::string>())) parameter.set_requires_grad(false);
    }
    train_ = batches("x_train", Net::train_target, dtype);
    validation_ = batches("x_val", "y_val", dtype);
    for (const Json& optimizer : config_.at("optimizers")) add_optimizer(optimizer);
    for (const Json& schedule : config_.value("schedulers", Json::array())) add_schedule(schedule);
    const Json half = config_.value("amp16", Json());
    if (config_.contains("scaler") || autocast_of(config_) == at::kHalf) {
      scaler_ = loss_scale_of(config_.value("scaler", half.is_object() ? half : Json::object()));
      scale_ = scaler_->initial_scale;
    }
  }

  Outcome run() {
    word("cb.setup");
    word("setup");
    for (const char* name : {"on_fit_start", "on_train_start"}) hook(name);
    const auto max_epochs = trainer_.value("max_epochs", std::int64_t{3});
    const auto min_epochs = trainer_.value("min_epochs", std::int64_t{0});
    const auto max_steps = trainer_.value("max_steps", std::int64_t{-1});
    bool running = max_steps != 0;
    while (running && (max_epochs < 0 || epoch_ < max_epochs)) {
      const bool completed = train_epoch(max_steps);
      running = completed && !(stop_asked_ && epoch_ >= min_epochs) && (max_steps < 0 || global_step_ < max_steps);
    }
    for (const char* name : {"on_train_end", "on_fit_end"}) hook(name);
    word("cb.teardown");
    word("teardown");

    Outcome outcome;
    record_.metrics = values_;
    outcome.record = std::move(record_);
    outcome.progress.global_step = global_step_;
    outcome.progress.epoch = epoch_;
    outcome.progress.skipped_steps = skipped_;
    outcome.lrs = lrs();
    for (const auto& parameter : net_.named_parameters()) {
      const auto values = parameter.value().detach().to(torch::kDouble).contiguous();
      outcome.parameters[parameter.key()] = {values.template data_ptr<double>(),
                                             values.template data_ptr<double>() + values.numel()};
    }
    return outcome;
  }

 private:
  // --- what there is ---

  std::vector<torch::Tensor> named(const std::string& which) {
    if (which == "all") return net_.parameters();
    std::vector<torch::Tensor> found;
    for (auto& parameter : net_.named_parameters()) {
      if (parameter.key() == which || parameter.key().starts_with(which + ".")) found.push_back(parameter.value());
    }
    if (found.empty()) throw std::runtime_error("no parameters are known as " + which);
    return found;
  }

  void add_optimizer(Json options) {
    const auto type = options.at("type").get<std::string>();
    const Json which = options.value("params", Json("all"));
    options.erase("type");
    options.erase("params");
    std::vector<TraceGroup> groups;
    if (which.is_string()) {
      groups.push_back({named(which), Json::object()});
    } else {
      for (const Json& group : which) groups.push_back({named(group.at("params")), group});
    }
    owned_.emplace_back();
    for (const TraceGroup& group : groups) {
      owned_.back().insert(owned_.back().end(), group.parameters.begin(), group.parameters.end());
    }
    first_lr_.push_back(options.contains("lr") ? number(options.at("lr")) : 0.0);
    optimizers_.push_back(make_optimizer(type, std::move(groups), std::move(options)));
  }

  void add_schedule(const Json& given) {
    Schedule schedule{.optimizer = given.value("opt", std::size_t{0}),
                      .plateau = is_plateau(given),
                      .by_step = given.value("interval", "epoch") == "step",
                      .strict = given.value("strict", true),
                      .frequency = given.value("frequency", std::int64_t{1}),
                      .monitor = given.value("monitor", ""),
                      .advance = {}};
    Rates& rates = *optimizers_.at(schedule.optimizer);
    std::vector<double>& initial = initial_lrs_[schedule.optimizer];
    const auto attach = [&](auto running) {
      running->attach(rates, initial);
      schedule.advance = [running, &rates](double metric) {
        if constexpr (requires { running->advance(rates, metric); }) {
          running->advance(rates, metric);
        } else {
          running->advance(rates);
        }
      };
    };
    if (schedule.plateau) {
      attach(std::make_shared<fg::RunningSchedule<AnyPlateau>>(make_plateau(given, schedule.monitor)));
    } else {
      attach(std::make_shared<fg::RunningSchedule<AnySchedule>>(make_schedule(given)));
    }
    schedules_.push_back(std::move(schedule));
  }

  // --- what is written down ---

  void word(const std::string& name) { record_.event(name); }
  void their_word(const std::string& name) {
    if (lightning_) record_.event(name);
  }
  void hook(const std::string& name) {
    word("cb." + name);
    word(name);
  }
  Row row(std::initializer_list<std::int64_t> counters) const {
    Row made;
    for (const std::int64_t counter : counters) made.push_back(Record::as_double(counter));
    return made;
  }
  Row lrs() const {
    Row all;
    for (const auto& optimizer : optimizers_) Record::add_lrs(all, *optimizer);
    return all;
  }

  /// As a metric of each step, or of the epoch's mean, or both.
  enum class When { step, epoch, both };
  void log(const std::string& name, double value, When when) {
    Metric& metric = metrics_[name];
    metric.add(value);
    ++logged_[name];
    if (when == When::epoch) {
      by_epoch_[name] = [](const Metric& m) { return m.sum / m.weight; };
      return;
    }
    values_[name] = value;
    if (when != When::both) return;
    values_[name + "_step"] = value;
    by_epoch_[name] = by_epoch_[name + "_epoch"] = [](const Metric& m) { return m.sum / m.weight; };
    metrics_[name + "_epoch"].add(value);
  }
  void log_reduced(const std::string& name, double value, double weight, std::function<double(const Metric&)> reduce) {
    metrics_[name].add(value, weight);
    by_epoch_[name] = std::move(reduce);
  }
  void finish_metrics() {
    for (const auto& [name, reduce] : by_epoch_) {
      if (metrics_[name].any) values_[name] = reduce(metrics_[name]);
    }
    metrics_.clear();
  }

  // --- an epoch ---

  /// False if a limit cut it short.
  bool train_epoch(std::int64_t max_steps) {
    hook("on_train_epoch_start");
    const auto count = static_cast<std::int64_t>(train_.size());
    bool completed = true;
    for (batch_ = 0; batch_ < count; ++batch_) {
      record_.batch_starts[{epoch_, batch_}] = record_.events.size();
      hook("on_train_batch_start");
      is_last_ = batch_ + 1 == count;
      if (config_.contains("stop_epoch_at_batch") && config_.at("stop_epoch_at_batch") == batch_) {
        if (lightning_ && !v1_) advance_by_step();  // S11
        if (!(lightning_ && v1_)) advance_by_epoch();
        if (!lightning_ && config_.value("val", true) && !trainer_.contains("val_check_interval")) validate();
        break;
      }
      train_batch();
      ++batches_;
      hook_batch_end();
      validate_if_due();
      advance_plateaus_by_step();
      if (max_steps >= 0 && global_step_ >= max_steps) {
        completed = is_last_;
        break;
      }
    }
    batch_ = std::min(batch_, count - 1);
    if (v1_ && !Net::is_gan) their_word("training_epoch_end");
    finish_metrics();
    hook("on_train_epoch_end");
    record_.epoch_end.push_back({row({epoch_, global_step_}), values_});
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (plans_[i] == "epoch_end_metric")
        advance(i, values_.at(schedules_[i].monitor.empty() ? "loss" : schedules_[i].monitor));
    }
    if (completed && trainer_.contains("early_stopping")) ask_to_stop(trainer_.at("early_stopping"));
    if (saves_in(epoch_)) hook("on_save_checkpoint");
    if (completed && !manual_) advance_plateaus_by_epoch();
    ++epoch_;
    return completed;
  }

  /// Whether a first trainer saves at the end of an epoch, with which a second one goes on.
  bool saves_in(std::int64_t epoch) const {
    if (!config_.contains("resume")) return false;
    const Json& resume = config_.at("resume");
    const Json first = resume.value("first", Json::object());
    return resume.value("checkpoint", Json::object()).empty() && epoch < first.value("max_epochs", std::int64_t{3});
  }

  void train_batch() {
    accumulating_ = !manual_ && (batch_ + 1) % accumulation_.window(epoch_) != 0 && !is_last_;
    stepped_.assign(optimizers_.size(), false);
    attempted_ = overflowed_ = false;
    if (manual_) {
      train_manually();
    } else {
      for (const std::size_t index : whose_turn()) {
        const auto others = toggle(index);
        train_automatically(index);
        for (const auto& parameter : others) torch::Tensor(parameter).set_requires_grad(true);
      }
      if (!accumulating_) advance_by_step();
      if (is_last_) advance_by_epoch();
    }
    if (scaler_ && attempted_ && !(lightning_ && optimizers_.size() > 1)) update_scale(overflowed_);
  }

  std::vector<std::size_t> whose_turn() const { return whose_turn(batch_); }
  std::vector<std::size_t> whose_turn(std::int64_t batch) const {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < optimizers_.size(); ++i) all.push_back(i);
    if (!config_.contains("frequencies")) return all;
    std::int64_t round = 0;
    for (const Json& frequency : config_.at("frequencies")) round += frequency.get<std::int64_t>();
    std::int64_t until = 0;
    for (const std::size_t i : all) {
      until += config_.at("frequencies").at(i).template get<std::int64_t>();
      if (batch % round < until) return {i};
    }
    throw std::logic_error("no optimizer's turn");
  }

  /// With several optimizers only one's parameters need gradients. Returns the others that did.
  std::vector<torch::Tensor> toggle(std::size_t index) {
    std::vector<torch::Tensor> others;
    if (optimizers_.size() == 1) return others;
    const auto is_own = [&](const torch::Tensor& parameter) {
      return std::any_of(owned_[index].begin(), owned_[index].end(), [&](const auto& own) { return own.is_same(parameter); });
    };
    for (const auto& parameters : owned_) {
      for (const auto& parameter : parameters) {
        if (is_own(parameter) || !parameter.requires_grad()) continue;
        others.push_back(parameter);
        torch::Tensor(parameter).set_requires_grad(false);
      }
    }
    return others;
  }

  // --- automatic optimization ---

  void train_automatically(std::size_t index) {
    ErasedOptimizer& optimizer = *optimizers_[index];
    const auto opt = "opt" + std::to_string(index) + ".step";
    const auto closure = [&] { return evaluate(index); };
    if (accumulating_) {
      closure();
      return;
    }
    const bool searches = config_.at("optimizers").at(index).at("type") == "LBFGS";
    their_word("optimizer_step>");
    if (program_ == "warmup") warm_up(index);
    if (program_ == "every_n" && (batch_ + 1) % config_.at("every_n").at(index).template get<std::int64_t>() != 0) {
      closure();
      ++global_step_;
    } else if (scaler_) {
      closure();
      step_scaled(index);
    } else {
      their_word(opt + ">");
      if (searches) {
        note_step(index);
        optimizer.step([&]() -> std::optional<at::Tensor> {
          auto loss = closure();
          prepare(index);
          return loss;
        });
        if (!lightning_) log_loss(index, evaluated_);  // the one that is accepted, where Lightning takes each (S84)
      } else {
        closure();
        if (program_ != "own_optimizer") prepare(index);
        note_step(index);
        optimizer.step();
      }
      word("<" + opt);
      stepped_[index] = true;
      ++global_step_;
    }
    their_word("<optimizer_step");
  }

  void warm_up(std::size_t index) {
    const auto steps = config_.at("warmup_steps").template get<std::int64_t>();
    if (global_step_ >= steps) return;
    optimizers_[index]->set_lr(
        0, std::min(1.0, static_cast<double>(global_step_ + 1) / static_cast<double>(steps)) * first_lr_[index]);
  }

  /// Forward, zero_grad if a window begins, backward. Returns the loss that is differentiated.
  std::optional<torch::Tensor> evaluate(std::size_t index) {
    const bool several = optimizers_.size() > 1;
    note_training_step(index, several ? "training_step[" + std::to_string(index) + "]" : "training_step");
    const auto window = accumulation_.window(epoch_);
    std::optional<torch::Tensor> loss;
    if (!is_skipped(index)) {
      const Autocast autocast(autocast_of(config_));
      loss = several ? net_.loss_for(index, batch()) : only_loss();
      note_loss(*loss);
      evaluated_ = loss->template item<double>();
      if (lightning_ || !searches()) log_loss(index, evaluated_);
    }
    if (batch_ % window == 0) {
      hook("on_before_zero_grad");
      their_word("optimizer_zero_grad");
      zero_grad(index);
    }
    if (!loss) return loss;
    auto divided = *loss / window;
    differentiate(divided);
    if (!several) record_.outputs[{epoch_, batch_}] = loss->template item<double>();
    return divided;
  }
  bool searches() const { return config_.at("optimizers").at(0).at("type") == "LBFGS"; }

  torch::Tensor only_loss() {
    if constexpr (Net::is_gan) {
      throw std::runtime_error("the GAN has two optimizers");
    } else {
      auto loss = net_.loss(batch());
      if (program_ != "scaler_inf") return loss;
      const Json& infinite = config_.at("inf_batches");
      const bool is_infinite = std::find(infinite.begin(), infinite.end(), Json(batch_)) != infinite.end();
      return is_infinite ? loss * std::numeric_limits<double>::infinity() : loss;
    }
  }

  bool is_skipped(std::size_t index) const {
    if (program_ == "skip_none_opt1") return index == 1 && batch_ % 3 == 1;
    return program_ == "skip_none" &&
           batch_ % config_.at("skip").at(0).template get<std::int64_t>() == config_.at("skip").at(1);
  }

  void log_loss(std::size_t index, double value) {
    if (config_.value("log", "") == "many") {
      log("a_step", value, When::step);
      log("b_both", value, When::both);
      log_reduced("c_epoch_sum", value, 1.0, [](const Metric& m) { return m.sum; });
      log_reduced("d_epoch_max", value, 1.0, [](const Metric& m) { return m.largest; });
      log_reduced("e_epoch_min", value, 1.0, [](const Metric& m) { return m.least; });
      log_reduced("f_weighted", value, static_cast<double>(batch_ + 1), [](const Metric& m) { return m.sum / m.weight; });
    } else {
      log(optimizers_.size() > 1 ? Net::name_of_loss(index) : "train_loss", value, When::both);
    }
  }

  void zero_grad(std::size_t index) {
    if (program_ == "zero_even" && batch_ % 2 != 0) return;
    for (const auto& parameter : owned_[index]) {
      if (program_ == "zero_keep") {
        if (parameter.grad().defined()) parameter.grad().zero_();
      } else {
        torch::Tensor(parameter).mutable_grad().reset();
      }
    }
  }

  void differentiate(const torch::Tensor& loss) {
    hook("on_before_backward");
    their_word("backward");
    (scaler_ ? loss * scale_ : loss).backward();
    hook("on_after_backward");
  }

  /// Between gradients and update.
  void prepare(std::size_t index) {
    hook("on_before_optimizer_step");
    if (config_.contains("grad_norm")) note_gradient_norms(number(config_.at("grad_norm")));
    if (manual_) return;
    their_word("configure_gradient_clipping");
    if (program_ == "clip_per_opt") {
      clip_norm(index, index == 0 ? 0.5 : 1.0);
    } else if (program_ == "clip_own") {
      for (auto& parameter : named("l1")) {
        if (parameter.grad().defined()) parameter.mutable_grad().clamp_(-0.05, 0.05);
      }
    } else if (program_ != "clip_only_opt0" || index == 0) {
      if (clip_.kind == AnyClip::Kind::norm) clip_norm(index, clip_.max);
      if (clip_.kind == AnyClip::Kind::value) {
        for (auto& gradient : gradients(index)) gradient.clamp_(-clip_.max, clip_.max);
      }
    }
  }

  std::vector<torch::Tensor> gradients(std::size_t index) const {
    std::vector<torch::Tensor> found;
    for (const auto& parameter : owned_[index]) {
      if (parameter.grad().defined()) found.push_back(parameter.grad());
    }
    return found;
  }
  void clip_norm(std::size_t index, double max) {
    double squares = 0.0;
    for (const auto& gradient : gradients(index)) squares += gradient.square().sum().template item<double>();
    const double factor = max / (std::sqrt(squares) + 1e-6);
    if (factor >= 1.0) return;
    for (auto& gradient : gradients(index)) gradient.mul_(factor);
  }
  void note_gradient_norms(double p) {
    auto& norms = record_.gradient_norms.emplace_back();
    double total = 0.0;
    const std::string prefix = "grad_" + Json(p).dump() + "_norm";
    for (const auto& parameter : net_.named_parameters()) {
      if (!parameter.value().grad().defined()) continue;
      const double norm = parameter.value().grad().norm(p).template item<double>();
      norms[prefix + "/" + parameter.key()] = norm;
      total += std::pow(norm, p);
    }
    norms[prefix + "_total"] = std::pow(total, 1.0 / p);
  }

  // --- the loss scale ---

  /// Unscales, and steps if all is finite. In Lightning a step that is left out counts all the same (S51).
  void step_scaled(std::size_t index, bool clips_true_gradients = false) {
    const auto own = gradients(index);
    if (!own.empty()) their_word("scaler.unscale_");
    bool finite = true;
    for (auto gradient : own) {
      finite = finite && gradient.isfinite().all().template item<bool>();
      gradient.div_(scale_);
    }
    if (clips_true_gradients) clip_by_hand(index);
    prepare(index);
    const auto opt = "opt" + std::to_string(index) + ".step";
    if (!own.empty()) {
      their_word("scaler.step");
      attempted_ = true;
      overflowed_ = overflowed_ || !finite;
      if (finite) {
        their_word(opt + ">");
        note_step(index);
        optimizers_[index]->step();
        word("<" + opt);
        stepped_[index] = true;
      }
      their_word("scaler.update");
    }
    const bool counts = lightning_ || finite;
    global_step_ += counts ? 1 : 0;
    skipped_ += counts ? 0 : 1;
    if (lightning_ || own.empty()) stepped_[index] = true;
    if (lightning_ && optimizers_.size() > 1) update_scale(!finite);  // S52
  }

  void update_scale(bool overflowed) {
    if (overflowed) {
      scale_ *= scaler_->backoff_factor;
      growth_ = 0;
    } else if (++growth_ == scaler_->growth_interval) {
      scale_ *= scaler_->growth_factor;
      growth_ = 0;
    }
  }

  // --- manual optimization ---

  void train_manually() {
    if constexpr (Net::is_gan) {
      train_gan();
    } else if (program_ == "manual_closure") {
      their_word("opt0.step>");
      if (searches()) note_step(0);
      const auto closure = [&]() -> std::optional<at::Tensor> {
        auto loss = noted(0, net_.loss(batch()));
        zero_grad(0);
        differentiate(loss);
        prepare(0);
        return loss;
      };
      if (searches()) {
        optimizers_[0]->step(closure);
      } else {
        closure();
        note_step(0);
        optimizers_[0]->step();
      }
      word("<opt0.step");
      ++global_step_;
    } else {
      const bool accumulates = program_ == "manual_acc";
      if (!accumulates) zero_grad(0);
      const auto loss = noted(0, net_.loss(batch()));
      log("loss", loss.template item<double>(), When::epoch);
      differentiate(loss);
      if (!accumulates || (batch_ + 1) % config_.at("n").template get<std::int64_t>() == 0) {
        step_by_hand(0);
        if (accumulates) zero_grad(0);
      }
    }
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      const auto every = [&](const char* what) { return std::stoll(plans_[i].substr(std::string(what).size())); };
      if (plans_[i] == "step" || (plans_[i].starts_with("batch%") && (batch_ + 1) % every("batch%") == 0) ||
          (plans_[i].starts_with("epoch%") && is_last_ && (epoch_ + 1) % every("epoch%") == 0)) {
        advance(i, std::nullopt);
      }
    }
  }

  void train_gan() {
    if constexpr (Net::is_gan) {
      if (program_ == "gan_seed" || program_ == "gan_sched") {
        const auto from = net_.generated(batch());
        const auto discriminates = noted(1, net_.discriminator_error(batch(), from));
        zero_grad(1);
        differentiate(discriminates);
        step_by_hand(1);
        const auto generates = noted(0, net_.generator_error(from));
        zero_grad(0);
        differentiate(generates);
        step_by_hand(0);
        if (program_ != "gan_sched") return;
        advance(0, std::nullopt);
        if ((batch_ + 1) % 3 == 0) advance(1, std::nullopt);
        return;
      }
      if (program_ == "gan_closure") return train_gan_by_closures();
      for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
        const auto others = program_ == "gan_leak_toggle" ? toggle(index) : std::vector<torch::Tensor>();
        differentiate(noted(index, net_.loss_for(index, batch())));
        step_by_hand(index);
        zero_grad(index);
        for (const auto& parameter : others) torch::Tensor(parameter).set_requires_grad(true);
      }
    }
  }

  void train_gan_by_closures() {
    const Json order = config_.value("closures", Json{{"first", 0}, {"even", true}});
    const bool both = (batch_ % 2 == 0) == order.at("even").template get<bool>();
    std::vector<std::size_t> turns{0};
    if (both) turns.insert(order.at("first") == 0 ? turns.end() : turns.begin(), 1);
    for (const std::size_t index : turns) {
      const auto others = toggle(index);
      const auto loss = noted(index, net_.loss_for(index, batch()));
      zero_grad(index);
      differentiate(loss);
      step_by_hand(index);
      for (const auto& parameter : others) torch::Tensor(parameter).set_requires_grad(true);
    }
  }

  torch::Tensor noted(std::size_t index, torch::Tensor loss) {
    note_training_step(index, "training_step");
    note_loss(loss);
    return loss;
  }

  void clip_by_hand(std::size_t index) {
    if (config_.contains("manual_clip")) clip_norm(index, number(config_.at("manual_clip")));
  }

  /// Under a loss scale the gradients that the program clips are the true ones, also where Lightning clips scaled ones (S48).
  void step_by_hand(std::size_t index) {
    if (scaler_) {
      if (lightning_) clip_by_hand(index);
      step_scaled(index, /*clips_true_gradients=*/!lightning_);
      return;
    }
    clip_by_hand(index);
    their_word("opt" + std::to_string(index) + ".step>");
    prepare(index);
    note_step(index);
    optimizers_[index]->step();
    word("<opt" + std::to_string(index) + ".step");
    stepped_[index] = true;
    ++global_step_;
  }

  // --- rows ---

  fg::Example batch() const { return train_[static_cast<std::size_t>(batch_)]; }

  void note_training_step(std::size_t index, const std::string& event) {
    word(event);
    record_.training_steps.push_back(row({epoch_, batch_, static_cast<std::int64_t>(index), global_step_}));
    record_.training_steps.back().push_back(std::nullopt);
    record_.training_step_lr.push_back(lrs());
  }
  void note_loss(const torch::Tensor& loss) { record_.training_steps.back().back() = loss.template item<double>(); }
  void note_step(std::size_t index) {
    Row made = row({static_cast<std::int64_t>(index), epoch_, batch_, global_step_});
    Record::add_lrs(made, *optimizers_[index]);
    record_.optimizer_steps.push_back(std::move(made));
  }
  void hook_batch_end() {
    double sum = 0.0, squares = 0.0;
    for (const auto& parameter : net_.parameters()) {
      const auto values = parameter.detach().to(torch::kDouble);
      sum += values.sum().template item<double>();
      squares += values.square().sum().template item<double>();
    }
    Row made = row({epoch_, batch_, global_step_});
    made.push_back(sum);
    made.push_back(squares);
    for (const auto& lr : lrs()) made.push_back(lr);
    record_.batch_end.push_back(std::move(made));
    if (scaler_) {
      record_.scaler.push_back(row({epoch_, batch_}));
      record_.scaler.back().push_back(scale_);
      record_.scaler.back().push_back(static_cast<double>(growth_));
    }
    hook("on_train_batch_end");
    record_.batch_ends[{epoch_, batch_}] = record_.events.size();
  }

  // --- validation ---

  void validate_if_due() {
    if (!config_.value("val", true)) return;
    const Json interval = trainer_.value("val_check_interval", Json(1.0));
    const Json epochs = trainer_.value("check_val_every_n_epoch", Json(1));
    const auto count = static_cast<double>(train_.size());
    if (epochs.is_null()) {
      if (batches_ % interval.template get<std::int64_t>() != 0) return;
    } else {
      if ((epoch_ + 1) % epochs.template get<std::int64_t>() != 0) return;
      const auto every = interval.is_number_float()
                             ? std::max(std::int64_t{1}, static_cast<std::int64_t>(count * interval.template get<double>()))
                             : interval.template get<std::int64_t>();
      if ((batch_ + 1) % every != 0) return;
    }
    validate();
  }

  void validate() {
    if (lightning_ && (v1_ || !accumulating_)) {  // S76
      if (!v1_) their_word("on_validation_model_zero_grad");
      for (const auto& parameter : net_.parameters()) torch::Tensor(parameter).mutable_grad().reset();
    }
    their_word("on_validation_model_eval");
    hook("on_validation_start");
    hook("on_validation_epoch_start");
    double sum = 0.0, weight = 0.0;
    {
      const torch::NoGradGuard no_grad;
      const Autocast autocast(autocast_of(config_));
      for (const auto& example : validation_) {
        if (!Net::is_gan) word("validation_step");
        const auto rows = static_cast<double>(example.data.size(0));
        sum += rows * net_.validation_value(example).template item<double>();
        weight += rows;
      }
    }
    values_["val_loss"] = sum / weight;
    ++logged_["val_loss"];
    hook("on_validation_epoch_end");
    hook("on_validation_end");
    record_.validation.push_back(row({epoch_, batch_, global_step_}));
    record_.validation.back().push_back(values_["val_loss"]);
    their_word("on_validation_model_train");
  }

  void ask_to_stop(const Json& options) {
    const double value = values_.at(options.at("monitor"));
    const double delta = std::abs(options.value("min_delta", 0.0));
    if (!best_ || value + delta < *best_) {
      best_ = value;
      waited_ = 0;
    } else if (++waited_ >= options.value("patience", std::int64_t{3})) {
      stop_asked_ = true;
    }
  }

  // --- schedules ---

  void advance(std::size_t index, std::optional<double> metric) {
    Schedule& schedule = schedules_[index];
    schedule.advance(metric.value_or(0.0));
    record_.scheduler_steps.push_back(row({static_cast<std::int64_t>(index), epoch_, batch_, global_step_}));
    record_.scheduler_steps.back().push_back(metric);
    record_.scheduler_steps.back().push_back(optimizers_[schedule.optimizer]->lr(0));
    word("sched" + std::to_string(index) + ".step");
  }

  /// In Lightning the schedules of optimizers that take turns follow the batches of all epochs, the turns those of one (S32).
  bool follows_turn(std::size_t index) const {
    if (!config_.contains("frequencies")) return true;
    return whose_turn(lightning_ ? batches_ : batch_).front() == schedules_[index].optimizer;
  }

  void advance_by_step() {
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      const Schedule& schedule = schedules_[i];
      if (!schedule.by_step || schedule.plateau || (batch_ + 1) % schedule.frequency != 0) continue;
      if (!follows_turn(i)) continue;
      if (!lightning_ && scaler_ && !stepped_[schedule.optimizer]) continue;  // S51
      advance(i, std::nullopt);
    }
  }

  void advance_by_epoch() {
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      const Schedule& schedule = schedules_[i];
      if (schedule.by_step || schedule.plateau || (epoch_ + 1) % schedule.frequency != 0) continue;
      if (lightning_ && !follows_turn(i)) continue;
      advance(i, std::nullopt);
    }
  }

  /// Ours is not fed again with a value that it has seen (S64).
  void feed(std::size_t index) {
    Schedule& schedule = schedules_[index];
    const auto value = values_.find(schedule.monitor);
    if (value == values_.end()) {
      if (schedule.strict) throw std::runtime_error("a plateau schedule without its metric");
      return;
    }
    const bool stale = schedule.monitor == "val_loss" && logged_[schedule.monitor] == schedule.seen;
    if (!lightning_ && stale) return;
    schedule.seen = logged_[schedule.monitor];
    advance(index, value->second);
  }
  void advance_plateaus_by_step() {
    if (manual_ || accumulating_) return;
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      const Schedule& schedule = schedules_[i];
      if (schedule.plateau && schedule.by_step && (batch_ + 1) % schedule.frequency == 0) feed(i);
    }
  }
  void advance_plateaus_by_epoch() {
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      const Schedule& schedule = schedules_[i];
      if (schedule.plateau && !schedule.by_step && (epoch_ + 1) % schedule.frequency == 0) feed(i);
    }
  }

  Json config_, trainer_;
  bool lightning_, v1_, manual_;
  std::string program_;
  fg::AccumulateSchedule accumulation_;
  AnyClip clip_;
  Net net_;
  std::vector<fg::Example> train_, validation_;
  std::vector<std::unique_ptr<ErasedOptimizer>> optimizers_;
  std::vector<std::vector<torch::Tensor>> owned_;
  std::vector<double> first_lr_;
  std::map<std::size_t, std::vector<double>> initial_lrs_;
  std::vector<Schedule> schedules_;
  std::vector<std::string> plans_ = config_.value("manual_sched", std::vector<std::string>());
  std::optional<fg::LossScaleOptions> scaler_;
  double scale_ = 1.0;
  std::int64_t growth_ = 0, skipped_ = 0;

  std::int64_t epoch_ = 0, batch_ = 0, batches_ = 0, global_step_ = 0, waited_ = 0;
  double evaluated_ = 0.0;
  std::optional<double> best_;
  bool stop_asked_ = false, is_last_ = false, accumulating_ = false, attempted_ = false, overflowed_ = false;
  std::vector<bool> stepped_;
  std::map<std::string, Metric> metrics_;
  std::map<std::string, std::function<double(const Metric&)>> by_epoch_;
  std::map<std::string, double> values_;
  std::map<std::string, std::int64_t> logged_;
  Record record_;
};

bool all_known(const Json& object, const std::set<std::string>& known) {
  return std::all_of(object.items().begin(), object.items().end(),
                     [&](const auto& item) { return known.contains(item.key()); });
}

}  // namespace

bool reference_knows(const Json& config) {
  static const std::set<std::string> options{
      "optimizers", "schedulers",          "trainer",     "mode",         "program", "every_n", "skip",
      "frozen",     "warmup_steps",        "val",         "ret",          "resume",  "log",     "logger",
      "grad_norm",  "stop_epoch_at_batch", "frequencies", "multi",        "dtype",   "n",       "scaler",
      "amp16",      "inf_batches",         "manual_clip", "manual_sched", "closures"};
  static const std::set<std::string> of_trainer{"accumulate_grad_batches",
                                                "gas",
                                                "gradient_clip_val",
                                                "gradient_clip_algorithm",
                                                "max_epochs",
                                                "max_steps",
                                                "min_epochs",
                                                "precision",
                                                "early_stopping",
                                                "val_check_interval",
                                                "check_val_every_n_epoch",
                                                "log_every_n_steps"};
  static const std::set<std::string> programs{
      "plain",          "warmup",     "every_n",     "closure_first",     "own_optimizer", "zero_even", "zero_keep",
      "skip_none",      "scaler_inf", "clip_own",    "clip_only_opt0",    "clip_per_opt",  "gan_seed",  "skip_none_opt1",
      "manual_closure", "manual_acc", "gan_closure", "manual_zero_first", "gan_leak",      "gan_sched", "gan_leak_toggle"};
  static const std::set<std::string> modes{"auto", "auto_multi", "auto_gan", "manual", "manual_gan"};
  const Json trainer = trainer_of(config);
  const auto precision = trainer.value("precision", "");
  if (!modes.contains(config.at("mode").get<std::string>())) return false;
  for (const Json& schedule : config.value("schedulers", Json::array())) {
    if (is_plateau(schedule) && config.contains("frequencies")) return false;
  }
  if (trainer.contains("early_stopping") && !all_known(trainer.at("early_stopping"), {"monitor", "patience", "min_delta"})) {
    return false;
  }
  return all_known(config, options) && all_known(trainer, of_trainer) && programs.contains(config.value("program", "plain")) &&
         (precision.empty() || precision == "bf16-mixed" || precision == "16-mixed");
}

Outcome reference_run(const Json& config, Rules rules, const std::string& version) {
  if (!reference_knows(config)) throw std::runtime_error("the plain loop does not know this configuration");
  const bool is_gan = config.at("mode").get<std::string>().ends_with("_gan");
  return is_gan ? PlainLoop<GanNet>(config, rules, version).run() : PlainLoop<MlpNet>(config, rules, version).run();
}

}  // namespace parity::golden
