// SPDX-License-Identifier: MIT
// Checkpoints of toy models: what fg::save_checkpoint writes to a file, in memory and without LibTorch.
#pragma once

#include <boost/hana/for_each.hpp>

#include <fulgurite/detail/engine_access.hpp>
#include <fulgurite/hooks/checkpoint.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>

#include <any>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "support/toy.hpp"

namespace toy {

/// Values by path: "optimizer_0.window.batches".
using Entries = std::map<std::string, std::any>;

struct Checkpoint {
  Entries entries;
  std::vector<Weight> weights;  // with their gradients, if those are part of the state
  fg::Progress progress;

  bool saved() const { return !entries.empty(); }
};

namespace detail {

template <bool Loads>
class Archive {
 public:
  static constexpr bool loads = Loads;

  explicit Archive(Entries& entries, std::string place = "", fg::ScheduleValues schedules = fg::ScheduleValues::must_match)
      : entries_(&entries), place_(std::move(place)), schedules_(schedules) {}

  template <class T>
  void operator()(const std::string& name, T& value) {
    if constexpr (requires { value.state(*this); }) {
      part(name, [&](Archive& inner) { value.state(inner); });
    } else if constexpr (requires { value.load_state(value.state()); }) {  // a schedule
      auto state = value.state();
      keep(name, state);
      if constexpr (loads) takes_schedules_over() ? value.take_over(state) : value.load_state(state);
    } else if constexpr (requires { value.set_lr(0, 0.0); }) {  // an optimizer
      double rate = value.lr(0);
      keep(name, rate);
      if constexpr (loads) value.set_lr(0, rate);
    } else if constexpr (requires { value.resize(0), value.at(0).state(*this); }) {  // a list of metrics
      std::size_t size = value.size();
      keep(name, size);
      value.resize(size);
      for (std::size_t i = 0; i < size; ++i) (*this)(name + "." + std::to_string(i), value[i]);
    } else {
      keep(name, value);
    }
  }

  template <class F>
  void part(const std::string& name, F&& f) {
    Archive inner(*entries_, place_ + name + ".", schedules_);
    f(inner);
  }

  void same(const std::string& name, std::string value, const std::string& fix) {
    const std::string here = value;
    keep(name, value);
    if (value != here) refuse(place_ + name, "is " + value + " there and " + here + " here: " + fix);
  }
  template <class T>
  void same_class(const std::string& name, const T&, const std::string& fix) {
    same(name, typeid(T).name(), fix);
  }

  bool has(const std::string& name) const { return entries_->contains(place_ + name); }
  bool takes_schedules_over() const { return schedules_ == fg::ScheduleValues::taken_over; }
  [[noreturn]] static void refuse(const std::string& what, const std::string& why) {
    throw std::runtime_error(what + " " + why);
  }

 private:
  template <class T>
  void keep(const std::string& name, T& value) {
    if constexpr (loads) {
      value = std::any_cast<T>(entries_->at(place_ + name));
    } else {
      (*entries_)[place_ + name] = value;
    }
  }

  Entries* entries_;
  std::string place_;
  fg::ScheduleValues schedules_;
};

template <class Model, class F>
void for_each_weight(Model& model, const F& f) {
  f(model.weight);
  if constexpr (requires { model.second; }) f(model.second);
}

/// What callbacks with a state are handed.
template <bool Loads>
class CallbackArchive : public Archive<Loads> {
 public:
  CallbackArchive(Entries& entries, int number, bool& stop)
      : Archive<Loads>(entries, "callback_" + std::to_string(number) + "."), stop_(&stop) {}
  void stop() { *stop_ = true; }

 private:
  bool* stop_;
};

template <bool Loads, class Hook, class Engine>
void callbacks_state(Engine& engine, Entries& entries) {
  int number = 0;
  boost::hana::for_each(engine.callbacks(), [&](auto& callback) {
    CallbackArchive<Loads> archive(entries, number++, engine.stop_requested());
    fg::hooks::call<Hook>(callback, archive);
  });
}

template <class Engine>
void write(Engine& engine, Checkpoint& to) {
  to = {.entries = {}, .weights = {}, .progress = engine.progress()};
  Archive<false> archive(to.entries);
  engine.state(archive);
  callbacks_state<false, fg::hooks::on_save_checkpoint_hook>(engine, to.entries);
  for_each_weight(engine.model(), [&](const Weight& weight) {
    to.weights.push_back({weight.value, engine.keeps_gradients() ? weight.gradient : 0.0});
  });
}

}  // namespace detail

/// As fg::save_checkpoint(step, path): written as soon as the training rests.
template <class Step>
void save(Step& step, Checkpoint& to) {
  step.when_at_rest([&to](auto& engine) { detail::write(engine, to); });
}
/// As fg::save_checkpoint(trainer, path).
template <class Trainer>
Checkpoint saved(Trainer& trainer) {
  Checkpoint to;
  detail::write(fg::detail::EngineAccess::of(trainer), to);
  return to;
}

/// As fg::load_checkpoint(trainer, path, schedules).
template <class Trainer>
void load(Trainer& trainer, Checkpoint from, fg::ScheduleValues schedules = fg::ScheduleValues::must_match) {
  auto& engine = fg::detail::EngineAccess::of(trainer);
  detail::Archive<true> archive(from.entries, "", schedules);
  engine.state(archive);
  detail::callbacks_state<true, fg::hooks::on_load_checkpoint_hook>(engine, from.entries);
  std::size_t next = 0;
  detail::for_each_weight(engine.model(), [&](Weight& weight) { weight = from.weights.at(next++); });
  engine.begin_resumed();
}

}  // namespace toy
