// SPDX-License-Identifier: MIT
#include <fulgurite/logging/hyperparameters.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>

namespace fg = fulgurite;

TEST_CASE("hyper-parameters keep what they are") {
  const fg::Hyperparameters given{
      {"lr", 3e-3}, {"batch", 32}, {"nesterov", true}, {"model", "mlp"}, {"ratio", 0.5f}};
  CHECK(given[0].value == fg::Hyperparameter::Value(3e-3));
  CHECK(given[1].value == fg::Hyperparameter::Value(std::int64_t{32}));
  CHECK(given[2].value == fg::Hyperparameter::Value(true));
  CHECK(given[3].value == fg::Hyperparameter::Value(std::string("mlp")));
  CHECK(given[4].value == fg::Hyperparameter::Value(0.5));
}
