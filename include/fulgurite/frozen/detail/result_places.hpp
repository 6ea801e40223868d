// SPDX-License-Identifier: MIT
// What an operator makes anew on each replay is brought to where it was when the step was recorded.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/StorageImpl.h>

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

namespace fulgurite::detail {

/// Of one operator, a place for each of its results.
class ResultPlaces {
 public:
  /// None: that result is not needed. `may_take_over(tensor)`: nobody sees the memory of this place but through the tape's
  /// tensors, so that it may be replaced.
  template <class MayTakeOver>
  ResultPlaces(const std::vector<c10::IValue>& places, MayTakeOver may_take_over) {
    for (const c10::IValue& place : places) {
      const bool is_free = place.isTensor() && place.toTensor().defined() && may_take_over(place.toTensor());
      places_.push_back({place, is_free});
    }
  }

  bool wants(std::size_t i) const { return !places_[i].value.isNone(); }

  void take(std::size_t i, const at::Tensor& made) const {
    const Place& place = places_[i];
    const at::Tensor& tensor = place.value.toTensor();
    if (!(place.is_free && took_over(made, tensor))) copy(made, tensor);
  }

  void take(std::size_t i, const c10::IValue& made) const {
    if (made.isTensor()) {
      take(i, made.toTensor());
    } else if (made.isList()) {
      const auto sources = made.toListRef();
      const auto targets = places_[i].value.toListRef();
      for (std::size_t k = 0; k < targets.size(); ++k) copy(sources[k].toTensor(), targets[k].toTensor());
    }
  }

 private:
  struct Place {
    c10::IValue value;
    bool is_free;
  };

  /// Exchanges the memory of two tensors, if nobody else sees that of `made`.
  static bool took_over(const at::Tensor& made, const at::Tensor& place) {
    if (!made.defined() || made.use_count() != 1 || !alike(made, place) || made.storage_offset() != 0 ||
        made.storage().use_count() != 1 || made.storage().nbytes() != place.storage().nbytes()) {
      return false;
    }
    c10::StorageImpl* from = made.storage().unsafeGetStorageImpl();
    at::DataPtr old = place.storage().unsafeGetStorageImpl()->set_data_ptr(std::move(from->mutable_data_ptr()));
    from->set_data_ptr_noswap(std::move(old));
    return true;
  }

  static void copy(const at::Tensor& made, const at::Tensor& place) {
    if (!place.defined() || made.is_alias_of(place)) return;
    if (alike(made, place) && made.is_non_overlapping_and_dense()) {  // without the dispatcher
      std::memcpy(place.mutable_data_ptr(), made.const_data_ptr(), made.nbytes());
    } else {
      place.copy_(made);
    }
  }

  static bool alike(const at::Tensor& a, const at::Tensor& b) {
    return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.strides() == b.strides();
  }

  std::vector<Place> places_;
};

}  // namespace fulgurite::detail
