// SPDX-License-Identifier: MIT
// The runner of the golden traces takes configurations of which there is no trace here: what they must have
// is counted from the rules alone (23 training batches an epoch, 3 epochs).
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/golden_compare.hpp"
#include "support/golden_run.hpp"

namespace parity::golden {

namespace {

const std::string sgd = R"({"type": "SGD", "lr": 0.05, "momentum": 0.9})";
const std::string two =
    R"([{"type": "SGD", "lr": 0.05, "momentum": 0.9, "params": "l1"}, {"type": "Adam", "lr": 0.01, "params": "l2"}])";
const std::string three =
    R"([{"type": "SGD", "lr": 0.05, "params": "l1"}, {"type": "Adam", "lr": 0.01, "params": "l2"},
                              {"type": "RMSprop", "lr": 0.001, "params": "all"}])";
const std::string gan =
    R"([{"type": "Adam", "lr": 0.01, "params": "G"}, {"type": "Adam", "lr": 0.01, "params": "D"}])";

/// A configuration: its mode, its optimizers, and the rest.
Json configuration(const std::string& mode, const std::string& optimizers, const std::string& rest = "{}") {
  Json config = Json::parse(rest);
  config["mode"] = mode;
  const Json given = Json::parse(optimizers);
  config["optimizers"] = given.is_array() ? given : Json::array({given});
  return config;
}

struct Expected {
  std::int64_t calls;                        // of training_step, or losses in manual mode
  std::vector<std::int64_t> steps;           // of each optimizer
  std::vector<std::int64_t> schedules = {};  // how often each has advanced
};

double tolerance_in(const Json& config) {
  return config.value("dtype", "float64") == "float64" ? 1e-12 : 1e-6;
}

/// Runs it, and checks what holds for all of them.
Outcome run_as(const Json& config, const Expected& expected) {
  const Outcome ours = run_case(config);
  if (reference_knows(config)) CHECK_NOTHROW(require_same_run(ours, reference_run(config, Rules::ours), tolerance_in(config)));
  CHECK(static_cast<std::int64_t>(ours.record.training_steps.size()) == expected.calls);
  std::int64_t all = 0;
  for (std::size_t i = 0; i < expected.steps.size(); ++i) {
    INFO("optimizer " << i);
    CHECK(steps_of(ours.record, i) == expected.steps[i]);
    all += expected.steps[i];
  }
  CHECK(ours.progress.global_step == all);
  for (std::size_t i = 0; i < expected.schedules.size(); ++i) {
    INFO("schedule " << i);
    const auto event = "sched" + std::to_string(i) + ".step";
    CHECK(std::count(ours.record.events.begin(), ours.record.events.end(), event) == expected.schedules[i]);
  }
  for (const auto& [name, values] : ours.parameters) {
    INFO(name);
    CHECK(std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); }));
  }
  CHECK(*ours.record.batch_end.front()[3] != *ours.record.batch_end.back()[3]);  // it has trained
  return ours;
}

double loss_after(const Outcome& outcome) {
  return outcome.record.validation.back().back().value();
}

}  // namespace

