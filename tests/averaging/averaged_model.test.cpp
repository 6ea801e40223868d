// SPDX-License-Identifier: MIT
#include <fulgurite/averaging/averaged_model.hpp>
#include <fulgurite/averaging/update_bn.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <complex>
#include <cstdint>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Message;
using Catch::Matchers::MessageMatches;

namespace {

// A weight, a frozen one, one under two names, and buffers of both kinds.
struct Net : torch::nn::Module {
  torch::Tensor weight, frozen, shared, mean, seen;

  explicit Net(torch::Dtype dtype = torch::kDouble) {
    weight = register_parameter("weight", torch::zeros({3}, dtype));
    frozen = register_parameter("frozen", torch::full({2}, 4.0, dtype), /*requires_grad=*/false);
    shared = register_parameter("shared", torch::zeros({1}, dtype));
    register_parameter("shared_again", shared);
    register_parameter("none", {}, /*requires_grad=*/false);
    mean = register_buffer("mean", torch::zeros({1}, dtype));
    seen = register_buffer("seen", torch::zeros({1}, torch::kLong));
  }

  void set(double value) {
    const torch::NoGradGuard no_grad;
    weight.fill_(value);
    shared.fill_(-value);
    mean.fill_(10 * value);
    seen.add_(1);
  }
};

const std::vector<double> values{1.0, -2.0, 0.5, 3.0};

template <class Average>
std::vector<double> averages(Net& net, Average& average) {
  std::vector<double> found;
  for (const double value : values) {
    net.set(value);
    average.update();
    found.push_back(average.at("weight")[2].template item<double>());
    CHECK(average.at("shared").template item<double>() == -found.back());
  }
  return found;
}

void check_close(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(actual[i] - expected[i]) <= 1e-15);
}

}  // namespace

TEST_CASE("an equal mean is the arithmetic mean of all updates") {
  Net net;
  fg::AveragedModel average(net);
  check_close(averages(net, average), {1.0, -0.5, -0.5 / 3.0, 2.5 / 4.0});
  CHECK(average.count() == 4);
  CHECK(torch::equal(average.at("frozen"), net.frozen));
}

TEST_CASE("an exponential mean fades older updates, its first one copies") {
  Net net;
  fg::AveragedModel average(net, fg::ExponentialMean{.decay = 0.9});
  // AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
  check_close(averages(net, average), {1.0, 0.7, 0.68, 0.9119999999999999});
}

TEST_CASE("a warm-up lets early updates fade sooner") {
  Net net;
  fg::AveragedModel average(net, fg::ExponentialMean{.decay = 0.25, .warm_up = 10.0});
  const double second = 2.0 / 11.0 * 1.0 + 9.0 / 11.0 * -2.0;
  const double third = 0.25 * second + 0.75 * 0.5;
  check_close(averages(net, average), {1.0, second, third, 0.25 * third + 0.75 * 3.0});
}

TEST_CASE("an exponential mean without decay is the model, with decay 1 its first weights") {
  Net net;
  fg::AveragedModel none(net, fg::ExponentialMean{.decay = 0.0});
  CHECK(averages(net, none) == values);
  fg::AveragedModel all(net, fg::ExponentialMean{.decay = 1.0});
  CHECK(averages(net, all) == std::vector<double>(4, 1.0));
}

TEST_CASE("the mean of constant weights is those weights, bit for bit") {
  Net net(torch::kFloat);
  net.set(0.1);
  fg::AveragedModel equal(net);
  fg::AveragedModel exponential(net, fg::ExponentialMean{.decay = 0.999});
  for (int i = 0; i < 50; ++i) {
    equal.update();
    exponential.update();
  }
  CHECK(torch::equal(equal.at("weight"), net.weight));
  CHECK(torch::equal(exponential.at("weight"), net.weight));
}

