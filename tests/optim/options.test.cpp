// SPDX-License-Identifier: MIT
// The options of every optimizer: defaults, bounds, and their place in Python's state dict.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/optim/adadelta.hpp>
#include <fulgurite/optim/adafactor.hpp>
#include <fulgurite/optim/adagrad.hpp>
#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/adamax.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/asgd.hpp>
#include <fulgurite/optim/lion.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/radam.hpp>
#include <fulgurite/optim/rmsprop.hpp>
#include <fulgurite/optim/rprop.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

namespace {

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double below_0 = std::nextafter(0.0, -1.0);
const double above_0 = std::nextafter(0.0, 1.0);
const double below_1 = std::nextafter(1.0, 0.0);
const double above_1 = std::nextafter(1.0, 2.0);

// --- what Python writes for a value --------------------------------------------------------------------------------

c10::IValue python(double value) {
  return value;
}
c10::IValue python(bool value) {
  return value;
}
c10::IValue python(std::int64_t value) {
  return value;
}
c10::IValue python(fg::Betas value) {
  return c10::ivalue::Tuple::create(value.first, value.second);
}
c10::IValue python(const std::array<double, 2>& values) {
  return c10::ivalue::Tuple::create(values[0], values[1]);
}
c10::IValue python(const std::array<double, 3>& values) {
  return c10::ivalue::Tuple::create(values[0], values[1], values[2]);
}
c10::IValue python(fg::AdafactorEps value) {
  return c10::ivalue::Tuple::create(value.first ? c10::IValue(*value.first) : c10::IValue(), value.second);
}
c10::IValue python(fg::MuonRate value) {
  return value == fg::MuonRate::match_rms_adamw ? "match_rms_adamw" : "original";
}

c10::impl::GenericDict group_of(const c10::IValue& state_dict) {
  return state_dict.toGenericDict().at("param_groups").toList().get(0).toGenericDict();
}

// --- one option, and all of an optimizer ---------------------------------------------------------------------------

template <class Options, class Value>
struct Row {
  const char* name;  // Python's
  Value Options::*member;
  Value preset;                // PyTorch's default
  Value other;                 // any other
  std::vector<Value> taken;    // at its bounds
  std::vector<Value> refused;  // just beyond them, and NaN
  std::string sentence;
};

template <class Options, class Value>
Row<Options, Value> row(const char* name, Value Options::*member, std::type_identity_t<Value> preset,
                        std::type_identity_t<Value> other, std::type_identity_t<std::vector<Value>> taken = {},
                        std::type_identity_t<std::vector<Value>> refused = {}, std::string sentence = {}) {
  return {name, member, preset, other, std::move(taken), std::move(refused), std::move(sentence)};
}

template <class Options>
Row<Options, double> at_least_0(const char* name, double Options::*member, double preset, double other,
                                const std::string& what) {
  return row(name, member, preset, other, {0.0}, {below_0, not_a_number}, "needs " + what + " of 0 or more");
}

template <class Options>
Row<Options, double> lr(double Options::*member, double preset) {
  return at_least_0("lr", member, preset, 0.25, "a learning rate");
}

template <class Options>
Row<Options, double> weight_decay(double Options::*member, double preset) {
  return at_least_0("weight_decay", member, preset, 0.125, "a weight_decay");
}

template <class Options>
Row<Options, fg::Betas> betas(fg::Betas Options::*member, fg::Betas preset) {
  return row("betas", member, preset, {0.5, 0.75}, {{0.0, 0.0}, {below_1, below_1}},
             {{below_0, 0.5}, {0.5, below_0}, {1.0, 0.5}, {0.5, 1.0}, {not_a_number, 0.5}, {0.5, not_a_number}},
             "needs betas in [0, 1)");
}

/// `base`: options that allow each row's `other`. `constants`: what else Python's group has, but for "params".
template <class Optimizer, class Options, class... Rows>
void options_are_pythons(const Options& base, const std::map<std::string, c10::IValue>& constants, const Rows&... rows) {
  const std::string name = Optimizer::name;
  const auto make = [](const Options& options) { return Optimizer({torch::ones({2, 2}).requires_grad_()}, options); };
  const auto each = [&](auto check) { (check(rows), ...); };

  SECTION("defaults are PyTorch's") {
    const Options options{};
    each([&](const auto& row) {
      INFO(name << " " << row.name);
      CHECK(options.*row.member == row.preset);
      CHECK(row.other != row.preset);
    });
  }

  SECTION("a bound is taken, and what is just beyond it is refused") {
    each([&](const auto& row) {
      INFO(name << " " << row.name);
      for (const auto& value : row.taken) {
        Options options = base;
        options.*row.member = value;
        CHECK_NOTHROW(make(options));
      }
      for (const auto& value : row.refused) {
        Options options = base;
        options.*row.member = value;
        CHECK_THROWS_WITH(make(options), "fulgurite: " + name + " " + row.sentence);
        auto optimizer = make(base);
        const auto dict = optimizer.state_dict();
        group_of(dict).insert_or_assign(row.name, python(value));
        CHECK_THROWS_WITH(optimizer.load_state_dict(dict),
                          "fulgurite: " + name + " cannot load this state: its group 0 " + row.sentence);
      }
    });
  }

  SECTION("the state dict has Python's names and values, there and back") {
    CHECK(group_of(make(base).state_dict()).size() == sizeof...(rows) + constants.size() + 1);
    for (const auto& [key, value] : constants) {
      INFO(name << " " << key);
      CHECK(group_of(make(base).state_dict()).at(key) == value);
    }
    each([&](const auto& row) {
      INFO(name << " " << row.name);
      Options options = base;
      options.*row.member = row.other;
      const auto dict = make(options).state_dict();
      CHECK(group_of(dict).at(row.name) == python(row.other));
      auto optimizer = make(base);
      optimizer.load_state_dict(torch::pickle_load(torch::pickle_save(dict)));
      each([&](const auto& any) { CHECK(optimizer.options().*any.member == options.*any.member); });
    });
  }

  SECTION("an option that the file lacks stays, and one of another type is refused") {
    each([&](const auto& row) {
      INFO(name << " " << row.name);
      Options options = base;
      options.*row.member = row.other;
      auto optimizer = make(options);
      const auto dict = make(base).state_dict();
      CHECK(group_of(dict).erase(row.name) == 1);
      optimizer.load_state_dict(dict);
      CHECK(optimizer.options().*row.member == row.other);
      group_of(dict).insert(row.name, "plenty");
      CHECK_THROWS_WITH(optimizer.load_state_dict(dict), "fulgurite: " + name + " cannot load this state: \"" + row.name +
                                                             "\" of its group 0 is of another type");
      CHECK(optimizer.options().*row.member == row.other);
    });
  }
}

const c10::IValue none, no = false, yes = true;

}  // namespace

