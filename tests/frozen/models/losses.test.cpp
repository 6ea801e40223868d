// SPDX-License-Identifier: MIT
// Frozen equals eager: losses.
#include "frozen/support.hpp"

using namespace frozen_tests;

namespace {

/// A network with `outputs` outputs under a loss.
void check(std::int64_t outputs, std::function<Tensor(const Tensor&, const Batch&)> loss,
           std::function<std::vector<Tensor>()> targets) {
  frozen_equals_eager([=] {
    nn::Sequential net(nn::Linear(6, 8), nn::Tanh(), nn::Linear(8, outputs));
    return Model{net.ptr(), [net, loss](const Batch& b) mutable { return loss(net->forward(b[0]), b); },
                 [targets] {
                   Batch batch{torch::randn({7, 6})};
                   for (const Tensor& target : targets()) batch.push_back(target);
                   return batch;
                 }};
  });
}

std::vector<Tensor> numbers(std::int64_t columns) { return {torch::randn({7, columns})}; }

}  // namespace

TEST_CASE("frozen equals eager: absolute, smooth and Huber loss") {
  check(3, [](const Tensor& y, const Batch& b) {
    return F::l1_loss(y, b[1]) + F::smooth_l1_loss(y, b[1]) + F::huber_loss(y, b[1]);
  }, [] { return numbers(3); });
}

TEST_CASE("frozen equals eager: mean square error without reduction and as a sum") {
  check(3, [](const Tensor& y, const Batch& b) {
    return F::mse_loss(y, b[1], F::MSELossFuncOptions(torch::kNone)).mean() +
           0.1 * F::mse_loss(y, b[1], F::MSELossFuncOptions(torch::kSum));
  }, [] { return numbers(3); });
}

TEST_CASE("frozen equals eager: binary cross entropy, with and without logits") {
  check(2, [](const Tensor& y, const Batch& b) {
    return F::binary_cross_entropy(torch::sigmoid(y), b[1]) +
           F::binary_cross_entropy_with_logits(
               y, b[1], F::BinaryCrossEntropyWithLogitsFuncOptions().pos_weight(torch::tensor({2.0f, 0.5f})));
  }, [] { return std::vector<Tensor>{torch::rand({7, 2}).round()}; });
}

TEST_CASE("frozen equals eager: cross entropy with weights and ignored targets, and with smoothing") {
  check(4, [](const Tensor& y, const Batch& b) {
    return F::cross_entropy(y, b[1], F::CrossEntropyFuncOptions()
                                         .weight(torch::tensor({1.0f, 2.0f, 0.5f, 1.0f}))
                                         .ignore_index(3)) +
           torch::cross_entropy_loss(y, b[1], {}, at::Reduction::Mean, -100, 0.1);
  }, [] { return std::vector<Tensor>{torch::randint(4, {7})}; });
}

TEST_CASE("frozen equals eager: cross entropy with probabilities, negative log likelihood of images") {
  check(8, [](const Tensor& y, const Batch& b) {
    return F::cross_entropy(y, b[1].softmax(1)) +
           F::nll_loss(F::log_softmax(y.view({7, 2, 2, 2}), 1), (b[1].view({7, 2, 2, 2}).sum(1) > 0).to(torch::kLong));
  }, [] { return numbers(8); });
}

TEST_CASE("frozen equals eager: divergence and Poisson loss") {
  check(4, [](const Tensor& y, const Batch& b) {
    return F::kl_div(F::log_softmax(y, 1), b[1].softmax(1), F::KLDivFuncOptions(torch::kBatchMean)) +
           F::poisson_nll_loss(y, b[1].abs());
  }, [] { return numbers(4); });
}

TEST_CASE("frozen equals eager: embedding and ranking losses") {
  check(4, [](const Tensor& y, const Batch& b) {
    const auto sign = b[1].select(1, 0).sign();
    return F::cosine_embedding_loss(y, b[1], sign) + F::hinge_embedding_loss(y.select(1, 0), sign) +
           F::margin_ranking_loss(y.select(1, 0), y.select(1, 1), sign) +
           F::triplet_margin_loss(y, b[1], -b[1]);
  }, [] { return numbers(4); });
}

TEST_CASE("frozen equals eager: margin losses") {
  check(4, [](const Tensor& y, const Batch& b) {
    return F::multi_margin_loss(y, b[1]) + F::soft_margin_loss(y, b[2].sign()) +
           F::multilabel_soft_margin_loss(y, (b[2] > 0).to(torch::kFloat)) +
           F::multilabel_margin_loss(y, b[1].unsqueeze(1).repeat({1, 4}));
  }, [] {
    const auto labels = torch::randint(4, {7});
    return std::vector<Tensor>{labels, torch::randn({7, 4})};
  });
}

TEST_CASE("frozen equals eager: connectionist temporal classification") {
  frozen_equals_eager([] {
    nn::Linear net(6, 5);
    return Model{net.ptr(),
                 [net](const Batch& b) mutable {
                   const auto lengths = torch::full({3}, 9, torch::kLong);
                   const auto target_lengths = torch::full({3}, 4, torch::kLong);
                   return F::ctc_loss(F::log_softmax(net->forward(b[0]), 2), b[1], lengths, target_lengths);
                 },
                 [] {
                   const auto x = torch::randn({9, 3, 6});
                   return Batch{x, torch::randint(1, 5, {3, 4})};
                 }};
  });
}
