// SPDX-License-Identifier: MIT
// Laws of all clippers, of any gradients.
#include <fulgurite/optim/clipping.hpp>
#include <fulgurite/tensors/loss_scale.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/files.hpp"

namespace fg = fulgurite;
using Tensors = std::vector<torch::Tensor>;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A policy, and the bound that it promises.
struct Member {
  std::string name;
  std::function<void(fg::Gradients& gradients)> clip;
  std::function<double(const Tensors&)> measure;  // of what is bounded
  double max;
  bool keeps_direction;
};

double norm_of(const Tensors& tensors, double p) {
  double sum = 0.0;
  for (const auto& tensor : tensors) {
    const auto values = tensor.to(torch::kDouble).abs();
    if (values.numel() == 0) continue;
    sum = std::isinf(p) ? std::max(sum, values.max().item<double>()) : sum + values.pow(p).sum().item<double>();
  }
  return std::isinf(p) ? sum : std::pow(sum, 1.0 / p);
}

template <class Policy>
Member member(const Policy& policy, double p, double max, bool keeps_direction = true) {
  std::ostringstream name;
  name << policy;
  return {name.str(), [policy](fg::Gradients& gradients) { policy.clip(gradients); },
          [p](const Tensors& tensors) { return norm_of(tensors, p); }, max, keeps_direction};
}

std::vector<Member> members(double max) {
  std::vector<Member> all;
  for (const double p : {1.0, 2.0, 3.5, infinity}) {
    all.push_back(member(fg::ClipNorm{.max = max, .norm_type = p}, p, max));
    all.push_back(member(fg::ClipNorm{.max = max, .norm_type = p, .error_if_nonfinite = true}, p, max));
  }
  all.push_back(member(fg::ClipValue{.max = max}, infinity, max, false));
  all.push_back(member(fg::NoClipping{}, infinity, infinity));
  return all;
}

/// Of all shapes and places in memory: no dimension, no elements, columns first, a part of another one.
Tensors gradients(torch::ScalarType type, double size) {
  torch::manual_seed(4);
  Tensors all;
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{}, {1}, {3, 4}, {0, 3}, {33}}) {
    all.push_back(torch::randn(shape, torch::kDouble));
  }
  all.push_back(torch::randn({4, 2}, torch::kDouble).t());
  all.push_back(torch::randn({4, 6}, torch::kDouble).slice(1, 1, 5, 2));
  for (auto& one : all) one = (one * size).to(type);
  all[2].view(-1)[5] = 0.0;
  all[2].view(-1)[6] = -0.0;
  return all;
}

Tensors copied(const Tensors& tensors) {
  Tensors all;
  for (const auto& tensor : tensors) all.push_back(tensor.clone());
  return all;
}

bool same_bits(const Tensors& a, const Tensors& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto bytes = [](const torch::Tensor& tensor) { return tensor.contiguous().view(-1).view(torch::kByte); };
    if (a[i].sizes() != b[i].sizes() || (a[i].numel() > 0 && !bytes(a[i]).equal(bytes(b[i])))) return false;
  }
  return a.size() == b.size();
}

bool all_of(const Tensors& tensors, const std::function<bool(double)>& holds) {
  for (const auto& tensor : tensors) {
    const auto values = tensor.to(torch::kDouble).contiguous().view(-1);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      if (!holds(values[i].item<double>())) return false;
    }
  }
  return true;
}

/// All numbers in one row.
torch::Tensor row(const Tensors& tensors) {
  Tensors rows;
  for (const auto& tensor : tensors) rows.push_back(tensor.to(torch::kDouble).reshape(-1));
  return torch::cat(rows);
}

Tensors clipped(const Member& clipper, const Tensors& given, fg::detail::GradientScale* scale = nullptr) {
  Tensors all = copied(given);
  fg::Gradients gradients(all, scale);
  clipper.clip(gradients);
  return all;
}

template <class F>
void for_each_clipper(const F& f) {
  for (const double max : {1e-3, 0.7, 25.0}) {
    for (const auto type : {torch::kDouble, torch::kFloat}) {
      for (const auto& clipper : members(max)) {
        INFO(clipper.name << " of " << torch::toString(type));
        f(clipper, type, type == torch::kDouble ? 1e-12 : 1e-5);
      }
    }
  }
}

}  // namespace

TEST_CASE("the laws are about all clippers") {
  const std::string text =
      support::text_of(std::filesystem::path(FULGURITE_SOURCE_DIR) / "include/fulgurite/policies/clipping.hpp");
  const std::regex policy("struct (\\w+) \\{\\n  using slot = slots::Clipping;");
  std::set<std::string> found, known;
  for (std::sregex_iterator it(text.begin(), text.end(), policy), end; it != end; ++it) found.insert((*it)[1]);
  for (const auto& clipper : members(1.0)) known.insert(clipper.name.substr(0, clipper.name.find('{')));
  CHECK(found == known);
}

TEST_CASE("what a clipper leaves is within its bound, and a second time changes next to nothing") {
  for_each_clipper([](const Member& clipper, torch::ScalarType type, double tolerance) {
    for (const double size : {1e-4, 1.0, 1e4}) {
      const Tensors given = gradients(type, size);
      const Tensors once = clipped(clipper, given);
      CHECK(clipper.measure(once) <= clipper.max * (1.0 + tolerance));
      if (clipper.measure(given) > clipper.max) CHECK(clipper.measure(once) > clipper.max * (1.0 - 0.01));
      const Tensors twice = clipped(clipper, once);
      CHECK(torch::allclose(row(twice), row(once), 1e-6 / std::min(clipper.max, 1.0) + tolerance, 0.0));
    }
  });
}

