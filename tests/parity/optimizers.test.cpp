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
#include <functional>
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

#include "support/alterations.hpp"
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
    Arguments(problem, {"torch", "shapes", "data", "initial"}).done("problem.json");
    Arguments(problem.at("shapes"), {"x", "y", "w", "b", "s"}).done("problem.json, shapes");
    Arguments(problem.at("data"), {"x", "y"}).done("problem.json, data");
    Arguments(problem.at("initial"), {"w", "b", "s"}).done("problem.json, initial");
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
  if (losses.empty()) differ("the closure was not called");
  return losses;
}

/// What an optimizer does in as many steps as a trace has.
struct Made {
  std::vector<std::vector<double>> lrs, losses, parameters;
};

Made make_steps(const Json& file, Problem& problem, ErasedOptimizer& optimizer) {
  const auto first = file.value("saved_after", std::int64_t{0});
  Made made;
  for (std::size_t row = 0; row < file.at("trace").at("loss").size(); ++row) {
    made.lrs.emplace_back();
    for (std::int64_t group = 0; group < optimizer.group_count(); ++group) made.lrs.back().push_back(optimizer.lr(group));
    made.losses.push_back(make_step(file, problem, optimizer, first + static_cast<std::int64_t>(row)));
    made.parameters.push_back(problem.flat());
  }
  return made;
}

/// Throws for the first number that differs.
void require_made(const Json& file, const Made& made) {
  const Json& trace = file.at("trace");
  const bool reevaluates = file.at("optimizer") == "LBFGS";
  const auto rows = made.losses.size();
  const Json& lrs = trace.at("lr");
  if (rows == 0 || trace.at("loss").size() != rows || trace.at("parameters").size() != rows)
    differ("the trace has not ", rows, " steps");
  if (lrs.size() != 1 && lrs.size() != rows) differ(lrs.size(), " rows of rates, expected 1 or ", rows);
  if (trace.contains("evaluations") != reevaluates || (reevaluates && trace.at("evaluations").size() != rows)) {
    differ("evaluations are counted in the steps of LBFGS, and there only");
  }
  for (std::size_t row = 0; row < rows; ++row) {
    const Tolerance tolerance = tolerance_of(file, row + 1);
    if (numbers(lrs.at(std::min(row, lrs.size() - 1))) != made.lrs[row]) differ("step ", row, ": another rate");
    const double loss = number(trace.at("loss").at(row));
    if (!tolerance.holds(made.losses[row].front(), loss))
      differ("step ", row, ": loss ", made.losses[row].front(), ", expected ", loss);
    if (reevaluates && trace.at("evaluations").at(row) != made.losses[row].size()) {
      differ("step ", row, ": ", made.losses[row].size(), " evaluations, expected ", trace.at("evaluations").at(row));
    }
    const auto& ours = made.parameters[row];
    const auto theirs = numbers(trace.at("parameters").at(row));
    if (ours.size() != theirs.size())
      differ("step ", row, ": ", ours.size(), " numbers in the parameters, expected ", theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (!tolerance.holds(ours[i], theirs[i])) {
        differ("step ", row, ", parameter element ", i, ": ", ours[i], ", expected ", theirs[i], ", differs by ",
               ours[i] - theirs[i]);
      }
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
      if (!yours.contains(key)) differ(where, " has ", key, ", and Python's has not");
    }
    for (const auto& [key, value] : yours) {
      if (!mine.contains(key)) differ(where, " has no ", key, ", and Python's has");
      require_same(mine.at(key), value, tolerance, where + "." + key);
    }
  } else if (is_sequence(theirs) && is_sequence(ours)) {
    const auto mine = fg::detail::elements(ours), yours = fg::detail::elements(theirs);
    if (mine.size() != yours.size()) differ(where, " has ", mine.size(), " elements, Python's ", yours.size());
    for (std::size_t i = 0; i < mine.size(); ++i) {
      require_same(mine[i], yours[i], tolerance, where + "[" + std::to_string(i) + "]");
    }
  } else if (theirs.isTensor() && ours.isTensor()) {
    const auto mine = ours.toTensor(), yours = theirs.toTensor();
    if (mine.scalar_type() != yours.scalar_type() || mine.sizes() != yours.sizes())
      differ(where, " is a tensor of another kind");
    const auto error = (mine.to(torch::kDouble) - yours.to(torch::kDouble)).abs();
    const auto size = yours.to(torch::kDouble).abs().clamp_min(tolerance.least_size);
    if (!error.le(size * tolerance.relative).all().item<bool>()) differ(where, " is ", mine, ", Python's ", yours);
  } else if (is_number(theirs) && is_number(ours)) {
    if (!tolerance.holds(ours.toScalar().toDouble(), theirs.toScalar().toDouble()))
      differ(where, " is ", ours, ", Python's ", theirs);
  } else if (ours != theirs) {  // None, a bool, a word; or values of two kinds
    differ(where, " is ", ours, ", Python's ", theirs);
  }
}

