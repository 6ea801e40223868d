// SPDX-License-Identifier: MIT
// LBFGS against a plain reference on doubles, which follows torch/optim/lbfgs.py line by line: where the loss is evaluated,
// what is remembered, and when a step ends.
#include <fulgurite/optim/lbfgs.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;

namespace {

using Vector = std::vector<double>;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

struct Value {
  double loss;
  Vector gradient;
};
using Function = std::function<Value(const Vector&)>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
Vector sum(const Vector& a, double factor, const Vector& b) {
  Vector result(a);
  for (std::size_t i = 0; i < a.size(); ++i) result[i] += factor * b[i];
  return result;
}
Vector product(double factor, const Vector& a) {
  return sum(Vector(a.size(), 0.0), factor, a);
}
/// NaN if one of them is NaN, as of a tensor.
double largest(const Vector& a) {
  double result = 0.0;
  for (const double value : a) {
    if (std::isnan(value) || std::abs(value) > result) result = std::abs(value);
    if (std::isnan(result)) return result;
  }
  return result;
}
double python_min(double a, double b) {
  return b < a ? b : a;
}
double python_max(double a, double b) {
  return b > a ? b : a;
}

struct Plain {
  fg::LBFGSOptions options;
  Vector x;

  std::int64_t func_evals = 0, n_iter = 0;
  Vector d{}, prev_flat_grad{};
  double t = 0.0, h_diag = 1.0, prev_loss = 0.0;
  std::vector<Vector> old_dirs{}, old_stps{};
  Vector ro{};
  std::vector<std::pair<Vector, std::int64_t>> evaluated{};  // of the last step: places, and their numbers
  std::int64_t accepted = 0;