TEST_CASE("floating-point buffers are copied or averaged, integers always copied") {
  Net net;
  fg::AveragedModel copied(net);
  fg::AveragedModel averaged(net, fg::EqualMean{}, {.buffers = fg::BufferAveraging::average});
  for (const double value : {1.0, 3.0}) {
    net.set(value);
    copied.update();
    averaged.update();
  }
  CHECK(copied.at("mean").item<double>() == 30.0);
  CHECK(averaged.at("mean").item<double>() == 20.0);
  CHECK(copied.at("seen").item<int>() == 2);
  CHECK(averaged.at("seen").item<int>() == 2);
}

TEST_CASE("the average is in the model for a scope, then the model has its own weights back") {
  Net net;
  net.set(1.0);
  fg::AveragedModel average(net);
  const auto needs_update = Message("fulgurite: nothing has been averaged yet: call update() first");
  CHECK_THROWS_MATCHES(average.at("weight"), std::logic_error, needs_update);
  CHECK_THROWS_MATCHES(average.swap_in(), std::logic_error, needs_update);
  CHECK_THROWS_MATCHES(average.copy_to_model(), std::logic_error, needs_update);
  average.update();
  average.copy_to_model();
  net.set(4.0);
  average.update();
  const auto check_own = [&] {
    CHECK(net.weight[0].item<double>() == 4.0);
    CHECK(net.mean.item<double>() == 40.0);
    CHECK(average.at("weight")[0].item<double>() == 2.5);
  };
  for (int i = 0; i < 2; ++i) {
    {
      const auto scope = average.swap_in();
      CHECK(net.weight[0].item<double>() == 2.5);
      CHECK(net.shared.item<double>() == -2.5);
    }
    check_own();
  }
  CHECK_THROWS_AS(([&] {
                    const auto scope = average.swap_in();
                    throw std::runtime_error("stop");
                  }()),
                  std::runtime_error);
  check_own();
  average.copy_to_model();
  CHECK(net.weight[0].item<double>() == 2.5);
  CHECK(net.weight.requires_grad());
}

TEST_CASE("any module will do, however it is held, and any floating-point type") {
  torch::nn::Linear linear(torch::nn::LinearOptions(2, 1));
  auto sequential = std::make_shared<torch::nn::SequentialImpl>(linear);
  linear->to(torch::kBFloat16);
  fg::AveragedModel held(linear);
  fg::AveragedModel shared(sequential);
  held.update();
  shared.update();
  CHECK(torch::equal(held.at("weight"), linear->weight));
  CHECK(torch::equal(shared.at("0.weight"), linear->weight));
  CHECK_THROWS_MATCHES(shared.at("weight"), std::invalid_argument,
                       Message("fulgurite: the averaged model has no weight called weight"));

  Net complex(torch::kComplexDouble);
  fg::AveragedModel average(complex);
  complex.set(1.0);
  average.update();
  complex.set(2.0);
  average.update();
  CHECK(average.at("weight")[0].item<c10::complex<double>>() == c10::complex<double>(1.5, 0.0));
}

TEST_CASE("averages may be finer than the weights: bfloat16 alone would never move") {
  Net net(torch::kBFloat16);
  net.set(1.0);
  fg::AveragedModel coarse(net, fg::ExponentialMean{.decay = 0.999});
  fg::AveragedModel fine(net, fg::ExponentialMean{.decay = 0.999}, {.format = torch::kFloat});
  coarse.update();
  fine.update();
  net.set(2.0);
  for (int i = 0; i < 100; ++i) {
    coarse.update();
    fine.update();
  }
  CHECK(coarse.at("weight")[0].item<double>() == 1.0);
  CHECK(std::abs(fine.at("weight")[0].item<double>() - (2.0 - std::pow(0.999, 100))) < 1e-4);
  {
    const auto scope = fine.swap_in();
    CHECK(net.weight[0].item<double>() > 1.09);
  }
  CHECK(net.weight[0].item<double>() == 2.0);
  CHECK(fine.at("weight").scalar_type() == torch::kFloat);
  CHECK(fine.at("seen").scalar_type() == torch::kLong);
}

