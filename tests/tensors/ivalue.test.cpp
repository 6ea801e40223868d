// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/ivalue.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace fulgurite::detail;

namespace {

template <class T>
T from(const c10::IValue& value) {
  T to{};
  from_ivalue(value, to);
  return to;
}

c10::IValue tuple_of(std::vector<c10::IValue> values) {
  return c10::ivalue::Tuple::create(std::move(values));
}

}  // namespace

TEST_CASE("values have Python's types") {
  CHECK(to_ivalue(0.5).isDouble());
  CHECK(to_ivalue(true).isBool());
  CHECK(to_ivalue(std::int64_t{3}).isInt());
  CHECK(to_ivalue(std::optional<double>()).isNone());
  CHECK(to_ivalue(std::optional(0.25)).toDouble() == 0.25);
  const auto pair = to_ivalue(std::array{0.5, 2.0});
  REQUIRE(pair.isTuple());
  CHECK(pair.toTupleRef().elements().vec() == std::vector<c10::IValue>{0.5, 2.0});
}

TEST_CASE("a number is read of whatever type Python wrote") {
  CHECK(from<double>(0.5) == 0.5);
  CHECK(from<double>(std::int64_t{3}) == 3.0);
  CHECK(from<double>(torch::full({}, 0.25)) == 0.25);
  CHECK(from<bool>(true));
  CHECK(from<std::int64_t>(std::int64_t{3}) == 3);
  CHECK_THROWS(from<bool>(0.5));
  CHECK_THROWS(from<double>("0.5"));
}

TEST_CASE("None leaves an optional empty, and another value fills it") {
  std::optional<double> value = 1.0;
  from_ivalue(c10::IValue(), value);
  CHECK_FALSE(value.has_value());
  from_ivalue(2.0, value);
  CHECK(value == 2.0);
}

TEST_CASE("several numbers are read of a tuple and of a list, and too few are refused") {
  auto list = new_list();
  list.push_back(0.5);
  list.push_back(std::int64_t{2});
  CHECK(from<std::array<double, 2>>(c10::IValue(list)) == std::array{0.5, 2.0});
  CHECK(from<std::array<double, 2>>(tuple_of({std::int64_t{1}, 0.25})) == std::array{1.0, 0.25});
  CHECK_THROWS_AS((from<std::array<double, 2>>(tuple_of({0.5}))), std::out_of_range);
  CHECK(elements(c10::IValue(0.5)).empty());
}

TEST_CASE("an entry of a dictionary is found by its key") {
  auto dict = new_dict(c10::StringType::get());
  dict.insert("lr", 0.5);
  dict.insert("step", c10::IValue());
  REQUIRE(find(dict, "lr").has_value());
  CHECK(find(dict, "lr")->toDouble() == 0.5);
  REQUIRE(find(dict, "step").has_value());
  CHECK(find(dict, "step")->isNone());
  CHECK_FALSE(find(dict, "eps").has_value());
  CHECK_FALSE(find(c10::IValue(0.5), "lr").has_value());
}
