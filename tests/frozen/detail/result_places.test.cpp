// SPDX-License-Identifier: MIT
#include <fulgurite/frozen/detail/result_places.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <utility>
#include <vector>

using fulgurite::detail::ResultPlaces;

namespace {

/// Puts what `make` returns into `place`, and tells whether the memory itself is taken over.
template <class Make>
bool takes_over(torch::Tensor place, Make make, bool may = true) {
  const ResultPlaces places({c10::IValue(place)}, [may](const at::Tensor&) { return may; });
  CHECK(places.wants(0));
  torch::Tensor made = make();
  const auto expected = made.clone();
  const void* from = made.const_data_ptr();
  const void* at = place.const_data_ptr();
  places.take(0, made);
  CHECK(torch::equal(place, expected));
  CHECK((place.const_data_ptr() == from || place.const_data_ptr() == at));
  const bool taken = place.const_data_ptr() == from;
  if (taken) {
    CHECK(made.const_data_ptr() == at);  // exchanged, so the place's old memory is freed with what was made
  } else {
    CHECK(made.const_data_ptr() == from);
    CHECK(torch::equal(made, expected));
  }
  return taken;
}

}  // namespace

TEST_CASE("a result's memory is taken over where no one else sees it") {
  const auto make = [] { return torch::arange(6.0).view({2, 3}).clone(); };
  CHECK(takes_over(torch::zeros({2, 3}), make));
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), make, false));
  torch::Tensor kept;
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), [&] { return kept = make(); }));
  CHECK(torch::equal(kept, make()));
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), [&] { return (kept = make()).view({2, 3}); }));
  CHECK(torch::equal(kept, make()));
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), [] { return torch::arange(9.0).view({3, 3}).narrow(0, 1, 2); }));
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), [] { return torch::arange(9.0).view({3, 3}).narrow(0, 0, 2); }));
}

TEST_CASE("a result in another layout or format is converted into its place") {
  CHECK_FALSE(takes_over(torch::zeros({2, 3}, torch::kDouble), [] { return torch::rand({2, 3}); }));
  CHECK_FALSE(takes_over(torch::zeros({2, 3}), [] { return torch::arange(6.0).view({3, 2}).t(); }));
  CHECK_FALSE(takes_over(torch::zeros({3, 2}).t(), [] { return torch::arange(6.0).view({2, 3}).clone(); }));
  CHECK_FALSE(takes_over(torch::zeros({9}).as_strided({2, 2}, {4, 2}), [] { return torch::arange(9.0).as_strided({2, 2}, {4, 2}); }));
  const auto shorter = torch::zeros({2, 3});
  const ResultPlaces broadcast({c10::IValue(shorter)}, [](const at::Tensor&) { return true; });
  broadcast.take(0, torch::arange(3.0).view({1, 3}));
  CHECK(torch::equal(shorter, torch::arange(3.0).expand({2, 3})));
}

TEST_CASE("a result that lies in its place stays there, and one that is not needed is left") {
  const auto place = torch::ones({3});
  const ResultPlaces places({c10::IValue(place), c10::IValue(), c10::IValue(at::Tensor())}, [](const at::Tensor&) { return false; });
  const auto version = place._version();
  places.take(0, place.flip({0}).fill_(2.0));
  CHECK(place.sum().item<double>() == 6.0);
  places.take(0, place.view({3}));
  CHECK(place._version() == version);
  CHECK_FALSE(places.wants(1));
  CHECK(places.wants(2));
  places.take(2, torch::ones({3}));
}

TEST_CASE("each tensor of a list has its place") {
  const std::vector<at::Tensor> targets{torch::zeros({2}), torch::zeros({3}), torch::zeros({2}, torch::kDouble)};
  const ResultPlaces places({c10::IValue(targets)}, [](const at::Tensor&) { return true; });
  places.take(0, c10::IValue(std::vector<at::Tensor>{torch::ones({2}), torch::full({3}, 2.0), torch::full({2}, 3.0)}));
  CHECK(targets[0].sum().item<double>() == 2.0);
  CHECK(targets[1].sum().item<double>() == 6.0);
  CHECK(targets[2].sum().item<double>() == 6.0);
  const auto place = torch::zeros({2});
  const ResultPlaces one({c10::IValue(place)}, [](const at::Tensor&) { return false; });
  one.take(0, c10::IValue(torch::ones({2})));
  CHECK(place.sum().item<double>() == 2.0);
}