TEST_CASE("a model that changes its number format is followed") {
  Net net(torch::kFloat);
  net.set(1.0);
  fg::AveragedModel average(net);
  average.update();
  net.to(torch::kDouble);
  net.set(2.0);
  average.update();
  CHECK(average.at("weight")[0].item<double>() == 1.5);
  average.copy_to_model();
  CHECK(net.weight.scalar_type() == torch::kDouble);
  CHECK(net.weight[0].item<double>() == 1.5);
}

TEST_CASE("a copy has an average of its own") {
  Net net;
  net.set(1.0);
  fg::AveragedModel average(net);
  average.update();
  fg::AveragedModel copy = average;
  net.set(3.0);
  copy.update();
  CHECK(average.at("weight")[0].item<double>() == 1.0);
  CHECK(copy.at("weight")[0].item<double>() == 2.0);
  average = copy;
  copy.update();
  CHECK(average.count() == 2);
  CHECK(average.at("weight")[0].item<double>() == 2.0);
}

namespace {
// Numbers that validation keeps, beside weights and statistics that training moves.
struct Counting : torch::nn::Module {
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(1));
  torch::Tensor seen = register_buffer("seen", torch::zeros({}));
  torch::Tensor number = register_buffer("number", torch::zeros({}, torch::kLong));

  torch::Tensor forward(const torch::Tensor& x) { return norm->forward(x); }
  void train_once(double value) {
    norm->train();
    norm->forward(torch::full({2, 1}, value) + torch::tensor({{-1.0}, {1.0}}));
    number += 1;
  }
  void validate_once() {
    norm->eval();
    seen += 8;
    number += 1;
  }
};
}  // namespace

TEST_CASE("what is assigned or copied has the mean, the options and the state of the other, and shares nothing with it") {
  Counting net, other;
  using Average = fg::AveragedModel<fg::ExponentialMean>;
  const fg::AveragedModelOptions averaged{.buffers = fg::BufferAveraging::average, .format = torch::kDouble};
  const Average fresh(net, {.decay = 0.5}, averaged);
  Average copy = fresh;  // before its first update
  Average target(other, {.decay = 0.25});
  net.seen.fill_(1.0);
  other.seen.fill_(1.0);
  target.update();
  copy.update();
  target = copy;
  CHECK(target.mean().decay == 0.5);
  Average sibling = copy;
  {
    const auto scope = copy.swap_in();
    net.validate_once();  // `copy` alone takes note of it
  }
  net.seen.fill_(3.0);
  for (Average* average : {&copy, &target, &sibling}) average->update();
  CHECK(copy.at("seen").item<double>() == 3.0);
  CHECK(target.at("seen").item<double>() == 2.0);
  CHECK(sibling.at("seen").item<double>() == 2.0);
  target = fresh;
  target.update();
  CHECK(target.at("seen").scalar_type() == torch::kDouble);
  for (const auto& name : {"seen", "norm.weight"}) CHECK_FALSE(copy.at(name).requires_grad());

  std::stringstream file;
  torch::save(copy, file);
  Average loaded(other, {.decay = 0.5}, averaged), assigned = loaded;
  torch::load(loaded, file);
  assigned = loaded;
  net.number.fill_(5);
  other.number.fill_(6);
  const auto number_in_scope = [&](const Average& average) {
    const auto scope = average.swap_in();
    return other.number.item<int>();
  };
  CHECK(number_in_scope(assigned) == 1);  // of the file
  assigned.update();
  other.number.fill_(7);
  CHECK(number_in_scope(assigned) == 7);  // the model's own
}