  static double cubic_interpolate(double x1, double f1, double g1, double x2, double f2, double g2, double low, double high) {
    const double d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2);
    const double d2_square = d1 * d1 - g1 * g2;
    if (!(d2_square >= 0)) return (low + high) / 2.0;
    const double d2 = std::sqrt(d2_square);
    double min_pos = 0.0;
    if (x1 <= x2) {
      min_pos = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2));
    } else {
      min_pos = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2));
    }
    return python_min(python_max(min_pos, low), high);
  }

  Value evaluate(const Function& f, const Vector& at) {
    evaluated.emplace_back(at, static_cast<std::int64_t>(evaluated.size()));
    return f(at);
  }

  std::int64_t strong_wolfe(const Function& function, double& f, Vector& g, double gtd, std::int64_t max_ls) {
    const double c1 = 1e-4, c2 = 0.9, d_norm = largest(d);
    std::int64_t number = static_cast<std::int64_t>(evaluated.size());
    Value now = evaluate(function, sum(x, t, d));
    std::int64_t evals = 1;
    double gtd_new = dot(now.gradient, d);
    double t_prev = 0, f_prev = f, gtd_prev = gtd;
    Vector g_prev = g;
    std::int64_t number_prev = accepted;
    std::vector<double> bracket, bracket_f, bracket_gtd;
    std::vector<Vector> bracket_g;
    std::vector<std::int64_t> numbers;
    const auto both = [&] {
      bracket = {t_prev, t};
      bracket_f = {f_prev, now.loss};
      bracket_g = {g_prev, now.gradient};
      bracket_gtd = {gtd_prev, gtd_new};
      numbers = {number_prev, number};
    };
    bool done = false;
    std::int64_t ls_iter = 0;
    while (ls_iter < max_ls) {
      if (now.loss > f + c1 * t * gtd || (ls_iter > 1 && now.loss >= f_prev)) {
        both();
        break;
      }
      if (std::abs(gtd_new) <= -c2 * gtd) {
        bracket = {t};
        bracket_f = {now.loss};
        bracket_g = {now.gradient};
        numbers = {number};
        done = true;
        break;
      }
      if (gtd_new >= 0) {
        both();
        break;
      }
      const double tmp = t;
      t = cubic_interpolate(t_prev, f_prev, gtd_prev, t, now.loss, gtd_new, t + 0.01 * (t - t_prev), t * 10);
      t_prev = tmp;
      f_prev = now.loss;
      g_prev = now.gradient;
      gtd_prev = gtd_new;
      number_prev = number;
      number = static_cast<std::int64_t>(evaluated.size());
      now = evaluate(function, sum(x, t, d));
      ++evals;
      gtd_new = dot(now.gradient, d);
      ++ls_iter;
    }
    if (ls_iter == max_ls) {
      bracket = {0, t};
      bracket_f = {f, now.loss};
      bracket_g = {g, now.gradient};
      numbers = {accepted, number};
    }
    bool insufficient = false;
    std::size_t low = 1, high = 0;
    if (bracket_f.front() <= bracket_f.back()) std::swap(low, high);
    if (bracket_f.size() == 1) low = 0;  // as Python would with -1, but for a loss of NaN
    while (!done && ls_iter < max_ls) {
      if (std::abs(bracket[1] - bracket[0]) * d_norm < options.tolerance_change) break;
      const double least = python_min(bracket[0], bracket[1]), most = python_max(bracket[0], bracket[1]);
      t = bracket[0] <= bracket[1] ? cubic_interpolate(bracket[0], bracket_f[0], bracket_gtd[0], bracket[1], bracket_f[1],
                                                       bracket_gtd[1], bracket[0], bracket[1])
                                   : cubic_interpolate(bracket[0], bracket_f[0], bracket_gtd[0], bracket[1], bracket_f[1],
                                                       bracket_gtd[1], bracket[1], bracket[0]);
      const double eps = 0.1 * (most - least);
      if (python_min(most - t, t - least) < eps) {
        if (insufficient || t >= most || t <= least) {
          if (std::abs(t - most) < std::abs(t - least)) {
            t = most - eps;
          } else {
            t = least + eps;
          }
          insufficient = false;
        } else {
          insufficient = true;
        }
      } else {
        insufficient = false;
      }
      number = static_cast<std::int64_t>(evaluated.size());
      now = evaluate(function, sum(x, t, d));
      ++evals;
      gtd_new = dot(now.gradient, d);
      ++ls_iter;
      const auto put = [&](std::size_t where) {
        bracket[where] = t;
        bracket_f[where] = now.loss;
        bracket_g[where] = now.gradient;
        bracket_gtd[where] = gtd_new;
        numbers[where] = number;
      };
      if (now.loss > f + c1 * t * gtd || now.loss >= bracket_f[low]) {
        put(high);
        low = bracket_f[0] <= bracket_f[1] ? 0 : 1;
        high = 1 - low;
      } else {
        if (std::abs(gtd_new) <= -c2 * gtd) {
          done = true;
        } else if (gtd_new * (bracket[high] - bracket[low]) >= 0) {
          bracket[high] = bracket[low];
          bracket_f[high] = bracket_f[low];
          bracket_g[high] = bracket_g[low];
          bracket_gtd[high] = bracket_gtd[low];
          numbers[high] = numbers[low];
        }
        put(low);
      }
    }
    t = bracket[low];
    f = bracket_f[low];
    g = bracket_g[low];
    accepted = numbers[low];
    return evals;
  }

  void step(const Function& f) {
    evaluated.clear();
    accepted = 0;
    const std::int64_t max_eval = options.max_eval.value_or(options.max_iter * 5 / 4);
    Value now = evaluate(f, x);
    std::int64_t current_evals = 1;
    ++func_evals;
    if (largest(now.gradient) <= options.tolerance_grad) return;
    for (std::int64_t iteration = 1;; ++iteration) {
      ++n_iter;
      if (n_iter == 1) {
        d = product(-1.0, now.gradient);
        h_diag = 1.0;
      } else {
        const Vector y = sum(now.gradient, -1.0, prev_flat_grad), s = product(t, d);
        const double ys = dot(y, s);
        if (ys > 1e-10) {
          if (static_cast<std::int64_t>(old_dirs.size()) == options.history_size) {
            old_dirs.erase(old_dirs.begin());
            old_stps.erase(old_stps.begin());
            ro.erase(ro.begin());
          }
          old_dirs.push_back(y);
          old_stps.push_back(s);
          ro.push_back(1.0 / ys);
          h_diag = ys / dot(y, y);
        }
        Vector al(old_dirs.size()), q = product(-1.0, now.gradient);
        for (std::size_t i = al.size(); i-- > 0;) {
          al[i] = dot(old_stps[i], q) * ro[i];
          q = sum(q, -al[i], old_dirs[i]);
        }
        d = product(h_diag, q);
        for (std::size_t i = 0; i < al.size(); ++i) d = sum(d, al[i] - dot(old_dirs[i], d) * ro[i], old_stps[i]);
      }
      prev_flat_grad = now.gradient;
      prev_loss = now.loss;
      double absolute = 0.0;
      for (const double value : now.gradient) absolute += std::abs(value);
      t = n_iter == 1 ? python_min(1.0, 1.0 / absolute) * options.lr : options.lr;
      const double gtd = dot(now.gradient, d);
      if (gtd > -options.tolerance_change) break;
      std::int64_t ls_evals = 0;
      if (options.line_search_fn == fg::LineSearch::strong_wolfe) {
        ls_evals = strong_wolfe(f, now.loss, now.gradient, gtd, max_eval - current_evals);
        x = sum(x, t, d);
      } else {
        x = sum(x, t, d);
        if (iteration != options.max_iter) {
          accepted = static_cast<std::int64_t>(evaluated.size());
          now = evaluate(f, x);
          ls_evals = 1;
        }
      }
      current_evals += ls_evals;
      func_evals += ls_evals;
      if (iteration == options.max_iter || current_evals >= max_eval) break;
      if (largest(now.gradient) <= options.tolerance_grad) break;
      if (largest(product(t, d)) <= options.tolerance_change) break;
      if (std::abs(now.loss - prev_loss) < options.tolerance_change) break;
    }
  }
};

