// SPDX-License-Identifier: MIT
// What loggers are told, and when.
#include <fulgurite/loop/logbook.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

struct Row {
  std::int64_t step;
  std::int64_t epoch;
  std::map<std::string, double> values;

  friend bool operator==(const Row&, const Row&) = default;
};
using Rows = std::vector<Row>;

/// A logger that remembers. (A trainer takes several callbacks of different types.)
template <int number = 0>
struct Memory {
  using slot = fg::slots::Callback;
  std::shared_ptr<Rows> rows = std::make_shared<Rows>();
  std::shared_ptr<fg::Hyperparameters> parameters = std::make_shared<fg::Hyperparameters>();

  void log_metrics(const fg::MetricsRow& row) {
    Row copy{row.step, row.epoch, {}};
    for (const auto& [name, value] : row.values) copy.values[std::string(name)] = value;
    rows->push_back(copy);
  }
  void log_hyperparameters(const fg::Hyperparameters& given) { *parameters = given; }
};

struct Model : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("batch", batch);
    step.log("both", batch, fg::on_step | fg::on_epoch);
    if (batch == 1.0) step.log("first", batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto& step) { step.log("val", batch); }
  void on_train_epoch_end(auto& step) { step.log("end", step.epoch()); }
};

}  // namespace

namespace {
template <class... Policies>
std::vector<std::string> said_of_epochs(std::int64_t batches, Policies... policies) {
  Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}, policies...};
  const support::Notices notices;
  trainer.fit(toy::counting(static_cast<int>(batches)));
  return notices.all;
}
using Said = std::vector<std::string>;
}  // namespace

TEST_CASE("epochs that end before a logger gets a batch's metrics are mentioned when a fit begins, and the advice gives rows") {
  const Memory<> memory;
  CHECK(said_of_epochs(49, memory) ==
        Said{"fulgurite: an epoch has at most 49 batches that step the optimizers, fewer than fg::LogEvery{50}: there are epochs "
             "in which loggers get no batch's values. For some in each, give the trainer fg::LogEvery{49} or less"});
  const auto of_batches = [&](std::int64_t epoch) {
    return std::count_if(memory.rows->begin(), memory.rows->end(),
                         [&](const Row& row) { return row.epoch == epoch && row.values.contains("batch"); });
  };
  CHECK(of_batches(0) == 0);
  CHECK(of_batches(1) == 1);
  memory.rows->clear();
  CHECK(said_of_epochs(49, memory, fg::LogEvery{49}).empty());
  CHECK(of_batches(0) == 1);
  CHECK(of_batches(1) == 1);

  CHECK(said_of_epochs(50, memory).empty());
  CHECK(said_of_epochs(98, memory, fg::Accumulate<2>{}).front().starts_with("fulgurite: an epoch has at most 49 batches that step"));
  CHECK(said_of_epochs(99, memory, fg::Accumulate<2>{}).empty());  // the last one steps alone
  CHECK(said_of_epochs(99, memory, fg::LimitBatches{.train = fg::Batches{1}}) ==
        Said{"fulgurite: an epoch has at most 1 batch that steps the optimizers, fewer than fg::LogEvery{50}: there are epochs "
             "in which loggers get no batch's values. For some in each, give the trainer fg::LogEvery{1} or less"});
  // Without a logger, in a rehearsal, and where there is nothing left to train, there is nothing to say.
  CHECK(said_of_epochs(3).empty());
  CHECK(said_of_epochs(3, memory, fg::FastDevRun{}).empty());
  CHECK(said_of_epochs(3, memory, fg::MaxSteps{0}).size() == 1);  // that it trains nothing
}

TEST_CASE("loggers get every n-th batch, then the validation, then the epoch") {
  Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory, fg::LogEvery{2}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(3), toy::Range{5.0, 7.0});
  CHECK(*memory.rows == Rows{
                            {1, 0, {{"batch", 2.0}, {"both_step", 2.0}}},
                            {2, 0, {{"val", 6.0}}},
                            {2, 0, {{"both_epoch", 2.0}, {"end", 0.0}}},
                            {3, 1, {{"batch", 1.0}, {"both_step", 1.0}, {"first", 1.0}}},
                            {5, 1, {{"batch", 3.0}, {"both_step", 3.0}}},
                            {5, 1, {{"val", 6.0}}},
                            {5, 1, {{"both_epoch", 2.0}, {"end", 1.0}}},
                        });
}

