// SPDX-License-Identifier: MIT
#include <fulgurite/optim/state_dict.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/sgd.hpp>

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