TEST_CASE("the options of Adadelta are PyTorch's") {
  using O = fg::AdadeltaOptions;
  options_are_pythons<fg::Adadelta>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 1.0),
      row("rho", &O::rho, 0.9, 0.5, {0.0, 1.0}, {below_0, above_1, not_a_number}, "needs a rho in [0, 1]"),
      at_least_0("eps", &O::eps, 1e-6, 1e-3, "an eps"), weight_decay(&O::weight_decay, 0.0),
      row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Adafactor are PyTorch's") {
  using O = fg::AdafactorOptions;
  options_are_pythons<fg::Adafactor>(
      O{}, {{"foreach", none}}, lr(&O::lr, 1e-2),
      row("beta2_decay", &O::beta2_decay, -0.8, -0.5, {0.0}, {above_0, not_a_number}, "needs a beta2_decay of 0 or less"),
      row("eps", &O::eps, {std::nullopt, 1e-3}, {1e-4, 1e-2}, {{std::nullopt, 0.0}, {0.0, 0.0}},
          {{std::nullopt, below_0}, {0.5, below_0}, {below_0, 0.5}, {not_a_number, 0.5}, {0.5, not_a_number}},
          "needs eps of 0 or more"),
      row("d", &O::d, 1.0, 2.0, {1.0}, {below_1, not_a_number}, "needs a d of 1 or more"), weight_decay(&O::weight_decay, 0.0),
      row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Adagrad are PyTorch's") {
  using O = fg::AdagradOptions;
  options_are_pythons<fg::Adagrad>(
      O{}, {{"foreach", none}, {"differentiable", no}, {"fused", yes}}, lr(&O::lr, 1e-2),
      at_least_0("lr_decay", &O::lr_decay, 0.0, 0.5, "an lr_decay"),
      at_least_0("initial_accumulator_value", &O::initial_accumulator_value, 0.0, 0.5, "an initial_accumulator_value"),
      at_least_0("eps", &O::eps, 1e-10, 1e-3, "an eps"), weight_decay(&O::weight_decay, 0.0),
      row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Adam are PyTorch's") {
  using O = fg::AdamOptions;
  options_are_pythons<fg::Adam>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}, {"fused", yes}, {"decoupled_weight_decay", no}},
      lr(&O::lr, 1e-3), betas(&O::betas, {0.9, 0.999}), at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"),
      weight_decay(&O::weight_decay, 0.0), row("amsgrad", &O::amsgrad, false, true),
      row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of AdamW are PyTorch's") {
  using O = fg::AdamWOptions;
  options_are_pythons<fg::AdamW>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}, {"fused", yes}, {"decoupled_weight_decay", yes}},
      lr(&O::lr, 1e-3), betas(&O::betas, {0.9, 0.999}), at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"),
      weight_decay(&O::weight_decay, 1e-2), row("amsgrad", &O::amsgrad, false, true),
      row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Adamax are PyTorch's") {
  using O = fg::AdamaxOptions;
  options_are_pythons<fg::Adamax>(O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 2e-3),
                                  betas(&O::betas, {0.9, 0.999}), at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"),
                                  weight_decay(&O::weight_decay, 0.0), row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of ASGD are PyTorch's") {
  using O = fg::ASGDOptions;
  options_are_pythons<fg::ASGD>(O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 1e-2),
                                row("lambd", &O::lambd, 1e-4, 0.5), row("alpha", &O::alpha, 0.75, 0.5),
                                row("t0", &O::t0, 1e6, 4.0), weight_decay(&O::weight_decay, 0.0),
                                row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Lion are its paper's") {
  using O = fg::LionOptions;
  options_are_pythons<fg::Lion>(O{}, {}, lr(&O::lr, 1e-4), betas(&O::betas, {0.9, 0.99}), weight_decay(&O::weight_decay, 0.0),
                                row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Muon are PyTorch's") {
  using O = fg::MuonOptions;
  options_are_pythons<fg::Muon>(
      O{}, {}, lr(&O::lr, 1e-3), weight_decay(&O::weight_decay, 0.1),
      at_least_0("momentum", &O::momentum, 0.95, 0.5, "a momentum"), row("nesterov", &O::nesterov, true, false),
      row("ns_coefficients", &O::ns_coefficients, {3.4445, -4.7750, 2.0315}, {1.5, -0.5, 0.25}),
      row("eps", &O::eps, 1e-7, 1e-3), row("ns_steps", &O::ns_steps, 5, 7, {0, 99}, {-1, 100}, "needs ns_steps of 0 to 99"),
      row("adjust_lr_fn", &O::adjust_lr_fn, fg::MuonRate::original, fg::MuonRate::match_rms_adamw));
}