TEST_CASE("what on_validation_end logs is in the row of its validation") {
  struct LogsAtEnd : Model {
    void on_validation_end(fg::Step<LogsAtEnd>& step) { step.log("end_of_validation", 4.0); }
  } model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory};
  trainer.validate(toy::Range{5.0});
  CHECK(*memory.rows == Rows{{0, 0, {{"val", 5.0}, {"end_of_validation", 4.0}}}});
}

TEST_CASE("in a window of batches the last one's values count, and steps are windows") {
  Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, memory, fg::LogEvery{1}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(5));
  CHECK(*memory.rows == Rows{
                            {0, 0, {{"batch", 2.0}, {"both_step", 2.0}}},
                            {1, 0, {{"batch", 4.0}, {"both_step", 4.0}}},
                            {2, 0, {{"batch", 5.0}, {"both_step", 5.0}}},
                            {2, 0, {{"both_epoch", 3.0}, {"end", 0.0}}},
                        });
}

TEST_CASE("several loggers, in manual mode, 50 batches from one row to the next") {
  struct Manual : toy::Model {
    void training_step(double batch, fg::Step<Manual>& step) { step.log("batch", batch); }
  } model;
  const Memory<1> one;
  const Memory<2> two;
  fg::Trainer trainer{model, fg::ManualOptimization{}, one, two, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(120));
  CHECK(*one.rows == Rows{{49, 0, {{"batch", 50.0}}}, {99, 0, {{"batch", 100.0}}}});
  CHECK(*two.rows == *one.rows);
}

namespace {
/// Writes a row of its own whenever loggers get the batch.
struct Writes {
  using slot = fg::slots::Callback;
  void on_train_batch_start(double batch, auto& step) { write("start", batch, step); }
  void on_train_batch_end(const auto&, double batch, auto& step) { write("end", batch, step); }

 private:
  static void write(const char* name, double batch, auto& step) {
    const fg::MetricValue value{name, batch};
    if (step.logging_due()) step.write_row({&value, 1});
  }
};
}  // namespace

TEST_CASE("a callback's rows are written at once, and whether a batch is due is the same in all of its hooks") {
  toy::Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, Writes{}, memory, fg::LogEvery{2}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(*memory.rows == Rows{{1, 0, {{"start", 2.0}}}, {1, 0, {{"end", 2.0}}}});
}

namespace {
struct LooksAt {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;
  std::shared_ptr<std::vector<double>> seen = std::make_shared<std::vector<double>>();
  void on_train_batch_end(const auto&, double, auto& step) { seen->push_back(step.metrics().value("end").value_or(-1.0)); }
};
}  // namespace

TEST_CASE("what a callback writes in a row of its own is a metric, which no other row repeats") {
  toy::Model model;
  const LooksAt looks;  // before the one that writes
  fg::Trainer trainer{model, looks, Memory<>{}, Writes{}, fg::LogEvery{2}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(4));
  CHECK(trainer.metric("start") == 4.0);
  CHECK(trainer.metrics().values() == std::map<std::string, double>{{"end", 4.0}, {"start", 4.0}});
  CHECK(*looks.seen == std::vector<double>{-1.0, 2.0, 2.0, 4.0});
}

namespace {
struct WritesBadly {
  using slot = fg::slots::Callback;
  std::vector<fg::MetricValue> row;
  void on_train_batch_end(const auto&, double, auto& step) { step.write_row(row); }
};
struct LogsName : toy::Model {
  const char* name = "x";
  auto training_step(double batch, auto& step) {
    step.log(name, batch);
    return toy::Loss{&weight, batch};
  }
};
/// A logger with columns of its own.
struct Timed : Memory<3> {
  static constexpr std::array<std::string_view, 2> own_columns{"step", "time"};
};
}  // namespace

TEST_CASE("a row that cannot be told from others is refused, and no logger gets it") {
  const auto refusal = [](std::vector<fg::MetricValue> row) {
    LogsName model;
    const Memory<> memory;
    fg::Trainer trainer{model, memory, WritesBadly{row}, fg::LogEvery{1}, fg::MaxEpochs{1}};
    std::string message;
    try {
      trainer.fit(toy::counting(1));
    } catch (const std::invalid_argument& error) {
      message = error.what();
    }
    CHECK(memory.rows->empty());
    return message;
  };
  CHECK(refusal({{"a", 1.0}, {"a", 2.0}}) ==
        "fulgurite: a row for the loggers has two values called a: give one of them another name");
  CHECK(refusal({{"epoch", 1.0}}).starts_with("fulgurite: epoch cannot be the name of a metric"));
  CHECK(refusal({{"x", 1.0}}).starts_with("fulgurite: x was logged twice in one epoch"));
}