TEST_CASE("statistics of batch norm go into the model with the average, whichever norm it is, other copies do not") {
  const auto check = [](auto norm, const std::vector<std::int64_t>& shape) {
    fg::AveragedModel average(norm);
    norm->forward(torch::ones(shape));
    average.update();
    norm->forward(torch::ones(shape));
    const auto newer = norm->running_mean.clone();
    {
      const auto scope = average.swap_in();
      CHECK(torch::equal(norm->running_mean, average.at("running_mean")));
      CHECK_FALSE(torch::equal(norm->running_mean, newer));
    }
    CHECK(torch::equal(norm->running_mean, newer));
  };
  check(torch::nn::BatchNorm1d(1), {2, 1});
  check(torch::nn::BatchNorm2d(1), {2, 1, 2, 2});
  check(torch::nn::BatchNorm3d(1), {2, 1, 2, 2, 2});
}

TEST_CASE("parameters of integers move with the average, which may be on a device of its own") {
  torch::nn::Module net;
  const auto number = net.register_parameter("number", torch::tensor(1), /*requires_grad=*/false);
  fg::AveragedModel average(net);
  average.update();
  number.fill_(2);
  average.copy_to_model();
  CHECK(number.item<int>() == 1);

  Net other;
  fg::AveragedModel elsewhere(other, fg::EqualMean{}, {.device = torch::kMeta});
  for (int i = 0; i < 2; ++i) elsewhere.update();
  CHECK(elsewhere.at("weight").is_meta());
  for (int i = 0; i < 2; ++i) {
    fg::AveragedModel here(other);
    here.update();
    here.update();
    CHECK_FALSE(here.at("weight").requires_grad());
  }
}

TEST_CASE("an archive that is not an average in every part is refused; one without a list of written buffers is read") {
  Net net;
  net.set(1.0);
  fg::AveragedModel average(net);
  const std::vector<std::string> all{"weight", "frozen", "shared", "mean", "seen"};
  struct Parts {
    c10::IValue count = 1, names, averages, written;
  };
  const auto complete = [&] {
    c10::List<std::string> names;
    c10::List<at::Tensor> averages;
    for (const auto& name : all) names.push_back(name);
    for (const auto& tensor : {net.weight, net.frozen, net.shared, net.mean, net.seen}) averages.push_back(tensor);
    return Parts{1, names, averages, {}};
  };
  const auto load = [&](const Parts& parts) {
    torch::serialize::OutputArchive out;
    if (!parts.count.isNone()) out.write("count", parts.count);
    if (!parts.names.isNone()) out.write("names", parts.names);
    if (!parts.averages.isNone()) out.write("averages", parts.averages);
    if (!parts.written.isNone()) out.write("written", parts.written);
    std::stringstream file;
    out.save_to(file);
    torch::serialize::InputArchive in;
    in.load_from(file);
    average.load(in);
  };
  const auto refused = [&](const Parts& parts, const std::string& why) {
    CHECK_THROWS_MATCHES(load(parts), std::runtime_error,
                         Message("fulgurite: the archive does not hold an average of this model's weights: " + why));
    CHECK(average.count() == 0);
  };
  for (const c10::IValue& wrong : {c10::IValue(), c10::IValue("text")}) {
    for (const auto part : {&Parts::count, &Parts::names, &Parts::averages}) {
      Parts parts = complete();
      parts.*part = wrong;
      refused(parts, "it is not a saved average");
    }
  }
  Parts fewer = complete();
  fewer.names = c10::List<std::string>({"weight"});
  refused(fewer, "it has 5 weights, the model has 5");
  fewer = complete();
  fewer.averages = c10::List<at::Tensor>({net.weight});
  refused(fewer, "it has 1 weights, the model has 5");
  Parts other = complete();
  other.names = c10::List<std::string>({"weights", "frozen", "shared", "mean", "seen"});
  other.averages = c10::List<at::Tensor>({net.mean, net.frozen, net.shared, net.mean, net.seen});
  refused(other, "it has weights where the model has weight");

  load(complete());
  CHECK(average.count() == 1);
  CHECK_FALSE(average.at("weight").requires_grad());
  Parts numbered = complete();
  numbered.written = c10::List<std::int64_t>({1, 2});
  load(numbered);
  net.mean.fill_(3.0);
  average.copy_to_model();
  CHECK(net.mean.item<double>() == 10.0);  // no buffer counts as written
}

