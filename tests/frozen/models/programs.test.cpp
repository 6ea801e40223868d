// SPDX-License-Identifier: MIT
// Frozen equals eager: what programs do with tensors beside layers.
#include <torch/torch.h>

#include <ATen/autocast_mode.h>
#include <fulgurite/tensors/guards.hpp>

#include "frozen/support.hpp"

using namespace frozen_tests;

namespace {

template <class Module>
void check(std::function<Batch()> batch) {
  frozen_equals_eager([=] {
    const auto model = std::make_shared<Module>();
    return Model{model, [model](const Batch& b) { return model->loss(b); }, batch};
  });
}

struct Cube : torch::autograd::Function<Cube> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x * x * x;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto x = context->get_saved_variables()[0];
    return {gradients[0] * 3 * x * x};
  }
};

}  // namespace

TEST_CASE("frozen equals eager: a function with a backward of its own") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    Tensor loss(const Batch& b) { return F::mse_loss(Cube::apply(b[0].matmul(w)), b[1]); }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: operations in place") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 4});
    Tensor v = parameter("v", {4});
    Tensor loss(const Batch& b) {
      auto x = b[0].matmul(w);
      x.add_(v).mul_(0.5).sub_(0.1, 2.0).addcmul_(v, v, 0.5);
      x.masked_fill_(b[1] > 1.0, 0.25);
      x.relu_();
      return F::mse_loss(x, b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 4}));
}

TEST_CASE("frozen equals eager: views that are written through") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 4});
    Tensor loss(const Batch& b) {
      auto x = b[0].matmul(w);
      x.narrow(1, 0, 2).mul_(2.0);
      x.select(0, 1).copy_(b[1].select(0, 0));
      auto canvas = torch::zeros({5, 6});
      canvas.slice(1, 1, 5).copy_(x);
      canvas.t().select(0, 0).fill_(0.5);
      canvas.index_put_({torch::tensor({0, 2}), torch::tensor({5, 5})}, x.select(1, 0).slice(0, 0, 2));
      return (canvas.slice(1, 1, 5) - b[1]).pow(2).mean() + canvas.select(1, 5).sum() * 0.1;
    }
  };
  check<M>(regression({5, 4}, {5, 4}));
}

TEST_CASE("frozen equals eager: boolean assignment") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 4});
    Tensor loss(const Batch& b) {
      auto x = b[0].matmul(w);
      x.index_put_({b[1] > 0}, torch::tensor(0.5f));  // the shape of x stays what it is
      return F::mse_loss(x, b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 4}));
}

TEST_CASE("frozen equals eager: tied weights") {
  struct M : nn::Module {
    nn::Linear layer = register_module("layer", nn::Linear(4, 4));
    Tensor loss(const Batch& b) {
      return F::mse_loss(layer->forward(torch::tanh(layer->forward(b[0]))).matmul(layer->weight), b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 4}));
}

TEST_CASE("frozen equals eager: a parameter without gradient") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    Tensor unused = parameter("unused", {5});
    Tensor loss(const Batch& b) { return F::mse_loss(b[0].matmul(w), b[1]); }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: a frozen layer") {
  struct M : nn::Module {
    nn::Linear below = register_module("below", nn::Linear(4, 4));
    nn::Linear above = register_module("above", nn::Linear(4, 3));
    M() {
      below->weight.set_requires_grad(false);
    }
    Tensor loss(const Batch& b) { return F::mse_loss(above->forward(torch::relu(below->forward(b[0]))), b[1]); }
  };
  frozen_equals_eager([] {
    struct Trained : nn::Module {
      std::shared_ptr<M> whole = std::make_shared<M>();
      Trained() {
        register_parameter("bias", whole->below->bias);
        register_module("above", whole->above);
      }
    };
    const auto model = std::make_shared<Trained>();
    return Model{model, [model](const Batch& b) { return model->whole->loss(b); }, regression({5, 4}, {5, 3})};
  });
}

TEST_CASE("frozen equals eager: einsum, expansion and permutation") {
  struct M : Bare {
    Tensor w = parameter("w", {2, 4, 3});
    Tensor scale = parameter("scale", {1, 3});
    Tensor loss(const Batch& b) {
      const auto x = torch::einsum("bi,hio->bho", {b[0], w}) * scale.expand({2, 3});
      return F::mse_loss(x.permute({0, 2, 1}).reshape({5, 6}), b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 6}));
}

TEST_CASE("frozen equals eager: indices") {
  struct M : Bare {
    Tensor w = parameter("w", {6, 4});
    Tensor loss(const Batch& b) {
      const auto order = b[0].argsort(std::int64_t{1}, false);
      const auto picked = w.index_select(0, order.select(0, 0)).gather(1, order.slice(1, 0, 4).remainder(4));
      const auto spread = torch::zeros({6, 4}).scatter_add(1, order.t().slice(1, 0, 4).remainder(4), w);
      return F::mse_loss(picked.matmul(spread.t()), b[1]) + torch::index(w, {order.select(0, 1)}).pow(2).mean();
    }
  };
  check<M>(regression({6, 6}, {6, 6}));
}

TEST_CASE("frozen equals eager: sorting, running sums, extremes") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 4});
    Tensor loss(const Batch& b) {
      const auto x = b[0].matmul(w);
      const auto best = std::get<0>(x.topk(2, 1)).sum();
      const auto sorted = std::get<0>(x.sort(1)).cumsum(1);
      return F::mse_loss(sorted, b[1]) + 0.1 * best + std::get<0>(x.max(1)).mean() + x.logsumexp(1).mean() + x.amin() +
             torch::where(x > 0, x, 0.1 * x).std();
    }
  };
  check<M>(regression({5, 4}, {5, 4}));
}