void require_known(const std::string& name, const Json& file, bool has_state) {
  Arguments(file, {"name", "optimizer", "options", "groups", "dtype", "absent", "clip", "matrices", "trace", "initial",
                   "saved_after"})
      .done(name);
  Arguments(file.at("trace"), {"loss", "lr", "parameters", "evaluations"}).done(name);
  if (file.at("name") != name) differ("the file has the name ", name, ", and says ", file.at("name"));
  for (const char* of_states : {"initial", "saved_after"}) {
    if (file.contains(of_states) != has_state) differ(of_states, " is in the traces of states, and there only");
  }
  if (file.at("dtype") != "float64" && file.at("dtype") != "float32") differ("no number format is known as ", file.at("dtype"));
  if (file.contains("clip")) Arguments(file.at("clip"), {"norm", "norm_type", "value"}).done(name + ", clip");
  if (file.contains("initial")) {
    Arguments(file.at("initial"), {parameter_names.begin(), parameter_names.end()}).done(name + ", initial");
  }
  if (file.at("dtype") == "float32") {  // its numbers are the shortest that give the same floats back
    for (const Json& row : file.at("trace").at("parameters")) {
      for (const double value : numbers(row)) {
        std::ostringstream text;
        text.precision(9);
        text << value;
        if (std::stod(text.str()) != value) differ(value, " is no float32");
      }
    }
  }
  if (!file.value("matrices", true)) differ("matrices is true, or not there");
  const Json absent = file.value("absent", Json::object());
  for (const auto& [of, steps] : absent.items()) {
    std::int64_t last = -1;
    for (const Json& step : steps) {
      if (step <= last ||
          step >= file.value("saved_after", std::int64_t{0}) + static_cast<std::int64_t>(file.at("trace").at("loss").size())) {
        differ(of, " is absent in step ", step, ": the steps are not in order, or not all there");
      }
      last = step.get<std::int64_t>();
    }
  }
}

/// Throws unless our optimizer does what a trace says.
void require_trace(const std::string& name, const Json& file, const Json& problem_file) {
  require_known(name, file, false);
  Problem problem(problem_file, file);
  const auto optimizer = optimizer_of(file, problem);
  require_made(file, make_steps(file, problem, *optimizer));
}

/// Throws unless our optimizer goes on as a trace says from the state that is saved with it.
void require_continued(const std::string& name, const Json& file, const Json& problem_file, const c10::IValue& state) {
  require_known(name, file, true);
  Problem problem(problem_file, file);
  const auto optimizer = optimizer_of(file, problem);
  optimizer->load_state_dict(state);
  require_made(file, make_steps(file, problem, *optimizer));
}

}  // namespace

