// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/archive.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

enum class Mood { good, bad };

struct Inner {
  std::int64_t count = 0;
  template <class Archive>
  void state(Archive& archive) {
    archive("count", count);
  }
};

struct Everything {
  bool flag = false;
  std::int64_t whole = 0;
  double real = 0.0;
  std::string text{};
  Mood mood = Mood::good;
  at::Tensor tensor{}, none{};
  std::optional<double> maybe{}, nothing = 1.0;
  std::vector<std::string> texts{};
  std::vector<Inner> inners{};
  fg::Hyperparameters hyperparameters{};

  template <class Archive>
  void state(Archive& archive) {
    archive("flag", flag);
    archive("whole", whole);
    archive("real", real);
    archive("text", text);
    archive("mood", mood);
    archive("tensor", tensor);
    archive("none", none);
    archive("maybe", maybe);
    archive("nothing", nothing);
    archive("texts", texts);
    archive("inners", inners);
    archive("hyperparameters", hyperparameters);
  }
};

TEST_CASE("every kind of value comes back as it was, through a file too") {
  Everything saved{.flag = true,
                   .whole = std::numeric_limits<std::int64_t>::min(),
                   .real = std::nan(""),
                   .text = "größer",
                   .mood = Mood::bad,
                   .tensor = torch::arange(6).view({2, 3}).t(),
                   .maybe = -0.0,
                   .nothing = std::nullopt,
                   .texts = {"a", "", "b"},
                   .inners = {{3}, {4}},
                   .hyperparameters = {{"lr", 0.1}, {"layers", 2}, {"name", "x"}, {"on", true}}};
  fg::CheckpointWriter writer;
  writer("all", saved);
  Everything loaded{.none = torch::ones({1}), .inners = {{9}}, .hyperparameters = {{"old", 1}}};
  const fg::CheckpointReader reader(torch::pickle_load(torch::pickle_save(writer.ivalue())));
  reader("all", loaded);
  CHECK(loaded.flag);
  CHECK(loaded.whole == saved.whole);
  CHECK(std::isnan(loaded.real));
  CHECK(loaded.text == saved.text);
  CHECK(loaded.mood == Mood::bad);
  CHECK(at::equal(loaded.tensor, saved.tensor));
  CHECK(loaded.tensor.strides() == saved.tensor.strides());
  CHECK(!loaded.none.defined());
  CHECK(std::signbit(loaded.maybe.value()));
  CHECK(!loaded.nothing);
  CHECK(loaded.texts == saved.texts);
  REQUIRE(loaded.inners.size() == 2);
  CHECK(loaded.inners[1].count == 4);
  CHECK((loaded.hyperparameters == saved.hyperparameters));
}

TEST_CASE("what has LibTorch's save and load is kept as its archive") {
  torch::nn::LinearImpl saved(3, 2), loaded(3, 2);
  fg::CheckpointWriter writer;
  writer("layer", saved);
  const fg::CheckpointReader reader(writer.ivalue());
  reader("layer", loaded);
  CHECK(at::equal(saved.weight, loaded.weight));
  writer("weight", saved.weight);
  CHECK_THROWS_WITH(fg::CheckpointReader(writer.ivalue())("weight", loaded),
                    "its weight cannot be loaded: it is not an archive");
}

TEST_CASE("a reader names the place of what is missing, of another kind, or not the same") {
  fg::CheckpointWriter writer;
  writer.part("callbacks", [](auto& part) {
    part("count", 3);
    part.same("class", "Adam", "");
  });
  const fg::CheckpointReader reader(writer.ivalue());
  reader.part("callbacks", [](auto& part) {
    std::string text;
    std::int64_t count = 0;
    CHECK(part.has("count"));
    CHECK(!part.has("other"));
    CHECK_THROWS_WITH(part("other", count),
                      "its callbacks.other is missing: it was saved by another kind of trainer, model or callback. Load it "
                      "into that kind; a hook of yours may ask checkpoint.has(\"other\") first");
    CHECK_THROWS_WITH(part("count", text), "its callbacks.count is of another kind than what it is read into: read it into the "
                                           "type that was saved");
    CHECK_THROWS_WITH(part.same("class", "SGD", "use Adam"),
                      ContainsSubstring("its callbacks.class is Adam there and SGD here: use Adam"));
    part("count", count);
    CHECK(count == 3);
  });
}

}  // namespace
