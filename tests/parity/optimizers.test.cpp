// SPDX-License-Identifier: MIT
// Our optimizers against torch.optim of Python, step by step: traces/optimizers, traces/states.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/any_optimizer.hpp"
#include "support/json.hpp"

using namespace parity;

namespace {

const std::vector<std::string> parameter_names{"w", "b", "s"};

// A parameter's error is measured against its own size, but against no less than a tenth (float64) or one
// (float32). Parameters begin between 0.1 and 1: where one passes zero its error is still that of the numbers
// it was made from.
struct Tolerance {
  double relative;
  double least_size;

  bool holds(double ours, double theirs) const {
    return std::abs(ours - theirs) <= relative * std::max(std::abs(theirs), least_size);
  }
};

/// After `steps` steps.
Tolerance tolerance_of(const Json& file, std::size_t steps) {
  // Muon orthogonalises in bfloat16, where another processor's matrix products round otherwise: each step may
  // differ by a twentieth of the learning rate. On the processor that made the traces all is equal to 1e-12.
  if (file.at("optimizer") == "Muon") {
    return {0.05 * number(file.at("options").at("lr")) * static_cast<double>(steps), 1.0};
  }
  return file.at("dtype") == "float64" ? Tolerance{1e-12, 0.1} : Tolerance{1e-6, 1.0};
}

/// The problem that all traces train on; see README.md.
class Problem {
 public:
  Problem(const Json& problem, const Json& trace)
      : type_(trace.at("dtype") == "float64" ? torch::kDouble : torch::kFloat) {
    const bool matrices = trace.value("matrices", false);
    const Json& initial = trace.contains("initial") ? trace.at("initial") : problem.at("initial");
    x_ = tensor(problem.at("data").at("x"), problem.at("shapes").at("x"));
    y_ = tensor(problem.at("data").at("y"), problem.at("shapes").at("y"));
    for (const std::string& name : parameter_names) {
      torch::Tensor parameter = tensor(initial.at(name), problem.at("shapes").at(name));
      if (matrices && parameter.dim() == 1) parameter = parameter.unsqueeze(0).contiguous();
      parameters_[name] = parameter.requires_grad_();
    }
  }

  torch::Tensor loss() {
    const torch::Tensor &w = parameters_["w"], &b = parameters_["b"], &s = parameters_["s"];
    const auto fit = torch::log(torch::cosh(s * torch::tanh(torch::matmul(x_, w) + b) - y_)).mean();
    return fit + 0.02 * (w.square().sum() + b.square().sum() + s.square().sum());
  }

  torch::Tensor& parameter(const std::string& name) { return parameters_.at(name); }

  std::vector<double> flat() const {
    std::vector<double> all;
    for (const std::string& name : parameter_names) {
      const auto values = parameters_.at(name).detach().to(torch::kDouble).contiguous();
      all.insert(all.end(), values.data_ptr<double>(), values.data_ptr<double>() + values.numel());
    }
    return all;
  }

 private:
  torch::Tensor tensor(const Json& values, const Json& shape) const {
    return torch::tensor(numbers(values), torch::kDouble)
        .reshape(shape.get<std::vector<std::int64_t>>())
        .to(type_);
  }

