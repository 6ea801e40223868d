// SPDX-License-Identifier: MIT
// Compiled once for all tests of traces: the library's optimizers behind one type.
#include "any_optimizer.hpp"

#include <concepts>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/optim/adadelta.hpp>
#include <fulgurite/optim/adafactor.hpp>
#include <fulgurite/optim/adagrad.hpp>
#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/adamax.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/asgd.hpp>
#include <fulgurite/optim/lbfgs.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/radam.hpp>
#include <fulgurite/optim/rmsprop.hpp>
#include <fulgurite/optim/rprop.hpp>
#include <fulgurite/optim/sgd.hpp>

namespace parity {

namespace {

template <class O>
class Erased final : public ErasedOptimizer {
 public:
  explicit Erased(O optimizer) : optimizer_(std::move(optimizer)) {}

  void step() override {
    if constexpr (fg::NeedsClosure<O>) {
      throw std::logic_error("this optimizer needs a closure");
    } else {
      optimizer_.step();
    }
  }
  void step(const Closure& closure) override {
    if constexpr (fg::NeedsClosure<O>) {
      optimizer_.step(closure);
    } else {
      closure();
      optimizer_.step();
    }
  }
  void zero_grad() override { optimizer_.zero_grad(); }
  fg::Gradients gradients() override { return optimizer_.gradients(); }
  void set_loss_scale([[maybe_unused]] const at::Tensor& scale,
                      [[maybe_unused]] const at::Tensor& found_inf) override {
    if constexpr (fg::TakesLossScale<O>) {
      optimizer_.set_loss_scale(scale, found_inf);
    } else {
      throw std::invalid_argument("this optimizer takes no loss scale");
    }
  }
  void for_each_parameter(const std::function<void(const at::Tensor&)>& f) const override {
    optimizer_.for_each_parameter(f);
  }
  c10::IValue state_dict() const override { return optimizer_.state_dict(); }
  void load_state_dict(const c10::IValue& state) override { optimizer_.load_state_dict(state); }

  std::int64_t group_count() const override { return optimizer_.group_count(); }
  double lr(std::int64_t group) const override { return optimizer_.lr(group); }
  void set_lr(std::int64_t group, double lr) override { optimizer_.set_lr(group, lr); }
  double momentum([[maybe_unused]] std::int64_t group) const override {
    if constexpr (fg::HasMomentum<O>) {
      return optimizer_.momentum(group);
    } else {
      return 0.0;
    }
  }
  void set_momentum([[maybe_unused]] std::int64_t group, [[maybe_unused]] double momentum) override {
    if constexpr (fg::HasMomentum<O>) {
      optimizer_.set_momentum(group, momentum);
    } else {
      throw std::invalid_argument("this optimizer has no momentum");
    }
  }

 private:
  O optimizer_;
};

c10::IValue to_value(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_array()) {
    std::vector<c10::IValue> elements;
    for (const Json& element : json) elements.push_back(to_value(element));
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (json.is_string() && json != "inf" && json != "-inf" && json != "nan") return json.get<std::string>();
  return number(json);
}

/// Reads options of their Python names; throws for one that `Options` does not have.
template <class Options>
void read_options(const std::string& optimizer, const Json& from, Options& options) {
  std::set<std::string> known{"params"};
  Options::for_each_field([&](const char* name, auto member) {
    using fulgurite::detail::from_ivalue;
    known.insert(name);
    const auto found = from.find(name);
    if (found == from.end()) return;
    const auto given = to_value(*found);
    from_ivalue(given, options.*member);
    using fulgurite::detail::to_ivalue;
    if (fg::detail::elements(given).size() != fg::detail::elements(to_ivalue(options.*member)).size()) {
      throw std::runtime_error(optimizer + " has not as many " + name + ": " + found->dump());
    }
  });
  Arguments(from, known).done(optimizer);
}

template <class O>
std::unique_ptr<ErasedOptimizer> erased(const std::string& name, const std::vector<TraceGroup>& groups,
                                        const Json& defaults) {
  using Options = std::remove_cvref_t<decltype(std::declval<const O&>().options(0))>;
  std::vector<fg::ParameterGroup<Options>> ours;
  for (const TraceGroup& group : groups) {
    Json options = defaults.is_null() ? Json::object() : defaults;
    options.update(group.options);
    ours.push_back({group.parameters, {}});
    read_options(name, options, ours.back().options);
  }
  if constexpr (std::constructible_from<O, std::vector<fg::ParameterGroup<Options>>>) {
    return std::make_unique<Erased<O>>(O(std::move(ours)));
  } else {
    if (ours.size() != 1) throw std::runtime_error(name + " takes one group");
    return std::make_unique<Erased<O>>(O(ours[0].parameters, ours[0].options));
  }
}

}  // namespace

std::unique_ptr<ErasedOptimizer> make_optimizer(const std::string& name, std::vector<TraceGroup> groups,
                                                Json defaults) {
  if (name == "Adam" && defaults.is_object() && defaults.value("decoupled_weight_decay", false)) {
    defaults.erase("decoupled_weight_decay");  // that is AdamW, and Python's Adam says so itself
    return erased<fg::AdamW>(name, groups, defaults);
  }
  if (name == "SGD") return erased<fg::SGD>(name, groups, defaults);
  if (name == "Adam") return erased<fg::Adam>(name, groups, defaults);
  if (name == "AdamW") return erased<fg::AdamW>(name, groups, defaults);
  if (name == "NAdam") return erased<fg::NAdam>(name, groups, defaults);
  if (name == "RAdam") return erased<fg::RAdam>(name, groups, defaults);
  if (name == "Adamax") return erased<fg::Adamax>(name, groups, defaults);
  if (name == "Adagrad") return erased<fg::Adagrad>(name, groups, defaults);
  if (name == "Adadelta") return erased<fg::Adadelta>(name, groups, defaults);
  if (name == "RMSprop") return erased<fg::RMSprop>(name, groups, defaults);
  if (name == "Rprop") return erased<fg::Rprop>(name, groups, defaults);
  if (name == "ASGD") return erased<fg::ASGD>(name, groups, defaults);
  if (name == "Adafactor") return erased<fg::Adafactor>(name, groups, defaults);
  if (name == "Muon") return erased<fg::Muon>(name, groups, defaults);
  if (name == "LBFGS") return erased<fg::LBFGS>(name, groups, defaults);
  throw std::runtime_error("no optimizer is known as " + name);
}

}  // namespace parity
