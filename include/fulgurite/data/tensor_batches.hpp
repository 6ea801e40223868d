// SPDX-License-Identifier: MIT
// From tensors to batches by the shortest way: one gather a tensor and batch, and no example by itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <range/v3/range_fwd.hpp>

#include "detail/index_iterator.hpp"
#include "example.hpp"
#include "order.hpp"
#include "random_order.hpp"
#include "short_batch.hpp"
#include "tensor_dataset.hpp"

namespace fulgurite::data {

struct TensorBatchesOptions {
  std::int64_t batch_size = 32;               ///< examples a batch
  Order order = InOrder{};                    ///< or `Shuffled{.seed = …}`
  ShortBatch short_batch = ShortBatch::keep;  ///< when the last batch is not full
};

/// A sized range of `Example` batches over a data set in memory, which may be walked any number of times.
///
///     fg::data::TensorBatches train{inputs, targets, {.batch_size = 64, .order = fg::data::Shuffled{7}}};
///
/// `Shuffled`: the order is a pure function of seed and epoch (`random_order`), and does not change within an
/// epoch, however often the range is walked; batches are copies. `InOrder`: batches are slices of the tensors
/// themselves. Copies of a `TensorBatches` share tensors and epoch. It lies on the device of its tensors.
/// Throws `std::invalid_argument` for a batch size below one and for what a `TensorDataset` refuses.
class TensorBatches : public ranges::view_base {
  // One epoch's batches: everything that `*it` needs, by value.
  struct Epoch {
    TensorDataset dataset;
    at::Tensor order;  // undefined: as the examples lie
    std::int64_t batch_size = 1;

    Example operator[](std::int64_t index) const {
      const std::int64_t first = index * batch_size;
      const std::int64_t length = std::min(batch_size, static_cast<std::int64_t>(dataset.size()) - first);
      const at::Tensor &inputs = dataset.inputs(), &targets = dataset.targets();
      if (!order.defined()) return {inputs.narrow(0, first, length), targets.narrow(0, first, length)};
      const at::Tensor chosen = order.narrow(0, first, length);
      return {inputs.index_select(0, chosen), targets.index_select(0, chosen)};
    }
  };

 public:
  using iterator = detail::IndexIterator<Epoch>;

  TensorBatches() = default;

  explicit TensorBatches(TensorDataset dataset, TensorBatchesOptions options = {})
      : count_(detail::batches_in(static_cast<std::int64_t>(dataset.size()),
                                  detail::checked_batch_size(options.batch_size), options.short_batch)),
        order_(options.order),
        epoch_(std::make_shared<Epoch>(Epoch{std::move(dataset), {}, options.batch_size})) {
    set_epoch(0);
  }

  TensorBatches(at::Tensor inputs, at::Tensor targets, TensorBatchesOptions options = {})
      : TensorBatches(TensorDataset(std::move(inputs), std::move(targets)), options) {}

  /// Draws the order of another epoch. A walk that has begun keeps its own.
  void set_epoch(std::int64_t epoch) const {
    const auto* shuffled = std::get_if<Shuffled>(&order_);
    if (!shuffled) return;
    const auto examples = static_cast<std::int64_t>(epoch_->dataset.size());
    auto drawn = random_order(examples, shuffled->seed, epoch);
    const at::Tensor borrowed = at::from_blob(drawn.data(), {examples}, at::kLong);
    epoch_->order = borrowed.clone().to(epoch_->dataset.inputs().device());
  }

  /// The number of batches.
  std::size_t size() const { return static_cast<std::size_t>(count_); }

  Example operator[](std::int64_t index) const { return (*epoch_)[index]; }

  iterator begin() const { return epoch_ ? iterator{*epoch_, 0} : iterator{}; }
  iterator end() const { return epoch_ ? iterator{*epoch_, count_} : iterator{}; }

 private:
  std::int64_t count_ = 0;
  Order order_;
  std::shared_ptr<Epoch> epoch_;  // shared, so that the copies inside of views hear of a new epoch too
};

}  // namespace fulgurite::data
