// SPDX-License-Identifier: MIT
// L-BFGS: a quasi-Newton method that evaluates the loss several times a step.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/gradients.hpp>
#include "detail/python_number.hpp"
#include "parameters.hpp"
#include "state_dict.hpp"

namespace fulgurite {

/// How LBFGS finds the length of a step.
enum class LineSearch {
  none,          ///< the learning rate
  strong_wolfe,  ///< until the loss has fallen enough and the slope is flat enough
};

inline c10::IValue to_ivalue(LineSearch search) {
  return search == LineSearch::none ? c10::IValue() : c10::IValue("strong_wolfe");
}
inline void from_ivalue(const c10::IValue& from, LineSearch& to) {
  if (!from.isNone() && from.toStringRef() != "strong_wolfe") throw std::invalid_argument(from.toStringRef());
  to = from.isNone() ? LineSearch::none : LineSearch::strong_wolfe;
}

/// Options of `LBFGS`, with PyTorch's defaults.
struct LBFGSOptions {
  double lr = 1.0;                         ///< length of a step, or the first one tried; 0 or more
  std::int64_t max_iter = 20;              ///< iterations a step
  std::optional<std::int64_t> max_eval{};  ///< evaluations of the loss a step; by default 5/4 of max_iter
  double tolerance_grad = 1e-7;            ///< stops below this largest gradient
  double tolerance_change = 1e-9;          ///< stops below this change of loss or parameters
  std::int64_t history_size = 100;         ///< updates that are remembered, each as large as the model
  LineSearch line_search_fn{};             ///< how the length of a step is found

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (max_iter < 1) return "needs a max_iter of 1 or more";
    if (history_size < 1) return "needs a history_size of 1 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = LBFGSOptions;
    f("lr", &O::lr);
    f("max_iter", &O::max_iter);
    f("max_eval", &O::max_eval);
    f("tolerance_grad", &O::tolerance_grad);
    f("tolerance_change", &O::tolerance_change);
    f("history_size", &O::history_size);
    f("line_search_fn", &O::line_search_fn);
  }
};

/// torch.optim.LBFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.5, 3.5 and 3.6). All parameters are
/// one group. A parameter without gradient counts as one with a gradient of 0, as in PyTorch.
class LBFGS {
 public:
  static constexpr const char* name = "LBFGS";
  static constexpr bool needs_closure = true;
  template <class Precision>
  using backend = TensorBackend<Precision>;

  LBFGS(std::vector<at::Tensor> parameters, LBFGSOptions options) {
    std::vector<ParameterGroup<LBFGSOptions>> groups{{std::move(parameters), options}};
    detail::require_trainable(groups, name);
    parameters_ = std::move(groups.front().parameters);
    take(options);
    for (const at::Tensor& parameter : parameters_) size_ += parameter.numel();
  }

  LBFGS(LBFGS&&) = default;  // no copies: two optimizers would share their state
  LBFGS& operator=(LBFGS&&) = default;

  /// One step of up to max_iter iterations. `closure()` forgets gradients, evaluates the loss, calls backward and returns
  /// the loss: a tensor, a number, or an optional of either, which is empty if there is nothing to train on.
  template <class Closure>
  void step(Closure&& closure) {
    const c10::NoGradGuard no_grad;
    const auto evaluate = [&]() -> std::optional<double> {
      const c10::AutoGradMode grad(true);
      return number_of(closure());
    };
    accepted_evaluation_ = 0;
    const std::optional<double> loss = evaluate();
    if (loss) iterate(*loss, evaluate);
  }

  template <class... None>
  void step() {
    static_assert(sizeof...(None) > 0,
                  "fg::LBFGS evaluates the loss several times a step: call step(closure), where closure() forgets "
                  "gradients, calls backward and returns the loss. See docs/errors/closure.md");
  }

  void zero_grad() {
    for (at::Tensor& parameter : parameters_) parameter.mutable_grad().reset();
  }

  Gradients gradients() const {
    std::vector<at::Tensor> all;
    for (const at::Tensor& parameter : parameters_) {
      if (at::Tensor values = detail::gradient_values(parameter); values.defined()) all.push_back(std::move(values));
    }
    return Gradients(std::move(all));
  }

