// SPDX-License-Identifier: MIT
// Frozen equals eager: attention and recurrent cells.
#include "frozen/support.hpp"

using namespace frozen_tests;

namespace {

std::function<Batch()> sequences(std::vector<std::int64_t> shape, std::vector<std::int64_t> targets) {
  return regression(std::move(shape), std::move(targets));
}

}  // namespace

TEST_CASE("frozen equals eager: scaled dot product attention") {
  frozen_equals_eager([] {
    nn::Linear project(8, 24);
    return Model{project.ptr(),
                 [project](const Batch& b) mutable {
                   const auto parts = project->forward(b[0]).chunk(3, -1);
                   const auto heads = torch::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, 0.0, true);
                   return F::mse_loss(heads, b[1]);
                 },
                 sequences({2, 5, 8}, {2, 5, 8})};
  });
}

TEST_CASE("frozen equals eager: multi-head attention on itself") {
  frozen_equals_eager([] {
    nn::MultiheadAttention attention(nn::MultiheadAttentionOptions(8, 2).dropout(0.1));
    return Model{attention.ptr(),
                 [attention](const Batch& b) mutable {
                   return F::mse_loss(std::get<0>(attention->forward(b[0], b[0], b[0])), b[1]);
                 },
                 sequences({5, 2, 8}, {5, 2, 8})};
  });
}

TEST_CASE("frozen equals eager: transformer encoder with dropout") {
  frozen_equals_eager([] {
    const auto layer = nn::TransformerEncoderLayer(
        nn::TransformerEncoderLayerOptions(8, 2).dim_feedforward(16).dropout(0.1).activation(torch::kGELU));
    nn::TransformerEncoder encoder(nn::TransformerEncoderOptions(layer, 2));
    return Model{encoder.ptr(), [encoder](const Batch& b) mutable { return F::mse_loss(encoder->forward(b[0]), b[1]); },
                 sequences({5, 2, 8}, {5, 2, 8})};
  });
}

TEST_CASE("frozen equals eager: a small language model with tied weights") {
  struct Language : nn::Module {
    nn::Embedding words = register_module("words", nn::Embedding(30, 8));
    nn::TransformerEncoderLayer layer = register_module(
        "layer", nn::TransformerEncoderLayer(nn::TransformerEncoderLayerOptions(8, 2).dim_feedforward(16).dropout(0.2)));
    Tensor loss(const Batch& b) {
      const auto hidden = layer->forward(words->forward(b[0]));
      return F::cross_entropy(F::linear(hidden, words->weight).reshape({-1, 30}), b[1].reshape({-1}));
    }
  };
  frozen_equals_eager([] {
    const auto model = std::make_shared<Language>();
    return Model{model, [model](const Batch& b) { return model->loss(b); },
                 [] {
                   const auto x = torch::randint(30, {6, 2});
                   return Batch{x, torch::randint(30, {6, 2})};
                 }};
  });
}

TEST_CASE("frozen equals eager: recurrent network") {
  frozen_equals_eager([] {
    nn::RNN rnn(nn::RNNOptions(4, 6).num_layers(2).nonlinearity(torch::kReLU));
    return Model{rnn.ptr(), [rnn](const Batch& b) mutable { return F::mse_loss(std::get<0>(rnn->forward(b[0])), b[1]); },
                 sequences({5, 3, 4}, {5, 3, 6})};
  });
}

TEST_CASE("frozen equals eager: LSTM, both directions, dropout") {
  frozen_equals_eager([] {
    nn::LSTM lstm(nn::LSTMOptions(4, 6).num_layers(2).bidirectional(true).dropout(0.2).batch_first(true));
    return Model{lstm.ptr(), [lstm](const Batch& b) mutable { return F::mse_loss(std::get<0>(lstm->forward(b[0])), b[1]); },
                 sequences({3, 5, 4}, {3, 5, 12})};
  });
}

TEST_CASE("frozen equals eager: GRU") {
  frozen_equals_eager([] {
    nn::GRU gru(nn::GRUOptions(4, 6));
    return Model{gru.ptr(), [gru](const Batch& b) mutable { return F::mse_loss(std::get<0>(gru->forward(b[0])), b[1]); },
                 sequences({5, 3, 4}, {5, 3, 6})};
  });
}

TEST_CASE("frozen equals eager: recurrent cells, unrolled") {
  struct Cells : nn::Module {
    nn::LSTMCell lstm = register_module("lstm", nn::LSTMCell(4, 6));
    nn::GRUCell gru = register_module("gru", nn::GRUCell(6, 5));
    nn::RNNCell rnn = register_module("rnn", nn::RNNCell(5, 3));
    Tensor loss(const Batch& b) {
      auto state = std::make_tuple(torch::zeros({3, 6}), torch::zeros({3, 6}));
      Tensor middle, last;
      for (int t = 0; t < 4; ++t) {
        state = lstm->forward(b[0][t], state);
        middle = gru->forward(std::get<0>(state), middle);
        last = rnn->forward(middle, last);
      }
      return F::mse_loss(last, b[1]);
    }
  };
  frozen_equals_eager([] {
    const auto model = std::make_shared<Cells>();
    return Model{model, [model](const Batch& b) { return model->loss(b); }, sequences({4, 3, 4}, {3, 3})};
  });
}
