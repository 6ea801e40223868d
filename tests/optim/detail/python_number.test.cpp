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