TEST_CASE("the runner takes manual configurations without a trace") {
  SECTION("accumulation goes on over epochs, and validation leaves it alone") {
    run_as(configuration("manual", sgd, R"({"program": "manual_acc", "n": 4})"), {69, {15}});
    run_as(configuration("manual", sgd,
                         R"({"program": "manual_acc", "n": 4, "trainer": {"val_check_interval": 2}})"),
           {69, {15}});
  }
  SECTION("a schedule on every batch, and one every second epoch") {
    run_as(
        configuration("manual", sgd, R"({"program": "manual_zero_first", "manual_sched": ["step", "epoch%2"],
      "schedulers": [{"type": "ExponentialLR", "args": {"gamma": 0.99}}, {"type": "StepLR", "args": {"step_size": 1, "gamma": 0.5}}]})"),
        {69, {69}, {69, 1}});
  }
  SECTION("a plateau by hand sees the epoch's mean") {
    const auto ours = run_as(
        configuration("manual", sgd, R"({"program": "manual_zero_first", "manual_sched": ["epoch_end_metric"],
      "schedulers": [{"type": "ReduceLROnPlateau", "args": {"factor": 0.5, "patience": 0}, "monitor": "loss"}]})"),
        {69, {69}, {3}});
    for (std::size_t epoch = 0; epoch < 3; ++epoch) {
      CHECK(*ours.record.scheduler_steps[epoch][4] == ours.record.epoch_end[epoch].second.at("loss"));
    }
  }
  SECTION("LBFGS with a closure, as in automatic mode") {
    const std::string lbfgs = R"({"type": "LBFGS", "lr": 0.1, "max_iter": 4, "history_size": 5})";
    const auto by_hand = run_case(configuration("manual", lbfgs, R"({"program": "manual_closure"})"));
    const auto automatic = run_case(configuration("auto", lbfgs));
    CHECK(by_hand.progress.global_step == 69);
    CHECK(by_hand.record.training_steps.size() == automatic.record.training_steps.size());
    require_same_parameters(by_hand, automatic, 0.0);
  }
  SECTION("the GAN: gradients leak where nothing is toggled") {
    const auto leaking =
        run_as(configuration("manual_gan", gan, R"({"program": "gan_leak"})"), {138, {69, 69}});
    const auto toggled =
        run_as(configuration("manual_gan", gan, R"({"program": "gan_leak_toggle"})"), {138, {69, 69}});
    CHECK(leaking.parameters.at("D.l1.weight") != toggled.parameters.at("D.l1.weight"));
  }
  SECTION("the GAN: closures") {
    run_as(configuration("manual_gan", gan, R"({"program": "gan_closure"})"), {69 + 36, {69, 36}});
    run_as(configuration("manual_gan", gan,
                         R"({"program": "gan_closure", "closures": {"first": 1, "even": false}})"),
           {69 + 33, {69, 33}});
  }
  SECTION("a loss scale changes nothing, clipping included") {
    const std::string scaler = R"("scaler": {"init_scale": 1024.0, "growth_interval": 6})";
    const auto scaled =
        run_as(configuration("manual", sgd,
                             R"({"program": "manual_zero_first", "manual_clip": 0.3, )" + scaler + "}"),
               {69, {69}});
    const auto plain =
        run_case(configuration("manual", sgd, R"({"program": "manual_zero_first", "manual_clip": 0.3})"));
    require_same_parameters(scaled, plain, 1e-12);

    const auto gans = run_as(configuration("manual_gan", gan, R"({"program": "gan_seed", )" + scaler + "}"),
                             {138, {69, 69}});
    require_same_parameters(gans, run_case(configuration("manual_gan", gan, R"({"program": "gan_seed"})")), 1e-12);
  }
}

TEST_CASE("the runner takes configurations of several optimizers without a trace") {
  SECTION("plain, accumulated, with a frozen parameter") {
    run_as(configuration("auto_multi", two), {138, {69, 69}});
    run_as(configuration("auto_multi", two, R"({"trainer": {"accumulate_grad_batches": 4}})"),
           {138, {18, 18}});
    const auto frozen =
        run_as(configuration("auto_multi", two, R"({"frozen": ["l1.bias"]})"), {138, {69, 69}});
    CHECK(frozen.parameters.at("l1.bias") == numbers(shared().at("init").at("mlp").at("l1.bias")));
  }
  SECTION("three, with accumulation, clipping and schedules") {
    run_as(configuration("auto_multi", three), {207, {69, 69, 69}});
    run_as(configuration("auto_multi", three,
                         R"({"trainer": {"accumulate_grad_batches": 4, "gradient_clip_val": 0.1},
      "schedulers": [{"type": "ExponentialLR", "args": {"gamma": 0.9}, "interval": "step", "opt": 1},
                     {"type": "StepLR", "args": {"step_size": 1}, "opt": 0},
                     {"type": "ReduceLROnPlateau", "args": {"patience": 0}, "monitor": "val_loss", "opt": 2}]})"),
           {207, {18, 18, 18}, {18, 3, 3}});
  }
  SECTION("every n batches, one of them left out") {
    // A batch on which only the closure ran counts in global_step, so the steps made are not the sum.
    const auto every =
        run_case(configuration("auto_multi", two, R"({"program": "every_n", "every_n": [2, 4]})"));
    CHECK(steps_of(every.record, 0) == 33);
    CHECK(steps_of(every.record, 1) == 15);
    CHECK(every.progress.global_step == 138);
    const auto skipping = run_case(configuration("auto_multi", two, R"({"program": "skip_none_opt1"})"));
    CHECK(skipping.progress.global_step == 138);
    CHECK(std::count_if(skipping.record.training_steps.begin(), skipping.record.training_steps.end(),
                        [](const Row& row) { return !row.back(); }) == 3 * 8);
  }
  SECTION("turns") {
    run_as(configuration("auto_multi", two, R"({"frequencies": [5, 1]})"), {69, {60, 9}});
    run_as(configuration("auto_multi", two, R"({"frequencies": [1, 2],
      "schedulers": [{"type": "StepLR", "args": {"step_size": 1}, "opt": 0}, {"type": "StepLR", "args": {"step_size": 1}, "opt": 1}]})"),
           {69, {24, 45}, {3, 3}});
    run_as(configuration("auto_gan", gan, R"({"frequencies": [1, 5]})"), {69, {12, 57}});
  }
  SECTION("the GAN with schedules") {
    run_as(configuration("auto_gan", gan, R"({"schedulers": [
      {"type": "ExponentialLR", "args": {"gamma": 0.98}, "interval": "step", "opt": 0},
      {"type": "StepLR", "args": {"step_size": 1}, "interval": "epoch", "opt": 1}]})"),
           {138, {69, 69}, {69, 3}});
  }
}

