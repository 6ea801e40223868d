// SPDX-License-Identifier: MIT
#include <fulgurite/optim/state_dict.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/betas.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <optional>
#include <set>
#include <string>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

namespace {

std::set<std::string> keys(const c10::IValue& dict) {
  std::set<std::string> all;
  for (const auto& entry : dict.toGenericDict()) all.insert(entry.key().toStringRef());
  return all;
}

torch::Tensor parameter() { return torch::ones({2, 2}).requires_grad_(); }

}  // namespace

TEST_CASE("a state dict has Python's keys") {
  auto p = parameter();
  fg::Adam adam({{{p}, {}}, {{parameter(), parameter()}, {.lr = 0.5}}});
  p.mutable_grad() = torch::ones({2, 2});
  adam.step();
  const auto dict = adam.state_dict().toGenericDict();
  const auto groups = dict.at("param_groups").toList();
  CHECK(keys(groups.get(0)) == std::set<std::string>{"lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "foreach",
                                                     "capturable", "differentiable", "fused", "decoupled_weight_decay",
                                                     "params"});
  CHECK(groups.get(1).toGenericDict().at("params").toList().get(1).toInt() == 2);
  CHECK(groups.get(1).toGenericDict().at("lr").toDouble() == 0.5);
  CHECK(dict.at("state").toGenericDict().size() == 1);  // only the first had a gradient
  CHECK(keys(dict.at("state").toGenericDict().at(0)) == std::set<std::string>{"step", "exp_avg", "exp_avg_sq"});
}

TEST_CASE("options travel in whatever type Python gave them") {
  fg::Muon muon({parameter()}, {.ns_steps = 3, .adjust_lr_fn = fg::MuonRate::match_rms_adamw});
  fg::Muon other({parameter()}, {});
  const auto dict = muon.state_dict();
  const auto group = dict.toGenericDict().at("param_groups").toList().get(0).toGenericDict();
  group.insert_or_assign("lr", torch::full({}, 0.25, torch::kDouble));  // Python takes rates as tensors
  group.insert_or_assign("weight_decay", 1);                            // and writes whole numbers as such
  other.load_state_dict(dict);
  CHECK(other.lr(0) == 0.25);
  CHECK(other.options().weight_decay == 1.0);
  CHECK(other.options().ns_steps == 3);
  CHECK(other.options().adjust_lr_fn == fg::MuonRate::match_rms_adamw);
  group.insert_or_assign("adjust_lr_fn", c10::IValue());
  other.load_state_dict(dict);
  CHECK(other.options().adjust_lr_fn == fg::MuonRate::original);
}

TEST_CASE("Python's keys that are no options have its values, and each kind of value travels there and back") {
  const auto group = fg::SGD({parameter()}, {}).state_dict().toGenericDict().at("param_groups").toList().get(0).toGenericDict();
  CHECK(group.at("foreach").isNone());
  CHECK_FALSE(group.at("differentiable").toBool());
  CHECK(group.at("fused").toBool());

  using fg::detail::from_ivalue, fg::detail::to_ivalue;
  std::optional<double> number = 2.5;
  CHECK(to_ivalue(number).toDouble() == 2.5);
  CHECK(to_ivalue(std::optional<double>()).isNone());
  from_ivalue(c10::IValue(), number);
  CHECK_FALSE(number);
  from_ivalue(c10::IValue(1.5), number);
  CHECK(number == 1.5);
  bool flag = false;
  from_ivalue(to_ivalue(true), flag);
  CHECK(flag);
  fg::Betas betas{};
  from_ivalue(to_ivalue(fg::Betas{0.25, 0.5}), betas);
  CHECK(betas.first == 0.25);
  CHECK(betas.second == 0.5);
  auto list = fg::detail::new_list();
  list.push_back(0.75);
  list.push_back(1);
  from_ivalue(list, betas);
  CHECK(betas.first == 0.75);
  CHECK(betas.second == 1.0);
  CHECK_THROWS(from_ivalue(c10::IValue(0.5), betas));
}