TEST_CASE("gradients within the bound keep every bit, and so do zeros") {
  for_each_clipper([](const Member& clipper, torch::ScalarType type, double) {
    const double bound = std::min(clipper.max, 1e6);
    for (const double part : {0.0, 1e-30, 0.5, 0.99}) {
      const Tensors unit = gradients(type, 1.0);
      const double size = part * (bound - 2e-6) / clipper.measure(unit);
      const Tensors given = gradients(type, size);
      CHECK(same_bits(clipped(clipper, given), given));
    }
  });
}

TEST_CASE("a norm keeps the direction, and what is clipped does not depend on the length") {
  for_each_clipper([](const Member& clipper, torch::ScalarType type, double tolerance) {
    if (clipper.max == infinity) return;
    const Tensors given = gradients(type, 1e4), longer = gradients(type, 1e4 * 64.0);
    const auto before = row(given), after = row(clipped(clipper, given));
    if (clipper.keeps_direction) {
      const double ratio = after.norm().item<double>() / before.norm().item<double>();
      CHECK(torch::allclose(after, before * ratio, 10.0 * tolerance, 0.0));
      CHECK(torch::allclose(row(clipped(clipper, longer)), after, 1e-5, 0.0));
    } else {
      CHECK(torch::where(before.abs() <= clipper.max, before, before.sign() * clipper.max).to(type).equal(after.to(type)));
    }
  });
}

TEST_CASE("clipping depends neither on the order of the gradients nor on how they are cut into tensors") {
  for_each_clipper([](const Member& clipper, torch::ScalarType type, double tolerance) {
    const Tensors given = gradients(type, 10.0);
    const auto expected = row(clipped(clipper, given));
    const Tensors in_one = clipped(clipper, {row(given).to(type)});
    CHECK(torch::allclose(row(in_one), expected, 10.0 * tolerance, 0.0));
    const Tensors backwards(given.rbegin(), given.rend());
    Tensors result = clipped(clipper, backwards);
    std::reverse(result.begin(), result.end());
    CHECK(torch::allclose(row(result), expected, 10.0 * tolerance, 0.0));
  });
}

TEST_CASE("gradients that are not finite are clamped, spread as NaN or refused, as documented") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for_each_clipper([&](const Member& clipper, torch::ScalarType type, double) {
    for (const double wrong : {infinity, -infinity, nan}) {
      INFO(wrong);
      Tensors given = gradients(type, 1.0);
      given[4][7] = wrong;
      const bool refuses = clipper.name.find("error_if_nonfinite") != std::string::npos;
      if (refuses) {
        fg::Gradients all(given);
        const Tensors before = copied(given);
        CHECK_THROWS_AS(clipper.clip(all), fg::NonFiniteGradient);
        CHECK(same_bits(given, before));
        continue;
      }
      Tensors result = clipped(clipper, given);
      const double there = result[4][7].item<double>();
      result[4] = torch::cat({result[4].slice(0, 0, 7), result[4].slice(0, 8)});
      if (clipper.name.starts_with("ClipNorm")) {
        // All are divided by the norm: by infinity, or by NaN.
        CHECK(std::isnan(there));
        CHECK(all_of(result, [&](double value) { return std::isnan(wrong) ? std::isnan(value) : value == 0.0; }));
      } else if (clipper.name.starts_with("ClipValue")) {
        CHECK((std::isnan(wrong) ? std::isnan(there)
                                 : there == std::copysign(given[4].new_full({}, clipper.max).item<double>(), wrong)));
        CHECK(all_of(result, [&](double value) { return std::abs(value) <= clipper.max * (1.0 + 1e-6); }));
      } else {
        CHECK(same_bits(clipped(clipper, given), given));
      }
    }
  });
}

TEST_CASE("under a loss scale, what is clipped are the gradients without it") {
  for_each_clipper([](const Member& clipper, torch::ScalarType type, double) {
    if (clipper.max == infinity) return;  // they are divided in the update
    for (const double factor : {0.25, 1.0, 1024.0}) {
      const Tensors given = gradients(type, 10.0);
      Tensors scaled;
      for (const auto& one : given) scaled.push_back(one * factor);
      fg::detail::GradientScale scale;
      scale.set(torch::full({}, factor, torch::kFloat), torch::zeros({}, torch::kFloat), nullptr);
      CHECK(same_bits(clipped(clipper, scaled, &scale), clipped(clipper, given)));
      CHECK_FALSE(scale.skips());
      CHECK(scale.divisor().defined() == false);  // not a second time in the update
    }
  });
}

TEST_CASE("parameters without gradients stay without, and no gradients have a norm of 0") {
  Tensors parameters;
  for (const auto& gradient : gradients(torch::kFloat, 10.0)) {
    parameters.push_back(torch::zeros_like(gradient).requires_grad_());
    parameters.push_back(torch::zeros_like(gradient).requires_grad_());
    parameters.back().mutable_grad() = gradient;
  }
  for (const auto& clipper : members(0.5)) {
    fg::Gradients none{Tensors{}};
    clipper.clip(none);
  }
  for (const double p : {1.0, 2.0, infinity}) {
    CHECK(fg::clip_grad_norm_({}, 0.5, p).item<double>() == 0.0);
    CHECK(fg::clip_grad_norm_({parameters[0]}, 0.5, p).item<double>() == 0.0);
    CHECK(fg::Gradients(Tensors{}).norm(p).item<double>() == 0.0);
  }
  fg::clip_grad_norm_(parameters, 0.5);
  fg::clip_grad_value_(parameters, 0.25);
  for (std::size_t i = 0; i < parameters.size(); ++i) CHECK(parameters[i].grad().defined() == (i % 2 == 1));
}
