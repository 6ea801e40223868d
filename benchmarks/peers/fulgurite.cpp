// SPDX-License-Identifier: MIT
// Fulgurite as its README writes it: fg::Trainer with fg::ClipNorm and fg::AdamW, gradients where autograd leaves them (no
// fg::Contiguous), the default guard against a loss that is not finite, driven by `loop.step(batch)`. Frozen is one policy
// more; strict, so that no eager step is measured under its name.
#include <torch/torch.h>

#include <memory>
#include <string>

#include <fulgurite/fulgurite.hpp>
#include <fulgurite/frozen.hpp>
#ifdef PEERS_HAVE_CUDA
#include <fulgurite/cuda/graphs.hpp>
#endif

#include "peers/problems.hpp"
#include "peers/protocol.hpp"

namespace {

namespace fg = fulgurite;

template <class Network>
struct Trained : Network {
  using Network::Network;

  at::Tensor training_step(const fg::Example& batch, auto&) { return this->loss(batch); }
  auto configure_optimizers() { return fg::AdamW(this->parameters(), {.lr = 1e-3}); }
};

template <class Network, class Place, class Execution, class... Sizes>
std::unique_ptr<peers::Training> trained(Place place, Execution execution, std::vector<peers::Batch> batches, Sizes... sizes) {
  using Model = Trained<Network>;
  auto model = std::make_shared<Model>(sizes...);
  peers::initialize(*model);
  auto trainer =
      std::make_shared<fg::Trainer<Model, fg::ClipNorm, Place, Execution>>(model, fg::ClipNorm{.max = 1.0}, place, execution);
  auto training = std::make_unique<peers::Training>();
  training->batches = std::move(batches);
  training->loss = [model](const peers::Batch& batch) { return model->loss(batch); };
  training->step = [trainer, loop = trainer->loop()](const peers::Batch& batch) mutable { loop.step(batch); };
  return training;
}

template <peers::Device device>
using Place = std::conditional_t<device == peers::Device::gpu, fg::Cuda<0>, fg::Cpu>;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: benchmark.peers.fulgurite <digits.csv>\n", stderr), 2;
  peers::Peer peer;
  peers::for_each_problem(
      argv[1], [&]<class Network, peers::Device device>(const std::string& model, auto make_batches, auto... sizes) {
        const auto batches = [=] { return peers::placed<device>(make_batches()); };
        const Place<device> place;
        peer.add("fulgurite-eager", model, [=] { return trained<Network>(place, fg::Eager{}, batches(), sizes...); });
        peer.add("fulgurite-frozen", model,
                 [=] { return trained<Network>(place, fg::Frozen{.strict = true}, batches(), sizes...); });
      });
  return peer.serve();
}
