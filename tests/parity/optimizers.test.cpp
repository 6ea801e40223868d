// SPDX-License-Identifier: MIT
// Our optimizers against torch.optim of Python, step by step: traces/optimizers, traces/states.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
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

/// The problem that all traces train on; see README.md. Its loss is computed in float64 whatever the parameters are.
class Problem {
 public:
  Problem(const Json& problem, const Json& trace) {
    const auto type = trace.at("dtype") == "float64" ? torch::kDouble : torch::kFloat;
    const bool matrices = trace.value("matrices", false);
    const Json& initial = trace.contains("initial") ? trace.at("initial") : problem.at("initial");
    x_ = tensor(problem.at("data").at("x"), problem.at("shapes").at("x"));
    y_ = tensor(problem.at("data").at("y"), problem.at("shapes").at("y"));
    for (const std::string& name : parameter_names) {
      torch::Tensor parameter = tensor(initial.at(name), problem.at("shapes").at(name)).to(type);
      if (matrices && parameter.dim() == 1) parameter = parameter.unsqueeze(0).contiguous();
      parameters_[name] = parameter.requires_grad_();
    }
  }

  torch::Tensor loss() {
    const auto in_float64 = [&](const char* name) { return parameters_.at(name).to(torch::kDouble); };
    const torch::Tensor w = in_float64("w"), b = in_float64("b"), s = in_float64("s");
    const auto fit = torch::log(torch::cosh(s * torch::tanh(torch::matmul(x_, w) + b) - y_)).mean();
    return fit + 0.02 * (w.square().sum() + b.square().sum() + s.square().sum());
  }

  torch::Tensor& parameter(const std::string& name) { return parameters_.at(name); }

  std::map<std::string, std::vector<double>> by_name() const {
    std::map<std::string, std::vector<double>> all;
    for (const std::string& name : parameter_names) {
      const auto values = parameters_.at(name).detach().to(torch::kDouble).contiguous();
      all[name].assign(values.data_ptr<double>(), values.data_ptr<double>() + values.numel());
    }
    return all;
  }

  std::vector<double> flat() const {
    std::vector<double> all;
    const auto values = by_name();
    for (const std::string& name : parameter_names) all.insert(all.end(), values.at(name).begin(), values.at(name).end());
    return all;
  }