  /// Which evaluation of the last step, from 0, was made at the parameters where it ended: the one that the line search
  /// accepted. Without a line search the last one, before its final move.
  std::int64_t accepted_evaluation() const { return accepted_evaluation_; }

  std::int64_t group_count() const { return 1; }
  double lr(std::int64_t) const { return options_.lr; }
  /// Throws std::invalid_argument for a rate that the optimizer could not be made with.
  void set_lr(std::int64_t, double lr) { options_.lr = detail::valid_lr(name, lr); }
  const std::vector<at::Tensor>& parameters(std::int64_t = 0) const { return parameters_; }
  /// Calls f(parameter) for each.
  template <class F>
  void for_each_parameter(F&& f) const {
    for (const at::Tensor& parameter : parameters_) f(parameter);
  }
  const LBFGSOptions& options(std::int64_t = 0) const { return options_; }

  /// Options and state in the layout of Python's `state_dict()`. Tensors are the optimizer's own.
  c10::IValue state_dict() const {
    auto state = detail::new_dict(c10::IntType::get());
    if (state_.func_evals > 0) state.insert(0, saved());
    auto groups = detail::new_list();
    groups.push_back(detail::group_to_ivalue(options_, std::array<detail::Constant, 0>{}, 0, parameters_.size()));
    auto dict = detail::new_dict(c10::StringType::get());
    dict.insert("state", state);
    dict.insert("param_groups", groups);
    return dict;
  }

  /// Takes options and state from what `state_dict()` gave here or in Python. Throws std::invalid_argument for the state
  /// of another optimizer or model, before anything is changed.
  void load_state_dict(const c10::IValue& state_dict) {
    const c10::NoGradGuard no_grad;
    const detail::SavedState saved(name, state_dict);
    saved.require_groups(1);
    LBFGSOptions options = options_;
    const auto keys = saved.read_group(0, parameters_.size(), options);
    State state;
    if (const auto entry = saved.state_of(keys.front())) state = loaded(saved, *entry);
    take(options);
    state_ = std::move(state);
  }

 private:
  using Number = detail::PythonNumber;

  struct State {
    std::int64_t func_evals = 0;  // evaluations of the loss so far
    std::int64_t n_iter = 0;      // iterations so far
    at::Tensor d;                 // direction; undefined before the first iteration
    Number t;                     // length of the step along it
    std::vector<at::Tensor> old_dirs;  // changes of the gradient, oldest first
    std::vector<at::Tensor> old_stps;  // changes of the parameters
    std::vector<Number> ro;            // 1 / (their dot product)
    Number H_diag = 1.0;               // scale of the first inverse Hessian
    at::Tensor prev_flat_grad;
    double prev_loss = 0.0;
  };

  /// A point on the line of a search.
  struct Point {
    Number t;      // where
    double loss;
    at::Tensor gradient;
    Number slope;  // along the line
    std::int64_t evaluation;  // of the step, from 0
  };

  template <class Loss>
  static std::optional<double> number_of(const Loss& loss) {
    if constexpr (requires { loss.has_value(); }) {
      return loss ? number_of(*loss) : std::nullopt;
    } else if constexpr (std::is_arithmetic_v<Loss>) {
      return static_cast<double>(loss);
    } else {
      return loss.template item<double>();
    }
  }

  void take(const LBFGSOptions& options) {
    options_ = options;
    if (!options_.max_eval) options_.max_eval = options_.max_iter * 5 / 4;
  }

