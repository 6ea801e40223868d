// SPDX-License-Identifier: MIT
// LibTorch's own loaders as ranges of batches.
#include <fulgurite/concepts/batches.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <torch/data.h>
#include <catch2/catch_test_macros.hpp>

namespace data = fulgurite::data;

namespace {

auto stacked_loader(std::int64_t examples, std::size_t batch_size, std::size_t workers = 0) {
  auto dataset = torch::data::datasets::TensorDataset(at::arange(examples).to(at::kFloat).unsqueeze(1))
                     .map(torch::data::transforms::Stack<torch::data::TensorExample>());
  return torch::data::make_data_loader<torch::data::samplers::SequentialSampler>(
      std::move(dataset), torch::data::DataLoaderOptions(batch_size).workers(workers));
}

using Loader = std::remove_reference_t<decltype(*stacked_loader(1, 1))>;

}  // namespace

static_assert(data::Batches<Loader> && !data::MultiPassBatches<Loader> && !data::SizedBatches<Loader>);
static_assert(!data::Batches<std::unique_ptr<Loader>>);  // `*loader` is the range, `loader` is not
static_assert(std::same_as<data::BatchReference<Loader>, torch::data::TensorExample&>);

TEST_CASE("a LibTorch loader is a range of batches") {
  for (std::size_t workers : {0U, 2U}) {
    auto loader = stacked_loader(5, 2, workers);
    for (int epoch = 0; epoch < 2; ++epoch) {
      std::vector<std::int64_t> lengths;
      std::vector<bool> lasts;
      const auto visited = data::for_each_batch(*loader, [&](auto& batch, bool is_last) {
        lengths.push_back(batch.data.size(0));
        lasts.push_back(is_last);
        return true;
      });
      CHECK(visited == 3);
      CHECK(lengths == std::vector<std::int64_t>{2, 2, 1});
      CHECK(lasts == std::vector<bool>{false, false, true});
    }
  }
  CHECK_FALSE(data::begin_epoch(*stacked_loader(1, 1), 6));  // nothing to tell it
}
