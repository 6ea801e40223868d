// SPDX-License-Identifier: MIT
// Trains a GAN on the digits, automatically, by hand, or both, and draws what it has learned every few
// epochs.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <vector>

#include "gan.hpp"
#include "options.hpp"

namespace fg = fulgurite;

/// Trains one form from the seed on, and returns its parameters.
template <class Gan, class Optimization>
std::vector<torch::Tensor> train(const Options& options, Optimization form) {
  const auto real = digits::load(options.data).train;
  const auto seed = static_cast<std::uint64_t>(options.seed);
  torch::manual_seed(seed);
  const fg::data::TensorBatches batches(
      real, {.batch_size = options.batch_size, .order = fg::data::Shuffled{.seed = seed}});
  gan::Gallery gallery{
      .folder = options.images, .every = options.every, .noise = torch::randn({8, gan::noise_size})};
  Gan model(options.lr);
  fg::Trainer trainer{model, form, gallery, fg::ProgressBar{}, fg::MaxEpochs{options.epochs}};
  trainer.fit(batches);
  std::cout << form << ": " << trainer.progress().global_step << " steps, pictures in " << options.images
            << "\nrecognised: " << gan::recognised(model, real) << '\n';
  return model.parameters();
}

bool same(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].equal(b[i])) return false;
  }
  return a.size() == b.size();
}

int main(int argc, char** argv) {
  const Options options = Options::parse(argc, argv);
  const auto automatic = [&] { return train<gan::AutomaticGan>(options, fg::AutomaticOptimization{}); };
  const auto manual = [&] { return train<gan::ManualGan>(options, fg::ManualOptimization{}); };
  try {
    std::filesystem::create_directories(options.images);
    if (options.form == "automatic") {
      automatic();
    } else if (options.form == "manual") {
      manual();
    } else {
      const auto first = automatic();
      const bool equal = same(first, manual());
      std::cout << "both forms end with "
                << (equal ? "the same parameters, bit for bit\n" : "different parameters\n");
      return equal ? 0 : 1;
    }
  } catch (const std::exception& error) {
    std::cerr << "gan: " << error.what() << '\n';
    return 1;
  }
}