  torch::ScalarType type_;
  torch::Tensor x_, y_;
  std::map<std::string, torch::Tensor> parameters_;
};

std::unique_ptr<ErasedOptimizer> optimizer_of(const Json& trace, Problem& problem) {
  std::vector<TraceGroup> groups;
  for (const Json& group : trace.at("groups")) {
    groups.push_back({{}, group});
    for (const Json& name : group.at("params")) groups.back().parameters.push_back(problem.parameter(name));
  }
  return make_optimizer(trace.at("optimizer"), std::move(groups), trace.at("options"));
}

void clip(const Json& trace, const fg::Gradients& gradients) {
  if (!trace.contains("clip")) return;
  const Json& rule = trace.at("clip");
  if (rule.contains("norm")) {
    gradients.clip_norm(number(rule.at("norm")), number(rule.at("norm_type")));
  } else {
    gradients.clip_value(number(rule.at("value")));
  }
}

/// Runs a trace from its first step on. Reports the first number that differs.
void run(const Json& file, Problem& problem, ErasedOptimizer& optimizer) {
  const Json& trace = file.at("trace");
  const bool reevaluates = file.at("optimizer") == "LBFGS";
  const auto first = file.value("saved_after", std::int64_t{0});
  const Json absent = file.value("absent", Json::object());

  for (std::size_t row = 0; row < trace.at("loss").size(); ++row) {
    const auto step = first + static_cast<std::int64_t>(row);
    CAPTURE(step);
    const Tolerance tolerance = tolerance_of(file, row + 1);
    std::vector<double> losses;
    const auto closure = [&]() -> std::optional<at::Tensor> {
      optimizer.zero_grad();
      auto loss = problem.loss();
      loss.backward();
      for (const auto& [name, steps] : absent.items()) {
        if (std::find(steps.begin(), steps.end(), step) != steps.end())
          problem.parameter(name).mutable_grad().reset();
      }
      clip(file, optimizer.gradients());
      losses.push_back(loss.item<double>());
      return loss;
    };

    const Json& lrs = trace.at("lr").at(std::min(row, trace.at("lr").size() - 1));
    for (std::size_t group = 0; group < lrs.size(); ++group) {
      REQUIRE(optimizer.lr(static_cast<std::int64_t>(group)) == number(lrs[group]));
    }
    optimizer.step(closure);
    REQUIRE(!losses.empty());
    {
      INFO("loss " << losses.front() << ", expected " << number(trace.at("loss").at(row)));
      REQUIRE(tolerance.holds(losses.front(), number(trace.at("loss").at(row))));
    }
    if (reevaluates) REQUIRE(losses.size() == trace.at("evaluations").at(row).get<std::size_t>());
    const auto ours = problem.flat();
    const auto theirs = numbers(trace.at("parameters").at(row));
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      INFO("parameter element " << i << ": " << ours[i] << ", expected " << theirs[i] << ", differs by "
                                << ours[i] - theirs[i]);
      REQUIRE(tolerance.holds(ours[i], theirs[i]));
    }
  }
}

void require_known(const Json& file) {
  Arguments(file, {"name", "optimizer", "options", "groups", "dtype", "absent", "clip", "matrices", "trace",
                   "initial", "saved_after"})
      .done(file.at("name"));
}

}  // namespace

TEST_CASE("optimizers follow the traces of torch.optim") {
  const Json& problem_file = read_json(folder() / "traces/problem.json");
  std::map<std::string, int> cases;
  for (const auto& path : json_files(folder() / "traces/optimizers")) {
    const Json& file = read_json(path);
    DYNAMIC_SECTION(path.stem().string()) {
      require_known(file);
      Problem problem(problem_file, file);
      const auto optimizer = optimizer_of(file, problem);
      run(file, problem, *optimizer);
    }
    ++cases[file.at("optimizer")];
  }
  static bool printed = false;
  if (!std::exchange(printed, true)) {
    int all = 0;
    for (const auto& [name, count] : cases) all += count;
    std::cout << "parity: " << all << " optimizer traces:";
    for (const auto& [name, count] : cases) std::cout << ' ' << name << ' ' << count;
    std::cout << '\n';
  }
}

TEST_CASE("optimizers go on from a state that Python saved") {
  const Json& problem_file = read_json(folder() / "traces/problem.json");
  const auto files = json_files(folder() / "traces/states");
  REQUIRE(!files.empty());
  for (const auto& path : files) {
    DYNAMIC_SECTION(path.stem().string()) {
      const Json& file = read_json(path);
      require_known(file);
      Problem problem(problem_file, file);
      const auto optimizer = optimizer_of(file, problem);
      std::ifstream saved(std::filesystem::path(path).replace_extension(".state"), std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(saved), {}};
      optimizer->load_state_dict(torch::pickle_load(bytes));
      run(file, problem, *optimizer);
    }
  }
}