// --- comparison ----------------------------------------------------------------------------------------------------

/// Within `tolerance` of each other, relative to the larger; two NaN or equal infinities too.
bool near(const Vector& a, const Vector& b, double tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i]) || std::isinf(a[i]) || std::isinf(b[i])) {
      if (a[i] != b[i] && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
    } else if (std::abs(a[i] - b[i]) > tolerance * (1e-3 + std::max(largest(a), largest(b)))) {
      return false;
    }
  }
  return true;
}

Vector vector_of(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kDouble).reshape(-1).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}
torch::Tensor tensor_of(const Vector& values) {
  return torch::tensor(values, torch::kDouble);
}

double number_of(const c10::IValue& value) {
  return value.isTensor() ? value.toTensor().item<double>() : value.toDouble();
}

/// The entries of the state dict's only parameter.
c10::impl::GenericDict entries(const c10::IValue& state_dict) {
  return state_dict.toGenericDict().at("state").toGenericDict().at(std::int64_t{0}).toGenericDict();
}

/// The name of the first entry of the state that differs; empty if none does.
std::string difference(const fg::LBFGS& optimizer, const Plain& plain, double tolerance) {
  const auto state = entries(optimizer.state_dict());
  if (state.at("func_evals").toInt() != plain.func_evals) return "func_evals";
  if (state.at("n_iter").toInt() != plain.n_iter) return "n_iter";
  if (plain.d.empty()) return state.contains("d") ? "d" : "";
  const auto is = [&](const char* key, const Vector& values) {
    return near(vector_of(state.at(key).toTensor()), values, tolerance);
  };
  const auto are = [&](const char* key, const std::vector<Vector>& lists) {
    const auto list = state.at(key).toList();
    if (list.size() != lists.size()) return false;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      if (!near(vector_of(list.get(i).toTensor()), lists[i], tolerance)) return false;
    }
    return true;
  };
  if (!is("d", plain.d)) return "d";
  if (!near({number_of(state.at("t"))}, {plain.t}, tolerance)) return "t";
  if (!are("old_dirs", plain.old_dirs)) return "old_dirs";
  if (!are("old_stps", plain.old_stps)) return "old_stps";
  Vector ro{};
  for (const c10::IValue& value : state.at("ro").toListRef()) ro.push_back(number_of(value));
  if (!near(ro, plain.ro, tolerance)) return "ro";
  if (!near({number_of(state.at("H_diag"))}, {plain.h_diag}, tolerance)) return "H_diag";
  if (!is("prev_flat_grad", plain.prev_flat_grad)) return "prev_flat_grad";
  if (!near({state.at("prev_loss").toDouble()}, {plain.prev_loss}, tolerance)) return "prev_loss";
  return "";
}