TEST_CASE("the options of NAdam are PyTorch's") {
  using O = fg::NAdamOptions;
  options_are_pythons<fg::NAdam>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 2e-3), betas(&O::betas, {0.9, 0.999}),
      at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"), weight_decay(&O::weight_decay, 0.0),
      at_least_0("momentum_decay", &O::momentum_decay, 4e-3, 0.5, "a momentum_decay"),
      row("decoupled_weight_decay", &O::decoupled_weight_decay, false, true), row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of RAdam are PyTorch's") {
  using O = fg::RAdamOptions;
  options_are_pythons<fg::RAdam>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 1e-3), betas(&O::betas, {0.9, 0.999}),
      at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"), weight_decay(&O::weight_decay, 0.0),
      row("decoupled_weight_decay", &O::decoupled_weight_decay, false, true), row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of RMSprop are PyTorch's") {
  using O = fg::RMSpropOptions;
  options_are_pythons<fg::RMSprop>(O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 1e-2),
                                   at_least_0("alpha", &O::alpha, 0.99, 0.5, "an alpha"),
                                   at_least_0("eps", &O::eps, 1e-8, 1e-3, "an eps"), weight_decay(&O::weight_decay, 0.0),
                                   at_least_0("momentum", &O::momentum, 0.0, 0.5, "a momentum"),
                                   row("centered", &O::centered, false, true), row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of Rprop are PyTorch's") {
  using O = fg::RpropOptions;
  options_are_pythons<fg::Rprop>(
      O{}, {{"foreach", none}, {"capturable", no}, {"differentiable", no}}, lr(&O::lr, 1e-2),
      row("etas", &O::etas, {0.5, 1.2}, {0.25, 1.5}, {{above_0, above_1}, {below_1, above_1}},
          {{0.0, 1.2}, {1.0, 1.2}, {0.5, 1.0}, {not_a_number, 1.2}, {0.5, not_a_number}}, "needs etas in (0, 1) and above 1"),
      row("step_sizes", &O::step_sizes, {1e-6, 50.0}, {1e-3, 0.5}), row("maximize", &O::maximize, false, true));
}

TEST_CASE("the options of SGD are PyTorch's") {
  using O = fg::SGDOptions;
  options_are_pythons<fg::SGD>(O{.momentum = 0.5}, {{"foreach", none}, {"differentiable", no}, {"fused", yes}},
                               lr(&O::lr, 1e-3), at_least_0("momentum", &O::momentum, 0.0, 0.25, "a momentum"),
                               row("dampening", &O::dampening, 0.0, 0.5), weight_decay(&O::weight_decay, 0.0),
                               row("nesterov", &O::nesterov, false, true), row("maximize", &O::maximize, false, true));
}
