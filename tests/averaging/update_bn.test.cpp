// SPDX-License-Identifier: MIT
#include <fulgurite/averaging/update_bn.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <fulgurite/tensors/for_each_tensor.hpp>

#include <limits>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

struct Net : nn::Module {
  nn::Linear linear = register_module("linear", nn::Linear(3, 4));
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(nn::BatchNorm1dOptions(4).momentum(0.3)));
  nn::BatchNorm1d cumulative = register_module("cumulative", nn::BatchNorm1d(nn::BatchNorm1dOptions(4).momentum(std::nullopt)));
  nn::BatchNorm1d untracked =
      register_module("untracked", nn::BatchNorm1d(nn::BatchNorm1dOptions(4).track_running_stats(false)));
  int forwards = 0;
  bool saw_gradients = false, saw_evaluation = false;

  torch::Tensor forward(const torch::Tensor& x) {
    ++forwards;
    saw_gradients |= torch::GradMode::is_enabled();
    saw_evaluation |= !norm->is_training();
    return untracked->forward(cumulative->forward(norm->forward(linear->forward(x))));
  }
};

std::vector<torch::Tensor> make_batches() {
  torch::manual_seed(1);
  return {torch::randn({5, 3}), torch::randn({7, 3}), torch::randn({4, 3})};
}

struct State {
  torch::Tensor mean, variance, seen;
  explicit State(const Net& net)
      : mean(net.norm->running_mean.clone()),
        variance(net.norm->running_var.clone()),
        seen(net.norm->num_batches_tracked.clone()) {}
  bool operator==(const State& other) const {
    return torch::equal(mean, other.mean) && torch::equal(variance, other.variance) && torch::equal(seen, other.seen);
  }
};

void check_untouched_modes(Net& net) {
  CHECK_FALSE(net.is_training());
  CHECK(net.linear->is_training());
  CHECK_FALSE(net.norm->is_training());
  CHECK(net.norm->options.momentum() == 0.3);
  CHECK(net.cumulative->options.momentum() == std::nullopt);
}

}  // namespace

TEST_CASE("statistics are the mean over the batches; modes and momenta are afterwards as before") {
  const auto batches = make_batches();
  Net net;
  for (const auto& batch : batches) net.forward(batch + 3);  // statistics to be forgotten
  net.eval();
  net.linear->train();
  net.forwards = 0;
  net.saw_gradients = net.saw_evaluation = false;

  CHECK(fg::update_bn(net, batches) == 3);

  CHECK(net.forwards == 3);
  CHECK_FALSE(net.saw_gradients);
  CHECK_FALSE(net.saw_evaluation);
  check_untouched_modes(net);
  torch::Tensor mean = torch::zeros({4}), variance = torch::zeros({4});
  for (const auto& batch : batches) {
    const auto x = net.linear->forward(batch);
    mean += x.mean(0) / 3;
    variance += x.var(0, /*unbiased=*/true) / 3;
  }
  CHECK(torch::allclose(net.norm->running_mean, mean, 1e-5, 1e-6));
  CHECK(torch::allclose(net.norm->running_var, variance, 1e-5, 1e-6));
  CHECK(net.norm->num_batches_tracked.item<int>() == 3);
  CHECK(net.cumulative->num_batches_tracked.item<int>() == 3);
}

TEST_CASE("batches may be tensors, examples, pairs and tuples, or whatever a function of yours takes") {
  const auto batches = make_batches();
  Net net;
  fg::update_bn(net, batches);
  const State expected(net);

  std::vector<torch::data::Example<>> examples;
  std::vector<std::pair<torch::Tensor, int>> pairs;
  std::vector<std::tuple<torch::Tensor, int, int>> tuples;
  for (const auto& batch : batches) {
    examples.emplace_back(batch, torch::zeros({1}));
    pairs.emplace_back(batch, 0);
    tuples.emplace_back(batch, 0, 0);
  }
  fg::update_bn(net, examples);
  CHECK(State(net) == expected);
  fg::update_bn(net, pairs);
  CHECK(State(net) == expected);
  fg::update_bn(net, tuples);
  CHECK(State(net) == expected);
  const std::vector<int> indices{0, 1, 2};
  fg::update_bn(net, indices, [&](int index) { net.forward(batches[static_cast<std::size_t>(index)]); });
  CHECK(State(net) == expected);
}