TEST_CASE("an average of one weight is loaded") {
  torch::nn::Module net;
  const auto weight = net.register_parameter("weight", torch::ones({2}));
  fg::AveragedModel average(net), loaded(net);
  average.update();
  std::stringstream file;
  torch::save(average, file);
  torch::load(loaded, file);
  CHECK(torch::equal(loaded.at("weight"), weight));
}

TEST_CASE("an average is saved and goes on as if it had never stopped") {
  Net net;
  fg::AveragedModel average(net, fg::ExponentialMean{.decay = 0.75});
  fg::AveragedModel loaded(net, fg::ExponentialMean{.decay = 0.75});
  for (int stop = 0; stop < 3; ++stop) {
    std::stringstream file;
    torch::save(average, file);
    torch::load(loaded, file);
    CHECK(loaded.count() == stop);
    net.set(values[static_cast<std::size_t>(stop)]);
    average.update();
    loaded.update();
    CHECK(torch::equal(average.at("weight"), loaded.at("weight")));
    CHECK(torch::equal(average.at("seen"), loaded.at("seen")));
  }
}

TEST_CASE("an average of another model is refused, and nothing changes") {
  Net net;
  net.set(1.0);
  fg::AveragedModel average(net);
  average.update();
  const auto load = [&](auto& other) {
    std::stringstream file;
    fg::AveragedModel<> saved(other);
    saved.update();
    torch::save(saved, file);
    torch::load(average, file);
  };
  torch::nn::Linear small(1, 1);
  CHECK_THROWS_MATCHES(load(small), std::runtime_error, MessageMatches(ContainsSubstring("it has 2 weights, the model has 5")));
  Net larger;
  larger.weight.set_data(torch::zeros({4}, torch::kDouble));
  CHECK_THROWS_MATCHES(load(larger), std::runtime_error,
                       MessageMatches(ContainsSubstring("weight is [4] there and [3] in the model")));
  std::stringstream file;
  torch::save(torch::ones({1}), file);
  CHECK_THROWS_MATCHES(
      torch::load(average, file), std::runtime_error,
      Message("fulgurite: the archive does not hold an average of this model's weights: it is not a saved average"));
  torch::nn::Linear line(2, 1), other(2, 1);
  torch::nn::Module swapped;
  swapped.register_parameter("bias", other->weight);
  swapped.register_parameter("weight", other->bias);
  fg::AveragedModel<> of_line(line), of_swapped(swapped);
  of_swapped.update();
  std::stringstream archive;
  torch::save(of_swapped, archive);
  CHECK_THROWS_MATCHES(torch::load(of_line, archive), std::runtime_error,
                       MessageMatches(ContainsSubstring("it has bias where the model has weight")));
  CHECK(average.count() == 1);
  CHECK(average.at("weight")[0].item<double>() == 1.0);
}

TEST_CASE("an invalid decay and a model without weights are refused") {
  Net net;
  CHECK_THROWS_MATCHES(fg::AveragedModel(net, fg::ExponentialMean{.decay = 1.5}), std::invalid_argument,
                       MessageMatches(ContainsSubstring("decay must be in [0, 1]")));
  torch::nn::ReLU empty;
  CHECK_THROWS_MATCHES(fg::AveragedModel(empty), std::invalid_argument,
                       Message("fulgurite: AveragedModel was given a model without weights"));
}

