// SPDX-License-Identifier: MIT
// Tensors that live only between two operators share one memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/Storage.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "instruction.hpp"
#include "recorder.hpp"

namespace fulgurite::detail {

/// From when to when a memory is in use, and where it lies.
struct Lifetime {
  std::size_t first;  // instruction
  std::size_t last;
  std::size_t bytes;
  bool written_first = true;  // its first user writes it: nothing in it is older
  std::size_t offset = 0;
};

/// Gives each lifetime an offset so that two which overlap in time do not overlap in memory. Returns the bytes needed.
inline std::size_t place_lifetimes(std::vector<Lifetime*> lifetimes) {
  constexpr std::size_t alignment = 64;
  std::stable_sort(lifetimes.begin(), lifetimes.end(),
                   [](const Lifetime* a, const Lifetime* b) { return a->bytes > b->bytes; });
  std::vector<const Lifetime*> placed;  // by offset
  std::size_t total = 0;
  for (Lifetime* lifetime : lifetimes) {
    std::size_t offset = 0;
    for (const Lifetime* other : placed) {
      if (other->last < lifetime->first || lifetime->last < other->first) continue;
      if (offset + lifetime->bytes <= other->offset) break;
      offset = std::max(offset, (other->offset + other->bytes + alignment - 1) / alignment * alignment);
    }
    lifetime->offset = offset;
    total = std::max(total, offset + lifetime->bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), lifetime,
                                   [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  lifetime);
  }
  return total;
}

/// The memory of a tape's short-lived tensors.
class MemoryPlan {
 public:
  MemoryPlan() = default;

  /// Moves each memory that the step made, and that nobody but the recording holds, into the shared one.
  MemoryPlan(const std::vector<Instruction>& instructions, const Recorder& recorder,
             const std::unordered_set<const c10::StorageImpl*>& held) {
    std::unordered_map<c10::StorageImpl*, std::size_t> index;
    std::vector<Lifetime> lifetimes;
    std::vector<c10::StorageImpl*> storages;
    const auto touch = [&](std::size_t i, const at::Tensor& tensor, bool written) {
      c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
      if (!recorder.memory(tensor).made || held.contains(storage) || storage->nbytes() == 0) return;
      const auto [found, is_new] = index.try_emplace(storage, lifetimes.size());
      if (is_new) {
        lifetimes.push_back({i, i, storage->nbytes(), written});
        storages.push_back(storage);
      }
      Lifetime& lifetime = lifetimes[found->second];
      lifetime.last = i;
      lifetime.written_first |= written && lifetime.first == i;
    };
    for (std::size_t i = 0; i < instructions.size(); ++i) {
      instructions[i].for_each_tensor([&](const at::Tensor& tensor, bool written) { touch(i, tensor, written); });
    }
    std::vector<Lifetime*> all;
    for (Lifetime& lifetime : lifetimes) {
      if (!lifetime.written_first) continue;  // a constant
      all.push_back(&lifetime);
      bytes_before_ += lifetime.bytes;
    }
    bytes_ = place_lifetimes(all);
    memory_ = at::empty({static_cast<std::int64_t>(bytes_)}, at::TensorOptions(at::kByte));
    auto* base = static_cast<std::byte*>(memory_.mutable_data_ptr());
    for (std::size_t k = 0; k < storages.size(); ++k) {
      if (!lifetimes[k].written_first) continue;
      storages[k]->set_data_ptr_noswap(at::DataPtr(base + lifetimes[k].offset, at::Device(at::kCPU)));
    }
  }

  std::size_t bytes() const { return bytes_; }                ///< of the shared memory
  std::size_t bytes_before() const { return bytes_before_; }  ///< of all that shares it

 private:
  at::Tensor memory_;
  std::size_t bytes_ = 0;
  std::size_t bytes_before_ = 0;
};

}  // namespace fulgurite::detail