TEST_CASE("the runner takes configurations of one optimizer without a trace") {
  SECTION("schedules of every place") {
    run_as(configuration("auto", sgd, R"({"schedulers": [
      {"type": "OneCycleLR", "args": {"max_lr": 0.1, "total_steps": 70}, "interval": "step"}]})"),
           {69, {69}, {69}});
    run_as(configuration("auto", sgd, R"({"schedulers": [
      {"type": "ReduceLROnPlateau", "args": {"patience": 0}, "monitor": "train_loss", "interval": "step"},
      {"type": "LambdaLR", "args": {"lr_lambda": "pow0.95"}}, {"type": "ExponentialLR", "args": {"gamma": 0.99}, "interval": "step"}]})"),
           {69, {69}, {69, 3, 69}});
    run_as(configuration("auto", sgd, R"({"program": "warmup", "warmup_steps": 10, "schedulers": [
      {"type": "ReduceLROnPlateau", "args": {"patience": 0}, "monitor": "val_loss"}, {"type": "StepLR", "args": {"step_size": 1}}]})"),
           {69, {69}, {3, 3}});
  }
  SECTION("programs with accumulation and clipping") {
    run_as(
        configuration("auto", sgd, R"({"program": "closure_first", "trainer": {"gradient_clip_val": 0.1}})"),
        {69, {69}});
    run_as(configuration("auto", sgd, R"({"program": "clip_own"})"), {69, {69}});
    run_as(configuration("auto", sgd, R"({"program": "own_optimizer"})"), {69, {69}});
  }
  SECTION("under a loss scale") {
    const std::string scaler =
        R"("scaler": {"init_scale": 1024.0, "growth_interval": 6, "growth_factor": 2.0, "backoff_factor": 0.5})";
    const auto scaled = run_as(configuration("auto", sgd, "{" + scaler + "}"), {69, {69}});
    require_same_parameters(scaled, run_case(configuration("auto", sgd)), 0.0);

    // An overflow in any batch drops its whole window; windows end with batches 3, 7, 11, 15, 19 and 22.
    const auto config = configuration("auto", sgd,
                                      R"({"program": "scaler_inf", "inf_batches": [5, 22],
      "trainer": {"accumulate_grad_batches": 4}, )" +
                                          scaler + "}");
    const auto windows = run_case(config);
    CHECK(windows.progress.global_step == 12);
    CHECK(windows.progress.skipped_steps == 6);
    CHECK_NOTHROW(require_same_run(windows, reference_run(config, Rules::ours), 1e-12));
  }
  SECTION("under autocast") {
    const auto bf16 =
        run_as(configuration("auto", sgd, R"({"dtype": "float32", "trainer": {"precision": "bf16-mixed"}})"),
               {69, {69}});
    CHECK(std::abs(loss_after(bf16) - loss_after(run_case(configuration("auto", sgd)))) < 0.05);
    const auto fp16 = run_case(configuration(
        "auto", sgd, R"({"dtype": "float32", "amp16": true, "scaler": {"init_scale": 1024.0}})"));
    CHECK(fp16.progress.global_step + fp16.progress.skipped_steps == 69);
  }
  SECTION("with an exponential average, every third step, over windows of two") {
    const auto ours = run_as(configuration("auto", sgd, R"({"trainer": {"accumulate_grad_batches": 2,
      "ema": {"decay": 0.9, "update_every_n_steps": 3}}})"),
                             {69, {36}});
    CHECK(ours.record.validation.size() == 3);
    run_as(
        configuration("auto", sgd,
                      R"({"trainer": {"max_epochs": 6, "swa": {"swa_lrs": 0.002, "swa_epoch_start": 3}}})"),
        {138, {138}});
  }
}