TEST_CASE("a metric cannot be called like a column that a logger adds, whichever logger it is") {
  LogsName model;
  const auto accepts = [&](auto logger, const char* name) {
    model.name = name;
    fg::Trainer trainer{model, logger, fg::MaxEpochs{1}};
    try {
      trainer.fit(toy::counting(1));
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).starts_with(std::string("fulgurite: ") + name + " cannot be the name of a metric"));
      return false;
    }
    return true;
  };
  CHECK_FALSE(accepts(Memory<>{}, "step"));
  CHECK_FALSE(accepts(Memory<>{}, "epoch"));
  CHECK(accepts(Memory<>{}, "time"));
  CHECK_FALSE(accepts(Timed{}, "time"));
  CHECK(accepts(Timed{}, "epoch"));
  CHECK(accepts(LooksAt{}, "step"));  // no logger
}

TEST_CASE("a validation with a prefix has metrics and columns of its own") {
  Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory, fg::LogEvery{10}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(2), toy::Range{5.0});
  memory.rows->clear();
  trainer.validate(toy::Range{7.0, 9.0}, "test_");
  CHECK(*memory.rows == Rows{{1, 1, {{"test_val", 8.0}}}});
  CHECK(trainer.metric("val") == 5.0);
  CHECK(trainer.metric("test_val") == 8.0);
  trainer.validate(toy::Range{3.0});
  CHECK(trainer.metric("val") == 3.0);
  CHECK(trainer.metric("test_val") == 8.0);
}

namespace {
struct FailsOnce : toy::Model {
  void validation_step(double batch, auto& step) {
    if (batch < 0.0) throw std::runtime_error("broken batch");
    step.log("val", batch);
  }
};
struct LogsInVain : toy::Model {
  void validation_step(double batch, auto& step) {
    CHECK_THROWS_AS(step.log("both", batch, fg::epoch_sum | fg::epoch_min), std::invalid_argument);
    step.log("val", batch);
  }
};
struct WritesInValidation {
  using slot = fg::slots::Callback;
  void on_validation_epoch_end(auto& step) {
    const fg::MetricValue value{"row", 4.0};
    step.write_row({&value, 1});
  }
};
}  // namespace

TEST_CASE("the prefix ends with its validation, also by an exception, and holds for rows that callbacks write") {
  FailsOnce model;
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(trainer.validate(toy::Range{1.0, -1.0}, "test_"), "broken batch");
  trainer.validate(toy::Range{2.0});
  CHECK(trainer.metric("val") == 2.0);

  LogsInVain in_vain;
  fg::Trainer refused{in_vain};
  refused.validate(toy::Range{2.0}, "test_");  // goes on with the prefix after a log that is refused
  CHECK(refused.metric("test_val") == 2.0);
  CHECK_FALSE(refused.metric("val"));

  const Memory<> memory;
  fg::Trainer logged{model, memory, WritesInValidation{}};
  logged.validate(toy::Range{2.0}, "test_");
  CHECK(*memory.rows == Rows{{0, 0, {{"test_row", 4.0}}}, {0, 0, {{"test_val", 2.0}}}});
  CHECK(logged.metric("test_row") == 4.0);
  CHECK_FALSE(logged.metric("row"));
}

namespace {
/// Validates on another range within a validation, and logs afterwards.
struct Nests : toy::Model {
  std::function<void()> inner = [] {};
  void validation_step(double batch, auto& step) { step.log("val", batch); }
  void on_validation_epoch_end(auto& step) {
    if (auto nested = std::exchange(inner, nullptr)) {
      nested();
      step.log("later", 1.0);
    }
  }
};
}  // namespace

TEST_CASE("a validation within a validation has the prefixes of both, and the outer one's holds after it") {
  for (const std::string prefix : {"inner_", ""}) {
    Nests model;
    fg::Trainer trainer{model};
    model.inner = [&] { trainer.validate(toy::Range{7.0}, prefix); };
    trainer.validate(toy::Range{5.0}, "outer_");
    CHECK(trainer.metric("outer_" + prefix + "val") == 7.0);
    CHECK(trainer.metric("outer_later") == 1.0);
    CHECK_FALSE(trainer.metric("later"));
    trainer.validate(toy::Range{3.0});
    CHECK(trainer.metric("val") == 3.0);
  }
}