TEST_CASE("a buffer that is written while the average is in the model keeps it, averaged or copied") {
  for (const auto buffers : {fg::BufferAveraging::copy, fg::BufferAveraging::average}) {
    Counting net;
    fg::AveragedModel average(net, fg::ExponentialMean{.decay = 0.5}, {.buffers = buffers});
    int trained = 0;
    const auto train_once = [&] {
      net.train_once(++trained);
      if (trained % 2 == 1) average.update();  // the copies are older than the model's buffers
    };
    for (int round = 1; round <= 3; ++round) {
      for (int i = 0; i < 2; ++i) train_once();
      const auto mean = net.norm->running_mean.clone();
      {
        const auto scope = average.swap_in();
        CHECK(torch::equal(net.norm->running_mean, average.at("norm.running_mean")));
        net.validate_once();
      }
      CHECK(net.seen.item<double>() == 8.0 * round);
      CHECK(net.number.item<int>() == 3 * round);
      CHECK(net.norm->num_batches_tracked.item<int>() == 2 * round);
      CHECK(torch::equal(net.norm->running_mean, mean));
    }
    average.copy_to_model();
    CHECK(net.seen.item<double>() == 24.0);
    CHECK(net.number.item<int>() == 9);
    CHECK(net.norm->num_batches_tracked.item<int>() == 6);
    CHECK(torch::equal(net.norm->running_mean, average.at("norm.running_mean")));
  }
}

TEST_CASE("statistics that are computed for the average leave with it") {
  Counting net;
  fg::AveragedModel average(net);
  net.train_once(3.0);
  average.update();
  const auto before = net.norm->running_mean.clone();
  {
    const auto scope = average.swap_in();
    fg::update_bn(net, std::vector<torch::Tensor>{torch::full({2, 1}, 7.0), torch::full({2, 1}, 9.0)});
    CHECK(net.norm->running_mean.item<double>() == 8.0);
  }
  CHECK(torch::equal(net.norm->running_mean, before));
  CHECK(net.norm->num_batches_tracked.item<int>() == 1);
}

TEST_CASE("a buffer that is registered later is the model's own") {
  Counting net;
  fg::AveragedModel average(net, fg::EqualMean{}, {.buffers = fg::BufferAveraging::average});
  average.update();
  const auto later = net.register_buffer("later", torch::zeros({}));
  {
    const auto scope = average.swap_in();
    later.add_(1.0);
  }
  average.copy_to_model();
  CHECK(later.item<double>() == 1.0);
}

TEST_CASE("an average that was loaded into another model brings its buffers, one that goes on leaves the model's") {
  Counting net;
  fg::AveragedModel average(net, fg::EqualMean{}, {.buffers = fg::BufferAveraging::average});
  net.train_once(3.0);
  average.update();
  {
    const auto scope = average.swap_in();
    net.validate_once();
  }
  average.update();
  std::stringstream file;
  torch::save(average, file);

  Counting other;
  fg::AveragedModel loaded(other, fg::EqualMean{}, {.buffers = fg::BufferAveraging::average});
  torch::load(loaded, file);
  {
    const auto scope = loaded.swap_in();
    CHECK(other.number.item<int>() == 2);
  }
  CHECK(other.number.item<int>() == 0);
  CHECK(loaded.at("seen").item<double>() == 8.0);
  loaded.keep_buffers_of_model();
  loaded.copy_to_model();
  CHECK(other.number.item<int>() == 0);
  CHECK(other.seen.item<double>() == 0.0);  // known to be written in validation
  CHECK(torch::equal(other.norm->running_mean, net.norm->running_mean));
}

TEST_CASE("an average from before a buffer was written averages it again") {
  Counting net;
  fg::AveragedModel average(net, fg::EqualMean{}, {.buffers = fg::BufferAveraging::average});
  net.seen.fill_(1.0);
  average.update();
  std::stringstream file;
  torch::save(average, file);
  {
    const auto scope = average.swap_in();
    net.validate_once();
  }
  average.update();
  CHECK(average.at("seen").item<double>() == 9.0);  // copied

  torch::load(average, file);
  net.seen.fill_(4.0);
  average.update();
  CHECK(average.at("seen").item<double>() == 2.5);
  average.copy_to_model();
  CHECK(net.seen.item<double>() == 2.5);
}