  /// All gradients in one vector.
  at::Tensor flat_gradient() const {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& parameter : parameters_) {
      const at::Tensor& gradient = parameter.grad();
      if (!gradient.defined()) {
        flat.push_back(at::zeros({parameter.numel()}, parameter.options().requires_grad(false)));
      } else {
        flat.push_back((gradient.layout() == at::kStrided ? gradient : gradient.to_dense()).reshape(-1));
      }
    }
    return at::cat(flat);
  }

  void move(const Number& step, const at::Tensor& direction) {
    std::int64_t offset = 0;
    for (const at::Tensor& parameter : parameters_) {
      parameter.add_(direction.narrow(0, offset, parameter.numel()).view(parameter.sizes()), step.value());
      offset += parameter.numel();
    }
  }

  static Number number(const at::Tensor& tensor) { return {tensor.item<double>(), tensor.scalar_type()}; }
  static Number dot(const at::Tensor& a, const at::Tensor& b) { return number(a.dot(b)); }
  static Number largest(const at::Tensor& tensor) { return tensor.numel() == 0 ? Number(0.0) : number(tensor.abs().max()); }

  /// -(inverse Hessian) * gradient, by the two loops over what is remembered.
  at::Tensor direction(const at::Tensor& gradient) const {
    const std::size_t count = state_.old_dirs.size();
    std::vector<Number> alphas(count);
    const at::Tensor q = gradient.neg();
    for (std::size_t i = count; i-- > 0;) {
      alphas[i] = dot(state_.old_stps[i], q) * state_.ro[i];
      q.add_(state_.old_dirs[i], -alphas[i].value());
    }
    const at::Tensor d = q.mul(state_.H_diag.value());
    for (std::size_t i = 0; i < count; ++i) {
      const Number beta = dot(state_.old_dirs[i], d) * state_.ro[i];
      d.add_(state_.old_stps[i], (alphas[i] - beta).value());
    }
    return d;
  }

  void remember(const at::Tensor& gradient) {
    const at::Tensor y = gradient.sub(state_.prev_flat_grad);
    const at::Tensor s = state_.d.mul(state_.t.value());
    const Number ys = dot(y, s);
    if (!(ys > 1e-10)) return;
    if (static_cast<std::int64_t>(state_.old_dirs.size()) == options_.history_size) {
      state_.old_dirs.erase(state_.old_dirs.begin());
      state_.old_stps.erase(state_.old_stps.begin());
      state_.ro.erase(state_.ro.begin());
    }
    state_.old_dirs.push_back(y);
    state_.old_stps.push_back(s);
    state_.ro.push_back(Number(1.0) / ys);
    state_.H_diag = ys / dot(y, y);
  }

  template <class Evaluate>
  void iterate(double loss, const Evaluate& evaluate) {
    std::int64_t evaluations = 1;
    ++state_.func_evals;
    at::Tensor gradient = flat_gradient();
    bool flat = largest(gradient) <= options_.tolerance_grad;
    if (flat) return;

    for (std::int64_t iteration = 1; iteration <= options_.max_iter; ++iteration) {
      const bool first = ++state_.n_iter == 1;
      if (first) {
        state_.d = gradient.neg();
      } else {
        remember(gradient);
        state_.d = direction(gradient);
      }
      state_.prev_flat_grad = gradient;
      state_.prev_loss = loss;
      state_.t = options_.lr;
      if (first) state_.t = detail::smaller(1.0, Number(1.0) / number(gradient.abs().sum())) * state_.t;

      const Number slope = dot(gradient, state_.d);
      if (slope > -options_.tolerance_change) break;

      std::int64_t evaluated = 0;
      if (options_.line_search_fn == LineSearch::strong_wolfe) {
        Point start{0.0, loss, gradient, slope, accepted_evaluation_};
        auto [found, count] = search(start, state_.t, evaluations, evaluate);
        accepted_evaluation_ = found.evaluation;
        loss = found.loss;
        gradient = found.gradient;
        state_.t = found.t;
        evaluated = count;
        move(state_.t, state_.d);
        flat = largest(gradient) <= options_.tolerance_grad;
      } else {
        move(state_.t, state_.d);
        if (iteration != options_.max_iter) {  // after the last one, nobody would use it
          loss = evaluated_again(evaluate);
          accepted_evaluation_ = evaluations;
          gradient = flat_gradient();
          flat = largest(gradient) <= options_.tolerance_grad;
          evaluated = 1;
        }
      }
      evaluations += evaluated;
      state_.func_evals += evaluated;

      if (evaluations >= *options_.max_eval || flat) break;
      if (largest(state_.d.mul(state_.t.value())) <= options_.tolerance_change) break;
      if (std::abs(loss - state_.prev_loss) < options_.tolerance_change) break;
    }
  }

  template <class Evaluate>
  static double evaluated_again(const Evaluate& evaluate) {
    if (const std::optional<double> loss = evaluate()) return *loss;
    throw std::invalid_argument("fulgurite: LBFGS was given no loss by a closure that gave one before: a batch that is "
                                "left out must be left out every time");
  }

  /// Length of a step that meets the strong Wolfe conditions, as far as the evaluations find one that are left after
  /// `before`. Returns the point and the number of evaluations.
  template <class Evaluate>
  std::pair<Point, std::int64_t> search(const Point& start, Number t, std::int64_t before, const Evaluate& evaluate) {
    const std::int64_t limit = *options_.max_eval - before;
    constexpr double enough_descent = 1e-4;
    constexpr double flat_enough = 0.9;
    const at::Tensor& d = state_.d;
    const Number d_size = largest(d);
    std::vector<at::Tensor> origin;
    for (const at::Tensor& parameter : parameters_) origin.push_back(parameter.clone());
    std::int64_t evaluations = 0;
    const auto at_distance = [&](const Number& where) {
      move(where, d);
      const double loss = evaluated_again(evaluate);
      at::Tensor gradient = flat_gradient();
      for (std::size_t i = 0; i < origin.size(); ++i) parameters_[i].copy_(origin[i]);
      const Number slope = dot(gradient, d);
      return Point{where, loss, std::move(gradient), slope, before + evaluations++};
    };
    const auto too_high = [&](const Point& point) {
      return point.loss > start.loss + enough_descent * point.t * start.slope;
    };
    const auto is_flat = [&](const Point& point) { return abs(point.slope) <= -flat_enough * start.slope; };

    // Go on until two points enclose one that meets the conditions.
    Point point = at_distance(t);
    Point previous = start;
    std::array<Point, 2> bracket;
    bool done = false;
    std::int64_t iteration = 0;
    for (;; ++iteration) {
      if (iteration >= limit) {
        bracket = {start, point};
        break;
      }
      if (too_high(point) || (iteration > 1 && point.loss >= previous.loss)) {
        bracket = {previous, point};
        break;
      }
      if (is_flat(point)) {
        bracket = {point, point};
        done = true;
        break;
      }
      if (point.slope >= 0.0) {
        bracket = {previous, point};
        break;
      }
      const Number least = point.t + 0.01 * (point.t - previous.t);
      const Number most = point.t * 10.0;
      const Number next = interpolate(previous, point, least, most);
      previous = std::move(point);
      point = at_distance(next);
    }

    // Narrow the bracket.
    bool insufficient = false;
    std::size_t low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
    while (!done && iteration < limit) {
      if (abs(bracket[1].t - bracket[0].t) * d_size < options_.tolerance_change) break;
      const Number lower = detail::smaller(bracket[0].t, bracket[1].t);
      const Number upper = detail::larger(bracket[0].t, bracket[1].t);
      Number next = interpolate(bracket[0], bracket[1], lower, upper);
      const Number margin = 0.1 * (upper - lower);
      const bool near_edge = detail::smaller(upper - next, next - lower) < margin;
      if (near_edge && (insufficient || next >= upper || next <= lower)) {
        next = abs(next - upper) < abs(next - lower) ? upper - margin : lower + margin;
        insufficient = false;
      } else {
        insufficient = near_edge;
      }

      point = at_distance(next);
      ++iteration;
      const std::size_t high = 1 - low;
      if (too_high(point) || point.loss >= bracket[low].loss) {
        bracket[high] = std::move(point);
        low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
      } else {
        if (is_flat(point)) {
          done = true;
        } else if (point.slope * (bracket[high].t - bracket[low].t) >= 0.0) {
          bracket[high] = bracket[low];
        }
        bracket[low] = std::move(point);
      }
    }
    return {bracket[low], evaluations};
  }

  /// Where the cubic through two points and their slopes is least, within bounds.
  static Number interpolate(const Point& a, const Point& b, const Number& least, const Number& most) {
    const Number d1 = a.slope + b.slope - Number(3.0 * (a.loss - b.loss)) / (a.t - b.t);
    const Number square = d1 * d1 - a.slope * b.slope;
    if (!(square >= 0.0)) return (least + most) / 2.0;
    const Number d2 = sqrt(square);
    const Number where = a.t <= b.t ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
                                    : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2.0 * d2));
    return detail::smaller(detail::larger(where, least), most);
  }

  static c10::IValue ivalue(const Number& number) {
    if (!number.type()) return number.value();
    return at::scalar_tensor(number.value(), *number.type());
  }
  static c10::IValue ivalue(const std::vector<at::Tensor>& tensors) {
    auto list = detail::new_list();
    for (const at::Tensor& tensor : tensors) list.push_back(tensor);
    return list;
  }

  c10::IValue saved() const {
    auto entry = detail::new_dict(c10::StringType::get());
    entry.insert("func_evals", state_.func_evals);
    entry.insert("n_iter", state_.n_iter);
    if (!state_.d.defined()) return entry;
    auto ro = detail::new_list();
    for (const Number& value : state_.ro) ro.push_back(ivalue(value));
    entry.insert("d", state_.d);
    entry.insert("t", ivalue(state_.t));
    entry.insert("old_dirs", ivalue(state_.old_dirs));
    entry.insert("old_stps", ivalue(state_.old_stps));
    entry.insert("ro", ro);
    entry.insert("H_diag", ivalue(state_.H_diag));
    entry.insert("prev_flat_grad", state_.prev_flat_grad);
    entry.insert("prev_loss", state_.prev_loss);
    return entry;
  }

  State loaded(const detail::SavedState& saved, const c10::IValue& entry) const {
    const at::Tensor like = at::zeros({size_}, parameters_.front().options().requires_grad(false));
    const auto number_from = [&](const char* key, const c10::IValue& value) {
      if (value.isTensor() && value.toTensor().numel() == 1) return number(value.toTensor());
      if (!value.isInt() && !value.isDouble()) saved.refuse("\"" + std::string(key) + "\" of parameter 0 is not a number");
      return Number(value.toScalar().toDouble());
    };
    const auto values_of = [&](const char* key) {
      const c10::IValue values = saved.entry(entry, key, 0);
      if (!values.isList() && !values.isTuple()) saved.refuse("\"" + std::string(key) + "\" of parameter 0 is not a list");
      return detail::elements(values);
    };
    const auto list = [&](const char* key) {
      std::vector<at::Tensor> tensors;
      for (const c10::IValue& value : values_of(key)) {
        auto one = detail::new_dict(c10::StringType::get());
        one.insert(key, value);
        tensors.push_back(saved.tensor(one, key, 0, like));
      }
      return tensors;
    };
    State state;
    state.func_evals = static_cast<std::int64_t>(saved.number(entry, "func_evals", 0));
    state.n_iter = static_cast<std::int64_t>(saved.number(entry, "n_iter", 0));
    if (!detail::find(entry, "d")) return state;
    state.d = saved.tensor(entry, "d", 0, like);
    state.t = number_from("t", saved.entry(entry, "t", 0));
    state.old_dirs = list("old_dirs");
    state.old_stps = list("old_stps");
    for (const c10::IValue& value : values_of("ro")) state.ro.push_back(number_from("ro", value));
    state.H_diag = number_from("H_diag", saved.entry(entry, "H_diag", 0));
    state.prev_flat_grad = saved.tensor(entry, "prev_flat_grad", 0, like);
    state.prev_loss = saved.number(entry, "prev_loss", 0);
    if (state.old_dirs.size() != state.old_stps.size() || state.old_dirs.size() != state.ro.size()) {
      saved.refuse("\"old_dirs\", \"old_stps\" and \"ro\" are not equally many");
    }
    return state;
  }

  std::vector<at::Tensor> parameters_;
  LBFGSOptions options_;
  std::int64_t size_ = 0;  // of all parameters together
  State state_;
  std::int64_t accepted_evaluation_ = 0;
};

}  // namespace fulgurite
