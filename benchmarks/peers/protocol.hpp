// SPDX-License-Identifier: MIT
// A peer is a process that trains on request, so that compare.py can give each its turn. A line in, a line out:
//
//   hello                              what it is, as JSON
//   train <contender> <model> <steps>  so many further steps, then the mean loss over all batches
//   run <contender> <model> <steps>    so many further steps (a few more may come untimed): seconds by the clock on the
//                                      wall, seconds of the processor's time, and page faults that needed no disk
//
// A contender's training of a model begins when it is first named, and goes on where its last turn ended: what is timed is
// the very training whose losses were checked. What cannot be done is answered by `error <reason>`. The end of the input ends the process.
#pragma once

#include <torch/torch.h>

#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peers/problems.hpp"

#if defined(__clang__)
#define PEERS_COMPILER "clang " __clang_version__
#else
#define PEERS_COMPILER "g++ " __VERSION__
#endif

namespace peers {

/// A model in training.
struct Training {
  std::function<void(const Batch&)> step;
  std::function<at::Tensor(const Batch&)> loss;
  std::vector<Batch> batches;
  std::size_t next = 0;

  void run(std::int64_t steps) {
    for (std::int64_t i = 0; i < steps; ++i) {
      step(batches[next]);
      next = next + 1 == batches.size() ? 0 : next + 1;
    }
    if (batches.front().data.is_cuda()) torch::cuda::synchronize();
  }

  double mean_loss() const {
    const torch::NoGradGuard no_grad;
    double sum = 0;
    for (const Batch& batch : batches) sum += loss(batch).item<double>();
    return sum / static_cast<double>(batches.size());
  }
};

using MakeTraining = std::function<std::unique_ptr<Training>()>;

class Peer {
 public:
  void add(const std::string& contender, const std::string& model, MakeTraining make) {
    makers_[contender][model] = std::move(make);
  }

  int serve() {
    torch::set_num_threads(1);
    for (std::string line; std::getline(std::cin, line);) {
      try {
        std::cout << answer(line) << std::endl;
      } catch (const std::exception& error) {
        const std::string_view what = error.what();
        std::cout << "error " << what.substr(0, what.find('\n')) << std::endl;
      }
    }
    return 0;
  }

 private:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb, contender, model;
    std::int64_t steps = 0;
    words >> verb;
    if (verb == "hello") return description();
    if (!(words >> contender >> model >> steps)) throw std::invalid_argument("not understood: " + line);
    Training& training = training_of(contender, model);
    if (verb == "run") {
      const auto start = std::chrono::steady_clock::now();
      const double start_of_process = process_seconds();
      const auto faults_before = page_faults();
      training.run(steps);
      const double of_process = process_seconds() - start_of_process;
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      return printed(elapsed.count()) + ' ' + printed(of_process) + ' ' + std::to_string(page_faults() - faults_before);
    }
    if (verb == "train") {
      training.run(steps);
      return printed(training.mean_loss());
    }
    throw std::invalid_argument("not understood: " + line);
  }

  Training& training_of(const std::string& contender, const std::string& model) {
    auto& training = in_training_[contender + ' ' + model];
    if (!training) {
      const auto of_contender = makers_.find(contender);
      if (of_contender == makers_.end()) throw std::invalid_argument("not in this build");
      const auto make = of_contender->second.find(model);
      if (make == of_contender->second.end()) throw std::invalid_argument("this model is not trained here");
      training = make->second();
    }
    return *training;
  }

  std::string description() const {
    std::string contenders, models;
    for (const auto& [name, its_models] : makers_) {
      contenders += (contenders.empty() ? "\"" : ", \"") + name + '"';
      models.clear();
      for (const auto& [model, make] : its_models) models += (models.empty() ? "\"" : ", \"") + model + '"';
    }
    return "{\"versions\": {\"LibTorch\": \"" TORCH_VERSION "\", \"compiler\": \"" PEERS_COMPILER "\"}, \"contenders\": [" +
           contenders + "], \"models\": [" + models + "]}";
  }

  static std::int64_t page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  }

  static double process_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }

  static std::string printed(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
  }

  std::map<std::string, std::map<std::string, MakeTraining>> makers_;
  std::map<std::string, std::unique_ptr<Training>> in_training_;
};

/// The batches of a problem, where it is trained.
template <Device where>
std::vector<Batch> placed(std::vector<Batch> batches) {
  if constexpr (where == Device::gpu) {
    for (Batch& batch : batches) batch = {batch.data.cuda(), batch.target.cuda()};
  }
  return batches;
}

}  // namespace peers
