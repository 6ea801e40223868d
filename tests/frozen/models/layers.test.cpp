// SPDX-License-Identifier: MIT
// Frozen equals eager: layers without memory.
#include "frozen/support.hpp"

using namespace frozen_tests;

TEST_CASE("frozen equals eager: linear") {
  frozen_equals_eager([] { return regressor(nn::Sequential(nn::Linear(6, 3)), regression({8, 6}, {8, 3})); });
}

TEST_CASE("frozen equals eager: linear without bias, batch of one") {
  frozen_equals_eager([] {
    return regressor(nn::Sequential(nn::Linear(nn::LinearOptions(6, 5).bias(false)), nn::Tanh(), nn::Linear(5, 3)),
                     regression({1, 6}, {1, 3}));
  });
}

TEST_CASE("frozen equals eager: perceptron") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::ReLU(), nn::Linear(16, 16), nn::ReLU(), nn::Linear(16, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: smooth activations") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::GELU(), nn::Linear(16, 16), nn::SiLU(), nn::Linear(16, 16),
                                     nn::Tanh(), nn::Linear(16, 16), nn::Sigmoid(), nn::Linear(16, 16), nn::Mish(),
                                     nn::Linear(16, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: activations with corners") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::LeakyReLU(), nn::Linear(16, 16), nn::ELU(), nn::Linear(16, 16),
                                     nn::PReLU(), nn::Linear(16, 16), nn::Hardshrink(), nn::Linear(16, 16), nn::ReLU6(),
                                     nn::Linear(16, 16), nn::Softplus(), nn::Linear(16, 16), nn::GLU(), nn::Linear(8, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: a random activation") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::RReLU(), nn::Linear(16, 4)), classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: bilinear") {
  frozen_equals_eager([] {
    nn::Bilinear layer(3, 4, 5);
    return Model{layer.ptr(),
                 [layer](const Batch& b) mutable { return F::mse_loss(layer->forward(b[0], b[1]), b[2]); },
                 [] {
                   const auto x = torch::randn({6, 3});
                   const auto y = torch::randn({6, 4});
                   return Batch{x, y, torch::randn({6, 5})};
                 }};
  });
}

TEST_CASE("frozen equals eager: convolution, 1d") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv1d(2, 6, 3), nn::ReLU(), nn::MaxPool1d(2), nn::Conv1d(6, 4, 3), nn::ReLU(),
                                     nn::AdaptiveAvgPool1d(2), nn::Flatten(), nn::Linear(8, 3)),
                      classes({4, 2, 16}, 3));
  });
}

TEST_CASE("frozen equals eager: convolution, 2d") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv2d(nn::Conv2dOptions(1, 4, 3).padding(1)), nn::ReLU(), nn::MaxPool2d(2),
                                     nn::Conv2d(nn::Conv2dOptions(4, 6, 3).stride(2)), nn::ReLU(), nn::Flatten(),
                                     nn::Linear(6, 3)),
                      classes({4, 1, 8, 8}, 3));
  });
}

TEST_CASE("frozen equals eager: convolution, 3d") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv3d(1, 2, 3), nn::ReLU(), nn::AvgPool3d(2), nn::Flatten(), nn::Linear(2, 3)),
                      classes({2, 1, 4, 4, 4}, 3));
  });
}

TEST_CASE("frozen equals eager: transposed convolution") {
  frozen_equals_eager([] {
    return regressor(nn::Sequential(nn::Conv2d(nn::Conv2dOptions(1, 4, 3).stride(2)), nn::ReLU(),
                                    nn::ConvTranspose2d(nn::ConvTranspose2dOptions(4, 1, 3).stride(2))),
                     regression({3, 1, 7, 7}, {3, 1, 7, 7}));
  });
}

TEST_CASE("frozen equals eager: depthwise and dilated convolution, average pooling") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv2d(nn::Conv2dOptions(4, 8, 3).groups(4).padding(1).bias(false)), nn::ReLU(),
                                     nn::AvgPool2d(2), nn::Conv2d(nn::Conv2dOptions(8, 4, 2).dilation(2)), nn::Flatten(),
                                     nn::Linear(16, 3)),
                      classes({4, 4, 8, 8}, 3));
  });
}