TEST_CASE("optimizers follow the traces of torch.optim") {
  std::map<std::string, int> cases;
  for (const auto& path : json_files(folder() / "traces/optimizers")) {
    const Json& file = read_json(path);
    DYNAMIC_SECTION(path.stem().string()) {
      CHECK_NOTHROW(require_trace(path.stem().string(), file, problem_json()));
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
  for (const auto& path : json_files(folder() / "traces/states")) {
    DYNAMIC_SECTION(path.stem().string()) {
      CHECK_NOTHROW(require_continued(path.stem().string(), read_json(path), problem_json(), python_state(path)));
    }
  }
}

/// Ours after the steps after which Python saved, through a file, as Python would read it.
c10::IValue our_state(const BeforeSaving& run) {
  return torch::pickle_load(torch::pickle_save(run.optimizer->state_dict()));
}

/// Throws unless ours has the state and the parameters that Python saved after the same steps.
void require_saved(const Json& file, const c10::IValue& state) {
  const BeforeSaving run(file);
  const auto tolerance = tolerance_of(file, static_cast<std::size_t>(run.steps()));
  require_same(our_state(run), state, tolerance, "state");
  for (const auto& [name, ours] : run.problem->by_name()) {
    const auto theirs = numbers(file.at("initial").at(name));
    if (ours.size() != theirs.size()) differ(name, " has ", ours.size(), " numbers, expected ", theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (!tolerance.holds(ours[i], theirs[i])) differ(name, '[', i, "]: ", ours[i], ", expected ", theirs[i]);
    }
  }
}

TEST_CASE("after the same steps our state is Python's") {
  for (const auto& path : json_files(folder() / "traces/states")) {
    DYNAMIC_SECTION(path.stem().string()) {
      CHECK_NOTHROW(require_saved(read_json(path), python_state(path)));
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

namespace {

Vocabulary vocabulary() {
  Vocabulary words;
  for (const char* of : {"optimizers", "states"}) {
    for (const auto& path : json_files(folder() / "traces" / of)) {
      Json file = read_json(path);
      file.erase("trace");
      file.erase("name");
      add_words(words, file);
    }
  }
  return words;
}

bool same_input(const Json& a, const Json& b) {
  return a.size() == b.size() && std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
           return item.key() == "trace" || (b.contains(item.key()) && b.at(item.key()) == item.value());
         });
}

/// Tries the alterations of a trace whose number `which` says yes to.
void alter(const std::string& of, const std::filesystem::path& path, const Vocabulary& words, Noticed& noticed, std::size_t few,
           const std::function<bool(std::size_t)>& which) {
  const auto name = path.stem().string();
  const Json& file = read_json(path);
  const bool has_state = of == "states";
  const auto state = has_state ? python_state(path) : c10::IValue();
  Problem problem(problem_json(), file);
  const auto optimizer = optimizer_of(file, problem);
  if (has_state) optimizer->load_state_dict(state);
  const Made made = make_steps(file, problem, *optimizer);
  std::size_t number = 0;
  Alterations alterations(
      words,
      [&](const std::string& where, const Json& altered) {
        if (!which(number++)) return;
        noticed.look(of + "/" + name + where, [&] {
          if (same_input(file, altered)) {  // the same steps
            require_known(name, altered, has_state);
            require_made(altered, made);
          } else if (has_state) {
            require_continued(name, altered, problem_json(), state);
            require_saved(altered, state);
          } else {
            require_trace(name, altered, problem_json());
          }
        });
      },
      few);
  alterations.fraction = file.at("optimizer") == "Muon" ? 0.1 : file.at("dtype") == "float32" ? 1e-3 : 1e-6;
  alterations.of(file);
}

/// A state with its alteration number `left`, if it has so many; `where` becomes what was altered.
c10::IValue altered_state(const c10::IValue& value, std::int64_t& left, const std::string& at, std::string& where) {
  const auto now = [&](const std::string& what) {
    if (left-- != 0) return false;
    where = at + ": " + what;
    return true;
  };
  if (value.isGenericDict()) {
    const auto from = value.toGenericDict();
    c10::impl::GenericDict to(from.keyType(), from.valueType());
    for (const auto& entry : from) {
      std::ostringstream key;
      key << entry.key();
      const auto below = at + "/" + key.str();
      if (left-- == 0) {
        where = below + ": left out";
      } else {
        to.insert(entry.key(), altered_state(entry.value(), left, below, where));
      }
    }
    return to;
  }
  if (value.isList() || value.isTuple()) {
    std::vector<c10::IValue> to;
    for (const auto& element : fg::detail::elements(value)) {
      const auto below = at + "/" + std::to_string(to.size());
      if (left-- == 0) {
        where = below + ": left out";
      } else {
        to.push_back(altered_state(element, left, below, where));
      }
    }
    return c10::ivalue::Tuple::create(std::move(to));
  }
  if (value.isTensor()) {
    const auto tensor = value.toTensor();
    for (const std::int64_t i : {std::int64_t{0}, tensor.numel() - 1}) {
      if (!now("number " + std::to_string(i))) continue;
      auto other = tensor.contiguous().clone();
      other.view({-1})[i] += 1;
      return other;
    }
    if (now("another number format")) return tensor.to(tensor.scalar_type() == torch::kDouble ? torch::kFloat : torch::kDouble);
    if (now("another shape")) return tensor.unsqueeze(0);
    return value;
  }
  if (value.isBool() && now("turned")) return !value.toBool();
  if (value.isInt() && now("one more")) return value.toInt() + 1;
  if (value.isDouble() && now("a little more")) return value.toDouble() + 0.1;
  if (value.isNone() && now("is 0")) return 0;
  if (value.isString() && now("another word")) return value.toStringRef() + "x";
  return value;
}

void alter_state(const std::filesystem::path& path, Noticed& noticed) {
  const BeforeSaving run(read_json(path));
  const auto ours = our_state(run);
  const auto theirs = python_state(path);
  const auto tolerance = tolerance_of(run.file, static_cast<std::size_t>(run.steps()));
  for (std::int64_t number = 0;; ++number) {
    std::int64_t left = number;
    std::string where;
    const auto altered = altered_state(theirs, left, "state", where);
    if (where.empty()) return;
    noticed.look("states/" + path.stem().string() + "." + where, [&] { require_same(ours, altered, tolerance, "state"); });
  }
}

}  // namespace

TEST_CASE("a trace of an optimizer with an altered field fails") {
  const auto words = vocabulary();
  Noticed noticed;
  for (const char* of : {"optimizers", "states"}) {
    const auto files = json_files(folder() / "traces" / of);
    for (std::size_t i = 0; i < files.size(); i += 3) {
      alter(of, files[i], words, noticed, 3, [&](std::size_t number) { return (number + i) % 8 == 0; });
    }
  }
  INFO(noticed.report());
  CHECK(noticed.noticed > 300);
  CHECK(noticed.overlooked.empty());
}

TEST_CASE("a state of Python's with an altered entry fails") {
  Noticed noticed;
  for (const auto& path : json_files(folder() / "traces/states")) alter_state(path, noticed);
  INFO(noticed.report());
  CHECK(noticed.noticed > 300);
  CHECK(noticed.overlooked.empty());
}

TEST_CASE("optimizers' traces on an altered problem fail") {
  const Vocabulary no_words;
  Noticed noticed;
  const Json& file = read_json(folder() / "traces/optimizers/adam.json");
  Alterations(
      no_words,
      [&](const std::string& where, const Json& altered) {
        noticed.look("problem" + where, [&] { require_trace("adam", file, altered); });
      },
      5)
      .of(problem_json());
  INFO(noticed.report());
  CHECK(noticed.overlooked.empty());
}

// Hidden: all of them.
TEST_CASE("every trace of an optimizer with any altered field fails", "[.alter]") {
  const auto words = vocabulary();
  Noticed noticed;
  for (const char* of : {"optimizers", "states"}) {
    for (const auto& path : json_files(folder() / "traces" / of))
      alter(of, path, words, noticed, 0, [](std::size_t) { return true; });
  }
  for (const auto& path : json_files(folder() / "traces/states")) alter_state(path, noticed);
  WARN(noticed.report());
  CHECK(noticed.overlooked.empty());
  for (const char* below : {"optimizers/", "states/"}) {
    for (const auto& pattern : noticed.may_change.idle(below))
      FAIL_CHECK("a line of unnoticed.txt that no alteration fits: " << pattern);
  }
}
