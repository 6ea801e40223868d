// SPDX-License-Identifier: MIT
// The golden traces' model in manual optimization: its programs are whole training steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "golden_model.hpp"

namespace parity::golden {

template <class Net, Shape shape>
struct Manual : GoldenModel<Net, shape> {
  static_assert(shape.manual);
  using Base = GoldenModel<Net, shape>;
  using Base::Base;

  void training_step(const fg::Example& batch, auto& step) {
    if constexpr (Net::is_gan) {
      train_gan(batch, step);
    } else {
      train_mlp(batch, step);
    }
  }

  void on_train_epoch_end(auto& step) {
    Base::on_train_epoch_end(step);
    for_each_plan([&](std::size_t index, const std::string& plan) {
      if (plan == "epoch_end_metric") advance(step, index, step.metrics().value(monitor(index)));
    });
  }

 private:
  // --- one net, one optimizer ---

  void train_mlp(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    if (this->program == "manual_closure") {
      optimizer.step([&] {
        auto loss = noted(0, this->loss(batch), step);
        optimizer.zero_grad();
        step.manual_backward(loss);
        return loss;
      });
    } else if constexpr (shape.reevaluates) {
      throw std::runtime_error("LBFGS with the program " + this->program + " is not known");
    } else if (this->program == "manual_zero_first") {
      optimizer.zero_grad();
      backward(batch, step);
      if (this->config.contains("manual_clip")) {
        step.clip_gradients(optimizer, fg::ClipNorm{.max = number(this->config.at("manual_clip"))});
      }
      optimizer.step();
    } else if (this->program == "manual_acc") {
      backward(batch, step);
      if ((step.batch_index() + 1) % this->config.at("n").template get<std::int64_t>() == 0) {
        optimizer.step();
        optimizer.zero_grad();
      }
    } else {
      throw std::runtime_error("no manual program is known as " + this->program);
    }
    advance_by_plan(step);
  }

  void backward(const fg::Example& batch, auto& step) {
    auto loss = noted(0, this->loss(batch), step);
    step.log("loss", loss, fg::on_epoch);
    step.manual_backward(loss);
  }

  // --- the GAN ---

  void train_gan(const fg::Example& batch, auto& step) {
    auto [generator, discriminator] = step.optimizers();
    if (this->program == "gan_seed" || this->program == "gan_sched") {
      const auto from = this->generated(batch);
      zero_and_step(discriminator, noted(1, this->discriminator_error(batch, from), step), step);
      zero_and_step(generator, noted(0, this->generator_error(from), step), step);
      if (this->program == "gan_sched") {
        advance(step, 0);
        if ((step.batch_index() + 1) % 3 == 0) advance(step, 1);
      }
    } else if (this->program == "gan_leak") {
      step_and_zero(generator, 0, batch, step);
      step_and_zero(discriminator, 1, batch, step);
    } else if (this->program == "gan_leak_toggle") {
      {
        [[maybe_unused]] const auto only = step.toggle(generator);
        step_and_zero(generator, 0, batch, step);
      }
      [[maybe_unused]] const auto only = step.toggle(discriminator);
      step_and_zero(discriminator, 1, batch, step);
    } else if (this->program == "gan_closure") {
      const Json order = this->config.value("closures", Json{{"first", 0}, {"even", true}});
      const bool both = (step.batch_index() % 2 == 0) == order.at("even").template get<bool>();
      if (order.at("first") == 0) toggle_and_step(generator, 0, batch, step);
      if (both) toggle_and_step(discriminator, 1, batch, step);
      if (order.at("first") == 1) toggle_and_step(generator, 0, batch, step);
    } else {
      throw std::runtime_error("no manual program of the GAN is known as " + this->program);
    }
    if (this->program != "gan_sched") advance_by_plan(step);
  }

  void zero_and_step(auto& optimizer, const torch::Tensor& loss, auto& step) {
    optimizer.zero_grad();
    step.manual_backward(loss);
    optimizer.step();
  }
  void step_and_zero(auto& optimizer, std::size_t index, const fg::Example& batch, auto& step) {
    step.manual_backward(noted(index, this->loss_for(index, batch), step));
    optimizer.step();
    optimizer.zero_grad();
  }
  void toggle_and_step(auto& optimizer, std::size_t index, const fg::Example& batch, auto& step) {
    [[maybe_unused]] const auto only = step.toggle(optimizer);
    optimizer.step([&] {
      const auto loss = noted(index, this->loss_for(index, batch), step);
      optimizer.zero_grad();
      step.manual_backward(loss);
      return loss;
    });
  }

  torch::Tensor noted(std::size_t optimizer, torch::Tensor loss, auto& step) {
    this->note_training_step(step, optimizer, "training_step");
    this->note_loss(loss);
    return loss;
  }

  // --- schedules ---

  template <class F>
  void for_each_plan(F&& f) const {
    const Json plans = this->config.value("manual_sched", Json::array());
    for (std::size_t i = 0; i < plans.size(); ++i) f(i, plans[i].template get<std::string>());
  }

  void advance_by_plan(auto& step) {
    for_each_plan([&](std::size_t index, const std::string& plan) {
      const auto every = [&](const char* what) { return std::stoll(plan.substr(std::string(what).size())); };
      if (plan == "step") {
        advance(step, index);
      } else if (plan.starts_with("batch%")) {
        if ((step.batch_index() + 1) % every("batch%") == 0) advance(step, index);
      } else if (plan.starts_with("epoch%")) {
        if (step.is_last_batch() && (step.epoch() + 1) % every("epoch%") == 0) advance(step, index);
      } else if (plan != "epoch_end_metric") {
        throw std::runtime_error("no plan of a schedule is known as " + plan);
      }
    });
  }

  std::string monitor(std::size_t index) const {
    return this->config.at("schedulers").at(index).value("monitor", "loss");
  }

  /// Advances one schedule, of whichever optimizer.
  void advance([[maybe_unused]] auto& step, std::size_t index,
               [[maybe_unused]] std::optional<double> metric = {}) {
    bool found = false;
    if constexpr (shape.schedules + shape.plateaus > 0) {
      std::size_t place = 0;
      const auto look = [&](const auto& handle) {
        constexpr std::size_t places = shape.schedules + shape.plateaus;
        const std::size_t among = place++ % places;
        const bool plateau = among >= shape.schedules;
        const auto here =
            this->schedule_at(handle.optimizer_index(), plateau ? among - shape.schedules : among, plateau);
        if (here != index) return;
        found = true;
        if constexpr (requires { handle.step(1.0); }) {
          metric ? handle.step(*metric) : handle.step();
        } else {
          handle.step();
        }
      };
      std::apply([&](const auto&... handle) { (look(handle), ...); }, all_of(step.lr_schedulers()));
    }
    if (!found) throw std::runtime_error("there is no schedule " + std::to_string(index));
  }

  template <class... Handle>
  static std::tuple<Handle...> all_of(const fg::SchedulerHandles<Handle...>& handles) {
    return handles;
  }
  template <class Handle>
  static std::tuple<Handle> all_of(const Handle& handle) {
    return {handle};
  }
};

}  // namespace parity::golden