TEST_CASE("what the runner does not know fails") {
  const auto refused = [](const std::string& mode, const std::string& optimizers, const std::string& rest) {
    CHECK_THROWS_AS(run_case(configuration(mode, optimizers, rest)), std::runtime_error);
  };
  refused("auto", sgd, R"({"program": "juggle"})");
  refused("auto", sgd, R"({"trainer": {"juggle": 1}})");
  refused("auto", sgd, R"({"trainer": {"precision": "juggle"}})");
  refused("auto", R"({"type": "Juggle", "lr": 0.1})", "{}");
  refused("auto", R"({"type": "SGD", "lr": 0.1, "juggle": true})", "{}");
  refused("auto", two, "{}");
  refused("auto_multi", two, R"({"program": "juggle"})");
  refused("auto_multi", two, R"({"frequencies": [1, 1], "trainer": {"accumulate_grad_batches": 2}})");
  refused("manual", sgd, R"({"program": "juggle"})");
  refused("manual", sgd, R"({"program": "manual_zero_first", "manual_sched": ["juggle"]})");
  refused("manual", sgd, R"({"program": "manual_zero_first", "manual_sched": ["step"]})");
  refused("manual_gan", gan, R"({"program": "juggle"})");
  refused("juggle", sgd, "{}");
}

TEST_CASE("a run that is interrupted and resumed is the run that never stopped, bit for bit") {
  const auto require_resumed = [](const std::string& mode, const std::string& optimizers, const std::string& rest) {
    const Json config = configuration(mode, optimizers, rest);
    Json without = config;
    without.erase("resume");
    const Outcome whole = run_case(without);
    require_same_run(run_case(config), whole, 0.0, /*hooks=*/false);
    CHECK_NOTHROW(require_same_run(whole, reference_run(without, Rules::ours), 1e-12));
    CHECK(whole.progress.epoch == 3);
  };
  const std::string at_epoch_end = R"("resume": {"checkpoint": {}, "first": {"max_epochs": 2}})";
  const std::string in_window = R"("resume": {"checkpoint": {"every_n_train_steps": 7}, "first": {"max_epochs": 2}})";
  SECTION("at an epoch's end, with a plateau schedule by epochs") {
    const std::string plateau = R"("schedulers": [{"type": "ReduceLROnPlateau", "monitor": "val_loss", "interval": "epoch",
                                    "frequency": 1, "args": {"factor": 0.5, "patience": 0, "threshold": 0.1}}])";
    require_resumed("auto", sgd, "{" + plateau + ", " + at_epoch_end + "}");
    require_resumed("auto", sgd, "{" + plateau + ", " + in_window + "}");
  }
  SECTION("in the middle of an epoch, with accumulation") {
    require_resumed("auto", sgd, R"({"trainer": {"accumulate_grad_batches": 3}, )" + in_window + "}");
  }
  SECTION("under a loss scale") {
    const std::string scaler = R"("scaler": {"init_scale": 65536.0, "growth_interval": 3})";
    require_resumed("auto", sgd, "{" + scaler + ", " + at_epoch_end + "}");
    require_resumed("auto", sgd, "{" + scaler + ", " + in_window + "}");
  }
  SECTION("by hand") {
    require_resumed("manual", sgd, R"({"program": "manual_acc", "n": 4, )" + in_window + "}");
  }
}

}  // namespace parity::golden