TEST_CASE("frozen equals eager: joining and splitting") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 6});
    Tensor loss(const Batch& b) {
      const auto parts = b[0].matmul(w).split(2, 1);
      const auto rows = torch::stack({parts[0], parts[1] * 2, parts[2]}, 1).unbind(0);
      return F::mse_loss(torch::cat({rows[0], rows[1], rows[2]}, 1), b[1]) + rows[3].roll(1).flip(0).select(0, 0).sum();
    }
  };
  check<M>(regression({4, 4}, {3, 6}));
}

TEST_CASE("frozen equals eager: linear algebra") {
  struct M : Bare {
    Tensor w = parameter("w", {3, 3});
    Tensor loss(const Batch& b) {
      const auto symmetric = w.matmul(w.t()) + 2 * torch::eye(3);
      const auto solved = torch::linalg_solve(symmetric, b[0].t()).t();
      return F::mse_loss(solved, b[1]) + torch::logdet(symmetric) + torch::linalg_cholesky(symmetric).sum() +
             torch::linalg_vector_norm(w, 1.0);
    }
  };
  check<M>(regression({5, 3}, {5, 3}));
}

TEST_CASE("frozen equals eager: a gradient of a gradient") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 1});
    Tensor loss(const Batch& b) {
      const auto x = b[0].detach().requires_grad_();
      const auto y = torch::tanh(x.matmul(w));
      const auto slope = torch::autograd::grad({y.sum()}, {x}, {}, true, true)[0];
      return F::mse_loss(y, b[1]) + (slope.norm(2, 1) - 1).pow(2).mean();
    }
  };
  check<M>(regression({5, 4}, {5, 1}));
}

TEST_CASE("frozen equals eager: noise") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    Tensor loss(const Batch& b) {
      const auto x = b[0] + 0.1 * torch::randn_like(b[0]) + 0.1 * torch::rand({4});
      const auto y = x.matmul(w);
      const auto shuffled = y.index_select(0, torch::randperm(5));
      const auto sampled = torch::multinomial(torch::softmax(y.detach(), 1), 1);
      const auto rounded = torch::bernoulli(torch::sigmoid(y.detach()));
      return F::mse_loss(shuffled * rounded + torch::normal(0.0, 0.1, {5, 3}), b[1]) + y.gather(1, sampled).mean();
    }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: hooks on tensors") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    M() {
      w.register_hook([](Tensor gradient) { return gradient * 0.5; });
    }
    Tensor loss(const Batch& b) {
      const auto y = b[0].matmul(w);
      y.register_hook([](Tensor gradient) { return gradient.clamp(-0.05, 0.05); });
      return F::mse_loss(y, b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: buffers that a step writes") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    Tensor average = register_buffer("average", torch::zeros({3}));
    Tensor count = register_buffer("count", torch::zeros({}, torch::kLong));
    Tensor loss(const Batch& b) {
      const auto y = b[0].matmul(w);
      const torch::Tensor centered = y - average;
      {
        const torch::NoGradGuard no_grad;
        average.lerp_(y.mean(0), 0.1);
        count += 1;
      }
      return F::mse_loss(centered / count, b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: double precision and complex numbers") {
  struct M : Bare {
    Tensor w = register_parameter("w", torch::randn({8, 8}, torch::kDouble));
    Tensor loss(const Batch& b) {
      const auto x = torch::fft_rfft(b[0].to(torch::kDouble).matmul(w));
      return (torch::real(x * x.conj()).mean() - b[1].mean()).pow(2);
    }
  };
  check<M>(regression({5, 8}, {5, 8}));
}

TEST_CASE("frozen equals eager: bfloat16 by autocast") {
  struct M : nn::Module {
    nn::Sequential net =
        register_module("net", nn::Sequential(nn::Linear(8, 16), nn::ReLU(), nn::LayerNorm(nn::LayerNormOptions({16})),
                                              nn::Linear(16, 16), nn::GELU(), nn::Linear(16, 4)));
    Tensor loss(const Batch& b) {
      const fulgurite::AutocastGuard guard(at::kCPU, at::kBFloat16, true);
      return F::cross_entropy(net->forward(b[0]), b[1]);
    }
  };
  check<M>(classes({12, 8}, 4));
}

TEST_CASE("frozen equals eager: weights that are computed") {
  struct M : Bare {
    Tensor direction = parameter("direction", {3, 4});
    Tensor size = parameter("size", {3, 1});
    Tensor loss(const Batch& b) {
      const auto weight = torch::_weight_norm(direction, size, 0);
      return F::mse_loss(F::linear(b[0], weight), b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: gradients that come in two parts") {
  struct M : Bare {
    Tensor w = parameter("w", {4, 3});
    Tensor loss(const Batch& b) {
      (0.1 * b[0].matmul(w).pow(2).mean()).backward();  // the step's own backward adds to it
      return F::mse_loss(b[0].matmul(w), b[1]);
    }
  };
  check<M>(regression({5, 4}, {5, 3}));
}

TEST_CASE("frozen equals eager: gradients without a sign at zero, and with one") {
  struct M : Bare {
    Tensor w = parameter("w", {2, 3});
    Tensor loss(const Batch& b) { return (w * -torch::relu(b[0])).sum() + w.pow(2).sum() * 0 + (b[1] * w).sum() * 1e-3; }
  };
  check<M>(regression({2, 3}, {2, 3}));
}
