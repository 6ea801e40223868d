// SPDX-License-Identifier: MIT
// The gradients that an optimizer's kernels work on during a step.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/MaybeOwned.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace fulgurite::detail {

/// A list of tensors that can borrow: it counts no reference to a gradient that its parameter holds anyway, which would be
/// two atomic operations a parameter and step. Whoever borrows lets go before the parameters get other gradients.
class GradientList {
 public:
  GradientList() = default;
  GradientList(GradientList&& other) noexcept { swap(other); }
  GradientList& operator=(GradientList&& other) noexcept {
    swap(other);
    return *this;
  }
  ~GradientList() { let_go(); }

  void borrow(const at::Tensor& tensor) { list_.push_back(Borrowing::createBorrow(tensor)); }

  void keep(at::Tensor tensor) {
    kept_.push_back(std::move(tensor));
    borrow(kept_.back());
  }

  void let_go() {
    for (at::Tensor& tensor : list_) Borrowing::destroyBorrow(tensor);
    list_.clear();
    kept_.clear();
  }

  /// Other tensors, the list's own, in place of those that it has.
  GradientList& operator=(std::vector<at::Tensor> tensors) {
    let_go();
    for (at::Tensor& tensor : tensors) keep(std::move(tensor));
    return *this;
  }

  operator at::TensorList() const { return list_; }
  std::size_t size() const { return list_.size(); }
  const at::Tensor& operator[](std::size_t i) const { return list_[i]; }

 private:
  using Borrowing = c10::MaybeOwnedTraits<at::Tensor>;

  void swap(GradientList& other) noexcept {
    list_.swap(other.list_);
    kept_.swap(other.kept_);
  }

  std::vector<at::Tensor> list_;  // borrowed, all of them
  std::vector<at::Tensor> kept_;
};

}  // namespace fulgurite::detail
