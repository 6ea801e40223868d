// SPDX-License-Identifier: MIT
#include <fulgurite/optim/detail/python_number.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

using fulgurite::detail::PythonNumber;

TEST_CASE("floats keep their digits, and tensors round to their format") {
  const PythonNumber tenth(0.1), single(0.1, torch::kFloat);
  CHECK((tenth * tenth).value() == 0.1 * 0.1);
  CHECK_FALSE((tenth * tenth).type());
  const auto tensor = torch::full({}, 0.1f);
  CHECK((single * tenth).value() == (tensor * 0.1).item<double>());
  CHECK((single - 0.3).value() == (tensor - 0.3).item<double>());
  CHECK((PythonNumber(2.0) / PythonNumber(3.0, torch::kFloat)).value() ==
        (torch::full({}, 3.0f).reciprocal() * 2.0).item<double>());
  CHECK(sqrt(single).value() == tensor.sqrt().item<double>());
  CHECK(single <= tenth);  // compared in float32
  CHECK((PythonNumber(1.0, torch::kBFloat16) / PythonNumber(3.0, torch::kBFloat16)).value() ==
        static_cast<double>(static_cast<float>(c10::BFloat16(1.0f / 3.0f))));
}

TEST_CASE("of two equal numbers the first is taken") {
  const PythonNumber number(1.0), tensor(1.0, torch::kFloat);
  CHECK_FALSE(smaller(number, tensor).type());
  CHECK(smaller(tensor, number).type());
  CHECK(larger(number, PythonNumber(2.0)).value() == 2.0);
}

TEST_CASE("a float and a tensor meet as in torch, on either side") {
  const double values[] = {0.1, 0.3, 1.0, 1.0 / 3.0, 2.7, 5.0, 49.0, -0.7};
  for (const double x : values) {
    const auto tensor = torch::full({}, x, torch::kFloat);
    const PythonNumber of_tensor(tensor.item<double>(), torch::kFloat);
    CHECK(abs(of_tensor).value() == tensor.abs().item<double>());
    CHECK(abs(of_tensor).type() == torch::kFloat);
    for (const double y : values) {
      CAPTURE(x, y);
      const auto single = torch::full({}, y, torch::kFloat);
      CHECK((of_tensor + y).value() == (tensor + y).item<double>());
      CHECK((y + of_tensor).value() == (tensor + y).item<double>());
      CHECK((y - of_tensor).value() == (single - tensor).item<double>());
      CHECK((y * of_tensor).value() == (tensor * y).item<double>());
      CHECK((y / of_tensor).value() == (tensor.reciprocal() * y).item<double>());
      CHECK((of_tensor / PythonNumber(single.item<double>(), torch::kFloat)).value() == (tensor / single).item<double>());
      for (const auto& number : {y - of_tensor, of_tensor - y, y / of_tensor}) CHECK(number.type() == torch::kFloat);
      CHECK((of_tensor < y) == (tensor < single).item<bool>());
      CHECK((of_tensor <= y) == (tensor <= single).item<bool>());
      CHECK((of_tensor > y) == (tensor > single).item<bool>());
      CHECK((of_tensor >= y) == (tensor >= single).item<bool>());
      CHECK((y < of_tensor) == (single < tensor).item<bool>());
      CHECK((y <= of_tensor) == (single <= tensor).item<bool>());
      CHECK((y > of_tensor) == (single > tensor).item<bool>());
      CHECK((y >= of_tensor) == (single >= tensor).item<bool>());
    }
  }
}

TEST_CASE("a tensor rounds to its own format") {
  for (const auto type : {torch::kFloat, torch::kBFloat16, torch::kHalf, torch::kDouble}) {
    for (const double x : {3.0, 5.0, 7.0, 49.0}) {
      const auto quotient = torch::ones({}, type) / torch::full({}, x, type);
      CHECK((PythonNumber(1.0, type) / PythonNumber(x, type)).value() == quotient.item<double>());
    }
  }
}

TEST_CASE("a number that is given no value is a float of 0") {
  CHECK(PythonNumber().value() == 0.0);
  CHECK_FALSE(PythonNumber().type());
}

TEST_CASE("the larger of two equal numbers is the first, too") {
  const PythonNumber number(1.0), tensor(1.0, torch::kFloat);
  CHECK_FALSE(larger(number, tensor).type());
  CHECK(larger(tensor, number).type());
}