TEST_CASE("two hyper-parameters of one name are refused") {
  toy::Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory};
  CHECK_THROWS_WITH(trainer.log_hyperparameters({{"lr", 1.0}, {"n", 2}, {"lr", 3.0}}),
                    "fulgurite: two hyper-parameters are called lr: give one of them another name");
  CHECK(trainer.hyperparameters().empty());
  CHECK(memory.parameters->empty());
}

TEST_CASE("in a loop that the program owns, and by a validation alone") {
  Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory, fg::LogEvery{2}};
  auto loop = trainer.loop();
  for (const double batch : {2.0, 4.0}) loop.step(batch);
  loop.end_epoch();
  trainer.validate(toy::Range{5.0});
  CHECK(*memory.rows == Rows{{1, 0, {{"batch", 4.0}, {"both_step", 4.0}}},
                             {1, 0, {{"both_epoch", 3.0}, {"end", 0.0}}},
                             {1, 1, {{"val", 5.0}}}});
}

TEST_CASE("an interval of no batches is refused") {
  toy::Model model;
  CHECK_THROWS_WITH((fg::Trainer{model, fg::LogEvery{0}}), "fulgurite: LogEvery must be 1 or more steps");
}

TEST_CASE("hyper-parameters reach loggers and stay in the trainer") {
  toy::Model model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory};
  trainer.log_hyperparameters({{"lr", 3e-3}, {"model", "mlp"}});
  CHECK(memory.parameters->size() == 2);
  CHECK(*memory.parameters == trainer.hyperparameters());
}

namespace {
struct Edges : toy::Model {
  fg::LogFlags flags;
  void on_train_epoch_end(auto& step) { step.log("x", 1.0, flags); }
};
struct Weighted : toy::Model {
  std::optional<double> weight_of_next;
  auto training_step(double batch, auto& step) {
    step.log("mean", batch, fg::on_epoch, fg::Weight{weight_of_next.value_or(batch)});
    return toy::Loss{&weight, batch};
  }
};
}  // namespace

TEST_CASE("around an epoch, where there is no batch, nothing is logged on_step") {
  Edges model;
  model.flags = fg::on_step;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(
      trainer.fit(toy::counting(1)),
      "fulgurite: x is logged on_step, but not in a batch: in the hooks around epochs use fg::on_epoch");
}

TEST_CASE("a value may have a weight of its own, above 0") {
  Weighted model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0});
  CHECK(trainer.metric("mean") == 2.5);
  trainer.set_limit(fg::MaxEpochs{2});
  const auto refusal = [&](double weight) {
    model.weight_of_next = weight;
    try {
      trainer.fit(toy::Range{1.0});
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal(-1.0) == "fulgurite: mean is logged with a weight of -1: a weight is finite and above 0");
  CHECK(refusal(0.0) == "fulgurite: mean is logged with a weight of 0: a weight is finite and above 0");
  CHECK(refusal(std::numeric_limits<double>::infinity()) ==
        "fulgurite: mean is logged with a weight of inf: a weight is finite and above 0");
  CHECK(refusal(std::nan("")) == "fulgurite: mean is logged with a weight of nan: a weight is finite and above 0");
}

namespace {
/// Validates by itself in a hook of a batch, and logs single values there.
struct ValidatesInHook : toy::Model {
  std::function<void()> validate;

  auto training_step(double batch, auto& step) {
    step.log("batch", batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto& step) { step.log("val", batch, fg::on_step); }
  void on_train_batch_end(const auto&, double, auto&) { validate(); }
};
}  // namespace

TEST_CASE("the row of a batch has nothing of a validation that one of its hooks made") {
  ValidatesInHook model;
  const Memory<> memory;
  fg::Trainer trainer{model, memory, fg::LogEvery{1}};
  model.validate = [&] { trainer.loop().validate(toy::Range{5.0}); };
  trainer.loop().step(2.0);
  CHECK(*memory.rows == Rows{{0, 0, {{"batch", 2.0}}}});
  CHECK(trainer.metric("val") == 5.0);
}
