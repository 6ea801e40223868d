// SPDX-License-Identifier: MIT
#include <fulgurite/averaging/swapped_weights.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>

namespace fg = fulgurite;

TEST_CASE("other values are in the tensors for a scope, in the same memory, also when it ends by an exception") {
  const auto tensor = torch::ones({2}, torch::requires_grad());
  const auto* place = tensor.data_ptr<float>();
  const auto check_own = [&] {
    CHECK(torch::equal(tensor, torch::ones({2})));
    CHECK(tensor.data_ptr<float>() == place);
    CHECK(tensor.requires_grad());
  };
  {
    const fg::SwappedWeights scope({{tensor, torch::full({2}, 5.0)}});
    CHECK(torch::equal(tensor, torch::full({2}, 5.0)));
    CHECK(tensor.data_ptr<float>() == place);
    {
      const fg::SwappedWeights inner({{tensor, torch::full({2}, 7.0, torch::kDouble)}});
      CHECK(torch::equal(tensor, torch::full({2}, 7.0)));
    }
    CHECK(torch::equal(tensor, torch::full({2}, 5.0)));
  }
  check_own();
  try {
    const fg::SwappedWeights scope({{tensor, torch::full({2}, 5.0)}});
    throw std::runtime_error("validation failed");
  } catch (const std::runtime_error&) {
  }
  check_own();
}

TEST_CASE("a swap that cannot be made changes nothing") {
  const auto first = torch::ones({2});
  const auto second = torch::ones({2});
  CHECK_THROWS(fg::SwappedWeights({{first, torch::zeros({2})}, {second, torch::zeros({3})}}));
  CHECK(torch::equal(first, torch::ones({2})));
  CHECK(torch::equal(second, torch::ones({2})));
}

TEST_CASE("the scope may be moved") {
  const auto tensor = torch::ones({2});
  {
    fg::SwappedWeights scope({{tensor, torch::zeros({2})}});
    const fg::SwappedWeights moved(std::move(scope));
    CHECK(torch::equal(tensor, torch::zeros({2})));
  }
  CHECK(torch::equal(tensor, torch::ones({2})));
}

TEST_CASE("what is written into a buffer stays, and is noted; what is not written goes back") {
  const auto written = torch::full({2}, 3.0), untouched = torch::full({2}, 3.0), of_nan = torch::full({1}, 3.0);
  const auto sees = std::make_shared<bool>(false), sees_not = std::make_shared<bool>(false), nan = std::make_shared<bool>(false);
  const auto run = [&](bool fails) {
    const fg::SwappedWeights scope({{written, torch::full({2}, 5.0), sees},
                                    {untouched, torch::full({2}, 5.0, torch::kDouble), sees_not},
                                    {of_nan, torch::full({1}, NAN), nan}});
    written.add_(1.0);
    if (fails) throw std::runtime_error("validation failed");
  };
  SECTION("to the end") { run(false); }
  SECTION("up to an exception") { CHECK_THROWS_AS(run(true), std::runtime_error); }
  CHECK(torch::equal(written, torch::full({2}, 6.0)));
  CHECK(*sees);
  CHECK(torch::equal(untouched, torch::full({2}, 3.0)));
  CHECK_FALSE(*sees_not);
  CHECK(of_nan.item<double>() == 3.0);
  CHECK_FALSE(*nan);
}

TEST_CASE("a tensor counts as written if its values, shape or format are others than those that were swapped in") {
  const auto value = torch::full({1}, 5.0);
  const auto is_written = [&](const auto& act) {
    const auto tensor = torch::ones({1});
    const auto written = std::make_shared<bool>(false);
    {
      const fg::SwappedWeights scope({{tensor, value, written}});
      act(tensor);
    }
    if (!*written) CHECK(torch::equal(tensor, torch::ones({1})));
    return *written;
  };
  CHECK_FALSE(is_written([](const torch::Tensor&) {}));
  CHECK_FALSE(is_written([&](const torch::Tensor&) { value.fill_(9.0); }));  // the scope has a copy
  value.fill_(5.0);
  CHECK(is_written([](const torch::Tensor& tensor) { tensor.fill_(5.5); }));
  CHECK(is_written([](const torch::Tensor& tensor) { tensor.set_data(torch::full({3}, 5.0)); }));
  CHECK(is_written([](const torch::Tensor& tensor) { tensor.set_data(torch::full({1}, 5.0, torch::kDouble)); }));
}

TEST_CASE("a swap that cannot be made takes no buffer for written") {
  const auto first = torch::ones({2}), second = torch::ones({2}), third = torch::ones({2});
  const auto written = std::make_shared<bool>(false);
  CHECK_THROWS(fg::SwappedWeights(
      {{first, torch::zeros({2}), written}, {second, torch::zeros({3}), written}, {third, torch::zeros({2}), written}}));
  for (const auto& tensor : {first, second, third}) CHECK(torch::equal(tensor, torch::ones({2})));
  CHECK_FALSE(*written);
}