/// What differs in the first step that differs, of `steps`; empty if none does. The parameters are tensors of `shapes`.
/// `make()` is a function that may depend on how often it was called.
std::string difference(const fg::LBFGSOptions& options, const Vector& start, const std::function<Function()>& make, int steps,
                       double tolerance, std::vector<std::vector<std::int64_t>> shapes = {}) {
  if (shapes.empty()) shapes = {{static_cast<std::int64_t>(start.size())}};
  std::vector<torch::Tensor> parameters;
  std::int64_t offset = 0;
  for (const auto& shape : shapes) {
    const auto zeros = torch::zeros(shape, torch::kDouble);
    parameters.push_back(tensor_of(start).narrow(0, offset, zeros.numel()).reshape(shape).clone().requires_grad_());
    offset += zeros.numel();
  }
  const auto place = [&] {
    Vector all;
    for (const auto& parameter : parameters) {
      const Vector values = vector_of(parameter);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  fg::LBFGS optimizer(parameters, options);
  Plain plain{options, start};
  const Function ours = make(), plains = make();
  for (int step = 0; step < steps; ++step) {
    std::vector<Vector> places;
    optimizer.step([&] {
      places.push_back(place());
      const Value value = ours(places.back());
      std::size_t at = 0;
      for (auto& parameter : parameters) {
        const auto size = static_cast<std::size_t>(parameter.numel());
        const auto from = value.gradient.begin() + static_cast<std::ptrdiff_t>(at);
        parameter.mutable_grad() = tensor_of(Vector(from, from + parameter.numel())).reshape(parameter.sizes());
        at += size;
      }
      return value.loss;
    });
    plain.step(plains);
    const auto in = [&](const std::string& what) { return what + " in step " + std::to_string(step); };
    for (std::size_t i = 0; i < std::min(places.size(), plain.evaluated.size()); ++i) {
      if (!near(places[i], plain.evaluated[i].first, tolerance)) return in("place of evaluation " + std::to_string(i));
      if (std::isnan(largest(places[i]))) return "";  // lost: what is done at NaN is not PyTorch's to the letter
    }
    if (places.size() != plain.evaluated.size()) return in("number of evaluations");
    if (optimizer.accepted_evaluation() != plain.accepted) return in("accepted evaluation");
    if (!near(place(), plain.x, tolerance)) return in("place");
    if (const auto what = difference(optimizer, plain, tolerance); !what.empty()) return in(what);
  }
  return "";
}

/// Gives these values one after another, wherever it is asked.
Function script(std::vector<Value> values) {
  return [values = std::move(values), next = std::size_t{0}](const Vector&) mutable { return values[next++ % values.size()]; };
}

template <class T>
T one_of(std::mt19937& random, const std::vector<T>& values) {
  return values[random() % values.size()];
}
double between(std::mt19937& random, double low, double high) {
  return low + (high - low) * static_cast<double>(random()) / 4294967296.0;
}

}  // namespace

TEST_CASE("a line search evaluates the loss where PyTorch's does, whatever it finds there, ties included") {
  // Losses and slopes from a coarse grid: ties are frequent, and in a first iteration nothing is rounded differently.
  std::mt19937 random(1);
  for (int round = 0; round < 6000; ++round) {
    const fg::LBFGSOptions options{.lr = one_of<double>(random, {0.5, 1, 1, 2, 8}),
                                   .max_iter = 1,
                                   .max_eval = one_of<std::int64_t>(random, {1, 2, 3, 4, 5, 7, 10}),
                                   .tolerance_grad = one_of<double>(random, {0, 1e-7}),
                                   .tolerance_change = one_of<double>(random, {1e-9, 0.25, 1, 2}),
                                   .line_search_fn = fg::LineSearch::strong_wolfe};
    std::vector<Value> values;
    const double steep = one_of<double>(random, {1, 2, 10, 64});
    for (int i = 0; i < 10; ++i) {
      const double loss =
          round % 3 == 0 ? one_of<double>(random, {-1, 0, 1, 2}) - i : one_of<double>(random, {-4, -3, -2, -1, 0, 1, 2, 4});
      double gradient = steep * one_of<double>(random, {-2, -1, -0.9, -0.5, 0, 0.5, 0.9, 1, 2, 4, 4, 8});
      if (i == 0) gradient = one_of<double>(random, {-1, 1}) * steep;
      values.push_back({loss, {gradient}});
    }
    if (round % 5 == 0) {  // the least descent that is enough, exactly
      values[0].loss = 0.0;
      values[1].loss = 1e-4 * (std::min(1.0, 1.0 / steep) * options.lr) * (-steep * steep);
    }
    if (round % 7 == 0) values[1 + random() % 4].loss = one_of<double>(random, {inf, -inf, not_a_number});
    if (round % 11 == 0) values[1 + random() % 4].gradient = {one_of<double>(random, {inf, -inf, not_a_number})};
    CAPTURE(round);
    REQUIRE(difference(
                options, {0.0}, [&] { return script(values); }, 1, 1e-13) == "");
  }
}

TEST_CASE("a step ends at its tolerances and limits, to the last bit") {
  struct Case {
    const char* what;
    fg::LBFGSOptions options;
    std::vector<double> losses, gradients;
    std::int64_t n_iter;
  };
  const std::vector<Case> cases{
      {"a first gradient of the tolerance ends it", {.max_iter = 3, .max_eval = 10, .tolerance_grad = 1.0}, {0}, {1}, 0},
      {"one above does not", {.max_iter = 3, .max_eval = 10, .tolerance_grad = 0.5}, {0, -1, -2}, {1}, 3},
      {"a later gradient of the tolerance ends it",
       {.max_iter = 3, .max_eval = 10, .tolerance_grad = 1.0},
       {0, -1, -2},
       {2, 1, 4},
       1},
      {"a later one above does not", {.max_iter = 3, .max_eval = 10, .tolerance_grad = 0.5}, {0, -1, -2}, {2, 1, 4}, 3},
      {"a slope of the tolerance is steep enough", {.max_iter = 1, .tolerance_change = 1.0}, {0, -4}, {1, 1}, 1},
      {"one below is not", {.max_iter = 1, .tolerance_change = 1.0}, {0, -4}, {0.5, 1}, 1},
      {"a move of the tolerance ends it",
       {.lr = 0.5, .max_iter = 3, .max_eval = 10, .tolerance_change = 0.5},
       {0, -4, -8},
       {2, 2, 4},
       1},
      {"a move above does not",
       {.lr = 0.5, .max_iter = 2, .max_eval = 10, .tolerance_change = 0.25},
       {0, -4, -8},
       {2, 2, 4},
       2},
      {"a change of the loss of the tolerance is enough",
       {.max_iter = 2, .max_eval = 10, .tolerance_change = 0.25},
       {1, 0.75},
       {4, 8},
       2},
      {"one below ends it", {.max_iter = 2, .max_eval = 10, .tolerance_change = 0.25}, {1, 0.875}, {4, 8}, 1},
      {"none at all ends it", {.max_iter = 2, .max_eval = 10}, {1, 1}, {4, 8}, 1},
      {"the limit of evaluations ends it", {.max_iter = 4, .max_eval = 2}, {0, -1, -2}, {2, 4, 8}, 1},
      {"an evaluation more is made below it", {.max_iter = 4, .max_eval = 3}, {0, -1, -2}, {2, 4, 8}, 2},
      {"a searched point whose gradient is of the tolerance ends it",
       {.max_iter = 3, .max_eval = 10, .tolerance_grad = 1.0, .line_search_fn = fg::LineSearch::strong_wolfe},
       {0, -4, -8},
       {4, 1, 2},
       1},
      {"a search that has found its point ends, without a tolerance too",
       {.max_iter = 1,
        .max_eval = 10,
        .tolerance_grad = 0.0,
        .tolerance_change = 0.0,
        .line_search_fn = fg::LineSearch::strong_wolfe},
       {0, -4, -8},
       {4, 1, 2},
       1},
      {"a curvature of 1e-10 is not remembered",
       {.lr = 1e-10, .max_iter = 2, .max_eval = 10, .tolerance_grad = 0.0, .tolerance_change = 0.0},
       {0, -1},
       {-2, -1},
       2},
      {"a larger one is",
       {.lr = 2e-10, .max_iter = 2, .max_eval = 10, .tolerance_grad = 0.0, .tolerance_change = 0.0},
       {0, -1},
       {-2, -1},
       2},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    std::vector<Value> values;
    for (std::size_t i = 0; i < 3; ++i) {
      values.push_back({one.losses[i % one.losses.size()], {one.gradients[i % one.gradients.size()]}});
    }
    const auto make = [&] { return script(values); };
    CHECK(difference(one.options, {0.0}, make, 1, 1e-13) == "");
    Plain plain{one.options, {0.0}};
    plain.step(make());
    CHECK(plain.n_iter == one.n_iter);
  }
}

TEST_CASE("several steps remember and go where PyTorch's do") {
  std::mt19937 random(2);
  for (int round = 0; round < 600; ++round) {
    const bool wolfe = round % 2 == 0;
    const fg::LBFGSOptions options{.lr = between(random, 0.01, 1.5),
                                   .max_iter = one_of<std::int64_t>(random, {1, 2, 3, 6}),
                                   .max_eval = one_of<std::optional<std::int64_t>>(random, {{}, {4}, {9}}),
                                   .tolerance_grad = one_of<double>(random, {1e-7, 0.3}),
                                   .tolerance_change = one_of<double>(random, {1e-9, 0.02}),
                                   .history_size = one_of<std::int64_t>(random, {1, 2, 100}),
                                   .line_search_fn = wolfe ? fg::LineSearch::strong_wolfe : fg::LineSearch::none};
    CAPTURE(round);
    std::vector<Value> values;
    for (int i = 0; i < 200; ++i) {
      Value value{between(random, -1, 1) - (round % 3 == 0 ? 0.1 * i : 0.0), {}};
      for (int k = 0; k < 5; ++k) value.gradient.push_back(between(random, -1, 1));
      if (round % 5 == 0 && i % 4 == 3) value.gradient = product(0.01, value.gradient);
      values.push_back(std::move(value));
    }
    REQUIRE(difference(options, {1.0, -1.0, 0.5, 2.0, -3.0}, [&] { return script(values); }, 3, 1e-8, {{2}, {1, 3}}) == "");
  }
}

TEST_CASE("several steps on smooth functions go where PyTorch's do") {
  const bool wolfe = GENERATE(true, false);
  const std::vector<Function> functions{
      // steep, then flat; a valley; many minima; falls for ever; a quadratic of unequal slopes
      [](const Vector& x) -> Value {
        return {std::pow(x[0], 4) + x[1] * x[1], {4 * std::pow(x[0], 3), 2 * x[1]}};
      },
      [](const Vector& x) -> Value {
        const double a = x[1] - x[0] * x[0], b = 1 - x[0];
        return {100 * a * a + b * b, {-400 * a * x[0] - 2 * b, 200 * a}};
      },
      [](const Vector& x) -> Value {
        return {std::sin(3 * x[0]) + 0.1 * x[0] * x[0] + std::cos(x[1]),
                {3 * std::cos(3 * x[0]) + 0.2 * x[0], -std::sin(x[1])}};
      },
      [](const Vector& x) -> Value {
        return {std::exp(-x[0] - 0.5 * x[1]), product(std::exp(-x[0] - 0.5 * x[1]), {-1.0, -0.5})};
      },
      [](const Vector& x) -> Value {
        return {50 * x[0] * x[0] + 0.01 * x[1] * x[1], {100 * x[0], 0.02 * x[1]}};
      },
  };
  for (std::size_t i = 0; i < functions.size(); ++i) {
    for (const double lr : {0.01, 1.0, 20.0}) {
      for (const std::int64_t history : {1, 3}) {
        if (!wolfe && lr > 0.1) continue;
        const fg::LBFGSOptions options{.lr = lr,
                                       .max_iter = 4,
                                       .history_size = history,
                                       .line_search_fn = wolfe ? fg::LineSearch::strong_wolfe : fg::LineSearch::none};
        CAPTURE(i, lr, history);
        CHECK(difference(
                  options, {-1.2, 1.0}, [&] { return functions[i]; }, 3, 1e-7) == "");
      }
    }
  }
}