TEST_CASE("a pass that fails leaves everything as it was") {
  const auto batches = make_batches();
  Net net;
  net.forward(batches[0]);
  net.eval();
  net.linear->train();
  const State before(net);
  int index = 0;
  CHECK_THROWS_AS(fg::update_bn(net, batches,
                                        [&](const torch::Tensor& batch) {
                                          net.forward(batch);
                                          if (++index == 2) throw std::runtime_error("broken batch");
                                        }),
                  std::runtime_error);
  CHECK(State(net) == before);
  check_untouched_modes(net);
  CHECK_THROWS_MATCHES(fg::update_bn(net, std::vector<torch::Tensor>{}), std::invalid_argument,
                       Catch::Matchers::Message("fulgurite: update_bn was given no batch to compute statistics of"));
  CHECK(State(net) == before);
  check_untouched_modes(net);
}

TEST_CASE("statistics that are not finite, or that no batch reaches, begin anew as well") {
  Net net;
  const auto unused = net.register_module("unused", nn::BatchNorm1d(4));
  net.register_module("again", net.norm);
  for (const auto& norm : {net.norm, net.cumulative, nn::BatchNorm1d(unused)}) {
    norm->running_mean.fill_(std::numeric_limits<float>::quiet_NaN());
    norm->running_var.fill_(std::numeric_limits<float>::quiet_NaN());
    norm->num_batches_tracked.fill_(7);
  }
  CHECK(fg::update_bn(net, make_batches()) == 3);
  CHECK(torch::isfinite(net.norm->running_mean).all().item<bool>());
  CHECK(torch::isfinite(net.norm->running_var).all().item<bool>());
  CHECK(net.norm->options.momentum() == 0.3);  // of a norm that is registered twice, too
  CHECK(torch::equal(unused->running_mean, torch::zeros({4})));
  CHECK(torch::equal(unused->running_var, torch::ones({4})));
  CHECK(unused->num_batches_tracked.item<int>() == 0);
}

namespace {
// Its buffers are on two devices.
struct Split : nn::Module {
  torch::Tensor first = register_buffer("first", torch::empty({1}, torch::kMeta));
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(3));
  std::vector<torch::Device> devices;
  void forward(const torch::Tensor& x) { devices.push_back(x.device()); }
};

struct OfNumbers : nn::Module {
  nn::BatchNorm1d norm = register_module("norm", nn::BatchNorm1d(1));
  int sum = 0;
  void forward(int number) { sum += number; }
};
}  // namespace

TEST_CASE("a tensor is moved to the device of the model's first buffer, other batches are passed as they are") {
  Split split;
  CHECK(fg::update_bn(split, make_batches()) == 3);
  CHECK(split.devices == std::vector<torch::Device>(3, torch::kMeta));
  OfNumbers numbers;
  CHECK(fg::update_bn(numbers, std::vector<int>{2, 3}) == 2);
  CHECK(numbers.sum == 5);
}

TEST_CASE("a model without batch norm is passed nothing; one in a holder, or that is a batch norm, is refreshed") {
  const auto batches = make_batches();
  nn::Sequential plain{nn::Linear(3, 2)};
  plain->eval();
  CHECK(fg::update_bn(plain, batches) == 0);
  CHECK_FALSE(plain->is_training());
  CHECK_FALSE(fg::BatchNormRefresh::needed(*plain));
  nn::Sequential images{nn::BatchNorm2d(2)};
  CHECK(fg::update_bn(images, std::vector{torch::full({3, 2, 4, 4}, 5.0)}) == 1);
  CHECK(torch::equal(images[0]->as<nn::BatchNorm2d>()->running_mean, torch::full({2}, 5.0)));
  nn::BatchNorm1d norm(3);
  CHECK(fg::BatchNormRefresh::needed(*norm));
  CHECK(fg::update_bn(norm, batches) == 3);
  CHECK(norm->num_batches_tracked.item<int>() == 3);
}