 private:
  static torch::Tensor tensor(const Json& values, const Json& shape) {
    return torch::tensor(numbers(values), torch::kDouble)
        .reshape(shape.get<std::vector<std::int64_t>>());
  }

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

/// Makes a trace's step number `step`. Returns the loss of each evaluation.
std::vector<double> make_step(const Json& file, Problem& problem, ErasedOptimizer& optimizer, std::int64_t step) {
  const Json absent = file.value("absent", Json::object());
  std::vector<double> losses;
  optimizer.step([&]() -> std::optional<at::Tensor> {
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
  });
  REQUIRE(!losses.empty());
  return losses;
}

/// Runs a trace from its first step on. Reports the first number that differs.
void run(const Json& file, Problem& problem, ErasedOptimizer& optimizer) {
  const Json& trace = file.at("trace");
  const bool reevaluates = file.at("optimizer") == "LBFGS";
  const auto first = file.value("saved_after", std::int64_t{0});

  for (std::size_t row = 0; row < trace.at("loss").size(); ++row) {
    const auto step = first + static_cast<std::int64_t>(row);
    CAPTURE(step);
    const Tolerance tolerance = tolerance_of(file, row + 1);
    const Json& lrs = trace.at("lr").at(std::min(row, trace.at("lr").size() - 1));
    for (std::size_t group = 0; group < lrs.size(); ++group) {
      REQUIRE(optimizer.lr(static_cast<std::int64_t>(group)) == number(lrs[group]));
    }
    const auto losses = make_step(file, problem, optimizer, step);
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

const Json& problem_json() {
  static const auto path = folder() / "traces/problem.json";
  return read_json(path);
}

/// A trace of states/ from its very beginning: what the state was saved after.
struct BeforeSaving {
  explicit BeforeSaving(Json trace) : file(std::move(trace)) {
    file.erase("initial");
    problem.emplace(problem_json(), file);
    optimizer = optimizer_of(file, *problem);
    for (std::int64_t step = 0; step < steps(); ++step) make_step(file, *problem, *optimizer, step);
  }

  std::int64_t steps() const { return file.at("saved_after").get<std::int64_t>(); }

  Json file;
  std::optional<Problem> problem;
  std::unique_ptr<ErasedOptimizer> optimizer;
};

c10::IValue python_state(const std::filesystem::path& trace) {
  std::ifstream saved(std::filesystem::path(trace).replace_extension(".state"), std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(saved), {}};
  return torch::pickle_load(bytes);
}

/// Same keys, same kinds of values, same shapes and number formats, same numbers but for rounding.
void require_same(const c10::IValue& ours, const c10::IValue& theirs, const Tolerance& tolerance, const std::string& where) {
  // Which kernel updates is each side's own choice; LBFGS's "al" is scratch memory, which Python makes where it is missing.
  static const std::set<std::string> not_compared{"fused", "foreach", "al"};
  const auto is_sequence = [](const c10::IValue& value) { return value.isList() || value.isTuple(); };
  const auto is_number = [](const c10::IValue& value) { return value.isInt() || value.isDouble(); };
  const auto entries_of = [](const c10::IValue& dict) {
    std::map<std::string, c10::IValue> entries;
    for (const auto& entry : dict.toGenericDict()) {
      std::ostringstream key;
      key << entry.key();
      if (!not_compared.contains(key.str())) entries.emplace(key.str(), entry.value());
    }
    return entries;
  };

  if (theirs.isGenericDict() && ours.isGenericDict()) {
    const auto mine = entries_of(ours), yours = entries_of(theirs);
    for (const auto& [key, value] : mine) {
      if (!yours.contains(key)) FAIL(where << " has " << key << ", and Python's has not");
    }
    for (const auto& [key, value] : yours) {
      if (!mine.contains(key)) FAIL(where << " has no " << key << ", and Python's has");
      require_same(mine.at(key), value, tolerance, where + "." + key);
    }
  } else if (is_sequence(theirs) && is_sequence(ours)) {
    const auto mine = fg::detail::elements(ours), yours = fg::detail::elements(theirs);
    if (mine.size() != yours.size()) FAIL(where << " has " << mine.size() << " elements, Python's " << yours.size());
    for (std::size_t i = 0; i < mine.size(); ++i) {
      require_same(mine[i], yours[i], tolerance, where + "[" + std::to_string(i) + "]");
    }
  } else if (theirs.isTensor() && ours.isTensor()) {
    INFO(where);
    const auto mine = ours.toTensor(), yours = theirs.toTensor();
    CHECK(mine.scalar_type() == yours.scalar_type());
    REQUIRE(mine.sizes() == yours.sizes());
    const auto error = (mine.to(torch::kDouble) - yours.to(torch::kDouble)).abs();
    const auto size = yours.to(torch::kDouble).abs().clamp_min(tolerance.least_size);
    CHECK(error.le(size * tolerance.relative).all().item<bool>());
  } else if (is_number(theirs) && is_number(ours)) {
    INFO(where);
    CHECK(tolerance.holds(ours.toScalar().toDouble(), theirs.toScalar().toDouble()));
  } else {  // None, a bool, a word; or values of two kinds
    INFO(where);
    CHECK(ours == theirs);
  }
}

void require_known(const Json& file) {
  Arguments(file, {"name", "optimizer", "options", "groups", "dtype", "absent", "clip", "matrices", "trace",
                   "initial", "saved_after"})
      .done(file.at("name"));
}

}  // namespace

TEST_CASE("optimizers follow the traces of torch.optim") {
  const Json& problem_file = problem_json();
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
  const Json& problem_file = problem_json();
  const auto files = json_files(folder() / "traces/states");
  REQUIRE(!files.empty());
  for (const auto& path : files) {
    DYNAMIC_SECTION(path.stem().string()) {
      const Json& file = read_json(path);
      require_known(file);
      Problem problem(problem_file, file);
      const auto optimizer = optimizer_of(file, problem);
      optimizer->load_state_dict(python_state(path));
      run(file, problem, *optimizer);
    }
  }
}

TEST_CASE("after the same steps our state is Python's") {
  for (const auto& path : json_files(folder() / "traces/states")) {
    DYNAMIC_SECTION(path.stem().string()) {
      const BeforeSaving run(read_json(path));
      // Through a file, as Python would read it.
      const auto ours = torch::pickle_load(torch::pickle_save(run.optimizer->state_dict()));
      require_same(ours, python_state(path), tolerance_of(run.file, static_cast<std::size_t>(run.steps())), "state");
    }
  }
}

// Hidden: continue_states.py runs it, to load the states into Python's optimizers and go on there.
TEST_CASE("states for Python are written", "[.states-for-python]") {
  const char* where = std::getenv("FULGURITE_STATES");
  REQUIRE(where != nullptr);
  for (const auto& path : json_files(folder() / "traces/states")) {
    BeforeSaving run(read_json(path));
    const auto target = std::filesystem::path(where) / path.filename();
    const auto bytes = torch::pickle_save(run.optimizer->state_dict());
    std::ofstream(std::filesystem::path(target).replace_extension(".state"), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    Json written{{"initial", run.problem->by_name()}, {"parameters", Json::array()}};
    const auto following = static_cast<std::int64_t>(run.file.at("trace").at("loss").size());
    for (std::int64_t step = run.steps(); step < run.steps() + following; ++step) {
      make_step(run.file, *run.problem, *run.optimizer, step);
      written["parameters"].push_back(run.problem->flat());
    }
    std::ofstream(target) << written;
  }
}