TEST_CASE("a dictionary without its two parts, or with others in their place, is refused, and a missing option is left") {
  auto p = parameter();
  fg::Adam adam({p}, {});
  p.mutable_grad() = torch::ones({2, 2});
  adam.step();
  const auto file = torch::pickle_save(adam.state_dict());
  fg::Adam other({p}, {.lr = 0.25, .amsgrad = true});
  const std::string no_parts =
      "fulgurite: Adam cannot load this state: it has no \"state\" and \"param_groups\": pass what state_dict() returned";
  for (const char* key : {"state", "param_groups"}) {
    const auto lacking = torch::pickle_load(file), wrong = torch::pickle_load(file);
    CHECK(lacking.toGenericDict().erase(key) == 1);
    CHECK_THROWS_WITH(other.load_state_dict(lacking), no_parts);
    wrong.toGenericDict().insert_or_assign(key, 1.0);
    CHECK_THROWS_WITH(other.load_state_dict(wrong), no_parts);
  }
  for (const char* key : {"step", "exp_avg", "exp_avg_sq"}) {
    const auto lacking = torch::pickle_load(file);
    CHECK(lacking.toGenericDict().at("state").toGenericDict().at(0).toGenericDict().erase(key) == 1);
    CHECK_THROWS_WITH(other.load_state_dict(lacking),
                      "fulgurite: Adam cannot load this state: parameter 0 has no \"" + std::string(key) + "\"");
  }
  const auto both = torch::pickle_load(file);
  auto wrong_group = both.toGenericDict().at("param_groups").toList().get(0).toGenericDict();
  wrong_group.insert_or_assign("params", c10::ivalue::Tuple::create(0, 1));
  wrong_group.insert_or_assign("lr", "fast");
  CHECK_THROWS_WITH(other.load_state_dict(both),
                    "fulgurite: Adam cannot load this state: its group 0 has 2 parameter(s), and the optimizer's has 1");
  CHECK(other.state_dict().toGenericDict().at("state").toGenericDict().empty());

  // What is no state of a parameter counts as none; groups may be a tuple.
  for (const bool empty : {true, false}) {
    const auto state = torch::pickle_load(file);
    auto group = state.toGenericDict().at("param_groups").toList().get(0).toGenericDict();
    CHECK(group.erase("lr") == 1);
    CHECK(group.erase("amsgrad") == 1);
    state.toGenericDict().insert_or_assign("param_groups", c10::ivalue::Tuple::create(c10::IValue(group)));
    auto entries = state.toGenericDict().at("state").toGenericDict();
    entries.insert_or_assign(0, empty ? c10::IValue(fg::detail::new_dict(c10::StringType::get())) : c10::IValue(1.0));
    fg::Adam left({p}, {.lr = 0.25, .amsgrad = true});
    left.load_state_dict(state);
    CHECK(left.lr(0) == 0.25);
    CHECK(left.options().amsgrad);
    CHECK(left.state_dict().toGenericDict().at("state").toGenericDict().empty());
  }
}

TEST_CASE("what does not fit is refused with its place") {
  fg::SGD sgd({parameter()}, {});
  CHECK_THROWS_WITH(sgd.load_state_dict(c10::IValue()),
                    ContainsSubstring("it has no \"state\" and \"param_groups\": pass what state_dict() returned"));
  fg::SGD two_groups({{{parameter()}, {}}, {{parameter()}, {}}});
  CHECK_THROWS_WITH(sgd.load_state_dict(two_groups.state_dict()),
                    ContainsSubstring("it has 2 parameter group(s), and the optimizer has 1"));
  fg::SGD two_parameters({parameter(), parameter()}, {});
  CHECK_THROWS_WITH(sgd.load_state_dict(two_parameters.state_dict()),
                    ContainsSubstring("its group 0 has 2 parameter(s), and the optimizer's has 1"));
  const auto dict = sgd.state_dict();
  const auto group = dict.toGenericDict().at("param_groups").toList().get(0).toGenericDict();
  group.insert_or_assign("lr", "fast");
  CHECK_THROWS_WITH(sgd.load_state_dict(dict), ContainsSubstring("\"lr\" of its group 0 is of another type"));
  group.insert_or_assign("lr", -1.0);
  CHECK_THROWS_WITH(sgd.load_state_dict(dict), ContainsSubstring("its group 0 needs a learning rate of 0 or more"));
  group.insert_or_assign("lr", 1e-3);
  group.insert_or_assign("params", c10::ivalue::Tuple::create(c10::IValue("weight")));
  CHECK_THROWS_WITH(sgd.load_state_dict(dict),
                    "fulgurite: SGD cannot load this state: its group 0 lists \"params\" that are not numbers");
  group.insert_or_assign("params", std::int64_t{0});
  CHECK_THROWS_WITH(sgd.load_state_dict(dict),
                    "fulgurite: SGD cannot load this state: \"params\" of its group 0 is not a list");
  CHECK(group.erase("params") == 1);
  CHECK_THROWS_WITH(sgd.load_state_dict(dict), "fulgurite: SGD cannot load this state: its group 0 lists no \"params\"");
  CHECK(sgd.lr(0) == 1e-3);
}
