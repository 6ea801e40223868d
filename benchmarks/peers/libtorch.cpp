// SPDX-License-Identifier: MIT
// The peer that one writes by hand: LibTorch's modules, torch::optim and its gradient clipping, no loss read.
#include <torch/torch.h>

#include <memory>
#include <string>

#include "peers/problems.hpp"
#include "peers/protocol.hpp"

namespace {

template <class Network, peers::Device device, class... Sizes>
std::unique_ptr<peers::Training> by_hand(std::vector<peers::Batch> batches, Sizes... sizes) {
  auto network = std::make_shared<Network>(sizes...);
  peers::initialize(*network);
  if constexpr (device == peers::Device::gpu) network->to(torch::kCUDA);
  const auto parameters = network->parameters();
  auto optimizer = std::make_shared<torch::optim::AdamW>(parameters, torch::optim::AdamWOptions(1e-3));
  auto training = std::make_unique<peers::Training>();
  training->batches = std::move(batches);
  training->loss = [network](const peers::Batch& batch) { return network->loss(batch); };
  training->step = [network, parameters, optimizer](const peers::Batch& batch) {
    optimizer->zero_grad();
    network->loss(batch).backward();
    torch::nn::utils::clip_grad_norm_(parameters, 1.0);
    optimizer->step();
  };
  return training;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: benchmark.peers.libtorch <digits.csv>\n", stderr), 2;
  peers::Peer peer;
  peers::for_each_problem(
      argv[1], [&]<class Network, peers::Device device>(const std::string& model, auto make_batches, auto... sizes) {
        peer.add("libtorch", model, [=] { return by_hand<Network, device>(peers::placed<device>(make_batches()), sizes...); });
      });
  return peer.serve();
}