TEST_CASE("frozen equals eager: channels last") {
  frozen_equals_eager([] {
    nn::Sequential net(nn::Conv2d(nn::Conv2dOptions(3, 4, 3).padding(1)), nn::BatchNorm2d(4), nn::ReLU(), nn::AvgPool2d(4),
                       nn::Flatten(), nn::Linear(16, 3));
    return Model{net.ptr(), [net](const Batch& b) mutable { return F::cross_entropy(net->forward(b[0]), b[1]); },
                 [] {
                   const auto x = torch::randn({4, 3, 8, 8}).to(torch::MemoryFormat::ChannelsLast);
                   return Batch{x, torch::randint(3, {4})};
                 }};
  });
}

TEST_CASE("frozen equals eager: padding and upsampling") {
  frozen_equals_eager([] {
    return regressor(nn::Sequential(nn::ReflectionPad2d(1), nn::Conv2d(1, 2, 3), nn::ReLU(),
                                    nn::Upsample(nn::UpsampleOptions().scale_factor(std::vector<double>{2.0, 2.0})
                                                     .mode(torch::kBilinear).align_corners(false)),
                                    nn::Conv2d(nn::Conv2dOptions(2, 1, 3).padding(1))),
                     regression({2, 1, 4, 4}, {2, 1, 8, 8}));
  });
}

TEST_CASE("frozen equals eager: batch norm, 1d") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::BatchNorm1d(16), nn::ReLU(), nn::Linear(16, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: batch norm, 2d, and dropout") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv2d(nn::Conv2dOptions(1, 4, 3).bias(false)), nn::BatchNorm2d(4), nn::GELU(),
                                     nn::Dropout2d(0.3), nn::Flatten(), nn::Dropout(0.2), nn::Linear(144, 3)),
                      classes({4, 1, 8, 8}, 3));
  });
}

TEST_CASE("frozen equals eager: layer norm") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::LayerNorm(nn::LayerNormOptions({16})), nn::ReLU(),
                                     nn::Linear(16, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: group norm and instance norm") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Conv2d(1, 4, 3), nn::GroupNorm(nn::GroupNormOptions(2, 4)), nn::ReLU(),
                                     nn::InstanceNorm2d(nn::InstanceNorm2dOptions(4).affine(true).track_running_stats(true)),
                                     nn::Flatten(), nn::Linear(144, 3)),
                      classes({4, 1, 8, 8}, 3));
  });
}

TEST_CASE("frozen equals eager: local response norm and cosine similarity") {
  frozen_equals_eager([] {
    nn::Sequential net(nn::Conv2d(2, 6, 3), nn::LocalResponseNorm(2), nn::Flatten());
    return Model{net.ptr(),
                 [net](const Batch& b) mutable {
                   return (1 - F::cosine_similarity(net->forward(b[0]), b[1])).mean();
                 },
                 regression({3, 2, 5, 5}, {3, 54})};
  });
}

TEST_CASE("frozen equals eager: dropout of every kind") {
  frozen_equals_eager([] {
    return classifier(nn::Sequential(nn::Linear(8, 16), nn::Dropout(0.5), nn::Linear(16, 16), nn::AlphaDropout(0.2), nn::SELU(),
                                     nn::Linear(16, 16), nn::FeatureAlphaDropout(0.2), nn::Linear(16, 4)),
                      classes({12, 8}, 4));
  });
}

TEST_CASE("frozen equals eager: embedding") {
  frozen_equals_eager([] {
    nn::Sequential net(nn::Embedding(nn::EmbeddingOptions(20, 6).padding_idx(0)), nn::Flatten(), nn::Linear(24, 4));
    return Model{net.ptr(), [net](const Batch& b) mutable { return F::cross_entropy(net->forward(b[0]), b[1]); },
                 [] {
                   const auto x = torch::randint(20, {5, 4});
                   return Batch{x, torch::randint(4, {5})};
                 }};
  });
}

TEST_CASE("frozen equals eager: embedding bag") {
  frozen_equals_eager([] {
    nn::EmbeddingBag bag(nn::EmbeddingBagOptions(20, 6).mode(torch::kMean));
    return Model{bag.ptr(), [bag](const Batch& b) mutable { return F::mse_loss(bag->forward(b[0]), b[1]); },
                 [] {
                   const auto x = torch::randint(20, {5, 4});
                   return Batch{x, torch::randn({5, 6})};
                 }};
  });
}
