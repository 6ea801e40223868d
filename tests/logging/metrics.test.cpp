// SPDX-License-Identifier: MIT
#include <fulgurite/logging/metrics.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {

/// A number that lies on a device which counts how often it is waited for.
struct Far {
  double value = 0.0;
  static inline int reads = 0;
  static inline int transfers = 0;
};

/// A number on another device.
struct Farther {
  double halved;
};

}  // namespace

template <>
struct fulgurite::to_number<Far> {
  static double read(const Far& far) {
    ++Far::reads;
    return far.value;
  }
  static bool is_far(const Far&) { return true; }
  static Far keep(const Far& far) { return far; }
  static void read(std::span<const Far> kept, double* values) {
    ++Far::transfers;
    for (const Far& far : kept) *values++ = far.value;
  }
};

template <>
struct fulgurite::to_number<Farther> {
  static double read(const Farther& far) { return 2.0 * far.halved; }
  static bool is_far(const Farther&) { return true; }
  static Farther keep(const Farther& far) { return far; }
  static void read(std::span<const Farther> kept, double* values) {
    for (const Farther& far : kept) *values++ = 2.0 * far.halved;
  }
};

static_assert(fg::ReadLater<Far> && fg::ReadLater<Farther> && !fg::ReadLater<double>);

TEST_CASE("a metric is a weighted mean over the epoch, or the last value") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  metrics.log("mean", 1.0, 3.0, fg::on_epoch, fg::Stage::validation, place);
  metrics.log("mean", 5.0, 1.0, fg::on_epoch, fg::Stage::validation, place);
  metrics.log("last", 7.0, 1.0, fg::on_step, fg::Stage::training, place);
  CHECK(metrics.value("mean") == 2.0);
  CHECK(metrics.value("last") == 7.0);
  CHECK_FALSE(metrics.value("unknown").has_value());
}

TEST_CASE("a metric is found by its name and knows how often it was logged") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  CHECK(metrics.find("loss") == nullptr);
  metrics.log("loss", 1.0, 1.0, fg::on_step, fg::Stage::training, place);
  metrics.log("loss", 2.0, 1.0, fg::on_step, fg::Stage::training, place);
  REQUIRE(metrics.find("loss") != nullptr);
  CHECK(metrics.find("loss")->count == 2);
  CHECK(metrics.find("loss")->last == 2.0);
}

TEST_CASE("a metric is found in whatever order names are logged") {
  fg::Metrics metrics;
  const std::string order = "abcaacbbacab";
  for (std::size_t i = 0; i < order.size(); ++i) {
    metrics.log(order.substr(i, 1), 1.0 * static_cast<double>(i), 1.0, fg::on_step, fg::Stage::training);
  }
  REQUIRE(metrics.all().size() == 3);
  CHECK(metrics.find("a")->count == 5);
  CHECK(metrics.find("b")->count == 4);
  CHECK(metrics.find("c")->count == 3);
  CHECK(metrics.value("a") == 10.0);
  CHECK(metrics.value("b") == 11.0);
  CHECK(metrics.value("c") == 9.0);
}

TEST_CASE("a metric logged for batches and epochs has three names") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  for (const double value : {1.0, 3.0}) {
    place = metrics.place(false);
    metrics.log("x", value, 1.0, fg::on_step | fg::on_epoch, fg::Stage::training, place);
    metrics.log("alone", value, 1.0, fg::on_step, fg::Stage::training, place);
  }
  CHECK(metrics.value("x") == 2.0);
  CHECK(metrics.value("x_step") == 3.0);
  CHECK(metrics.value("x_epoch") == 2.0);
  CHECK(metrics.batch_value("x") == 3.0);
  CHECK(metrics.batch_value("x_step") == 3.0);
  CHECK(metrics.batch_value("x_epoch") == 2.0);
  CHECK(metrics.batch_value("alone") == 3.0);
  for (const char* unknown : {"alone_step", "_step", "x_stop", "x_steps"}) {
    CHECK_FALSE(metrics.value(unknown));
    CHECK_FALSE(metrics.batch_value(unknown));
  }
  CHECK(metrics.values() ==
        std::map<std::string, double>{{"alone", 3.0}, {"x", 2.0}, {"x_epoch", 2.0}, {"x_step", 3.0}});
}

TEST_CASE("one name in two stages is two metrics, and the one logged last answers") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  place = metrics.place(false);
  metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training, place);
  place = metrics.place(false);
  metrics.log("loss", 9.0, 1.0, fg::on_epoch, fg::Stage::validation, place);
  CHECK(metrics.value("loss") == 9.0);
  place = metrics.place(false);
  metrics.log("loss", 3.0, 1.0, fg::on_epoch, fg::Stage::training, place);
  CHECK(metrics.value("loss") == 2.0);  // a validation in the middle of an epoch takes nothing away
  CHECK(metrics.values() == std::map<std::string, double>{{"loss", 2.0}});
}

TEST_CASE("the names of batches and epochs stay known when another stage logs the name") {
  fg::Metrics metrics;
  for (const double value : {1.0, 3.0}) {
    metrics.log("loss", value, 1.0, fg::on_step | fg::on_epoch, fg::Stage::training, metrics.place(false));
  }
  metrics.log("loss", 9.0, 1.0, fg::on_epoch, fg::Stage::validation, metrics.place(false));
  CHECK(metrics.value("loss") == 9.0);
  CHECK(metrics.value("loss_step") == 3.0);
  CHECK(metrics.value("loss_epoch") == 2.0);
  CHECK(metrics.batch_value("loss_step") == 3.0);
  CHECK(metrics.batch_value("loss_epoch") == 2.0);
  CHECK(metrics.values() == std::map<std::string, double>{{"loss", 9.0}, {"loss_epoch", 2.0}, {"loss_step", 3.0}});
  CHECK(metrics.missing("it", "x").find("Known metrics: loss.") != std::string::npos);

  metrics.log("loss", 5.0, 1.0, fg::on_step | fg::on_epoch, fg::Stage::validation, metrics.place(true));
  CHECK(metrics.value("loss_step") == 5.0);  // of two stages that have all three names, the one logged last
}

TEST_CASE("a name that is taken is refused where it is logged, and nothing changes") {
  fg::Metrics metrics;
  metrics.reserve("step");
  metrics.reserve("wall_step");
  const auto log = [&](const char* name, fg::LogFlags flags, fg::Stage stage = fg::Stage::training) {
    metrics.log(name, 1.0, 1.0, flags, stage, metrics.place(false));
  };
  const fg::LogFlags both = fg::on_step | fg::on_epoch;
  CHECK_THROWS_WITH(log("step", fg::on_step),
                    "fulgurite: step cannot be the name of a metric: it is a column that a logger of the trainer writes itself. "
                    "Log step under another name");
  CHECK_THROWS_WITH(log("wall", both),
                    "fulgurite: wall cannot be logged both on_step and on_epoch: that makes wall_step, which is a column that a "
                    "logger of the trainer writes itself. Log wall under another name");
  log("x", both);
  CHECK_THROWS_WITH(log("x_step", fg::on_step),
                    "fulgurite: x_step cannot be the name of a metric: it is what x, logged on_step and on_epoch, is called for "
                    "a batch. Log x_step under another name");
  CHECK_THROWS_WITH(
      log("x_epoch", fg::on_epoch, fg::Stage::validation),
      "fulgurite: x_epoch cannot be the name of a metric: it is what x, logged on_step and on_epoch, is called for "
      "an epoch. Log x_epoch under another name");
  log("y_epoch", fg::on_epoch, fg::Stage::validation);
  CHECK_THROWS_WITH(log("y", both),
                    "fulgurite: y cannot be logged both on_step and on_epoch: that makes y_epoch, which is another metric. "
                    "Log y under another name");
  log("y", fg::on_step);
  metrics.begin_epoch(fg::Stage::training);
  CHECK_THROWS_AS(log("y", both), std::invalid_argument);  // the flags may change from one epoch to the next, this name not
  log("x", both, fg::Stage::validation);                   // one name in two stages
  log("x_step_time", both);
  CHECK(metrics.find("y")->flags == fg::on_step);
  CHECK(metrics.all().size() == 5);
}

TEST_CASE("other flags for one name in one epoch are refused by name") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  const auto log = [&](fg::LogFlags flags) { metrics.log("loss", 1.0, 1.0, flags, fg::Stage::training, place); };
  const std::string sentence =
      "fulgurite: loss was logged twice in one epoch, with different flags: log it in one way, or under two "
      "names";
  place = metrics.place(false);
  log(fg::on_step);
  log(fg::on_step);  // aggregated
  CHECK_THROWS_WITH(log(fg::on_step | fg::prog_bar), sentence);
  place = metrics.place(false);
  CHECK_THROWS_WITH(log(fg::on_epoch), sentence);
  place = metrics.place(true);
  log(fg::on_epoch);  // the epoch's edge may
  CHECK(metrics.find("loss")->epoch_value() == 1.0);
  CHECK_THROWS_WITH(log(fg::epoch_sum), sentence);
  metrics.begin_epoch(fg::Stage::training);
  place = metrics.place(false);
  log(fg::on_step);
  CHECK(metrics.find("loss")->count == 4);
}

TEST_CASE("other flags are refused within a batch also before it has weighed anything in the epoch") {
  fg::Metrics metrics;
  const fg::LogPlace place = metrics.place(false);
  metrics.log("loss", 1.0, 0.0, fg::on_step, fg::Stage::training, place);  // of an empty batch
  CHECK_THROWS_AS(metrics.log("loss", 1.0, 0.0, fg::on_epoch, fg::Stage::training, place), std::invalid_argument);
}

TEST_CASE("other flags are taken from one epoch to the next, and refused if a value on a device belongs to this one") {
  fg::Metrics metrics;
  metrics.log("loss", Far{1.0}, 1.0, fg::on_step, fg::Stage::training, metrics.place(false));
  CHECK_THROWS_AS(metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training, metrics.place(false)),
                  std::invalid_argument);
  metrics.begin_epoch(fg::Stage::training);
  metrics.log("loss", 5.0, 1.0, fg::on_epoch, fg::Stage::training, metrics.place(false));
  CHECK(metrics.value("loss") == 5.0);
}

TEST_CASE("a place that is not given is in a batch, before all calls") {
  CHECK(fg::Metrics().place(false).calls_before == fg::LogPlace().calls_before);
  fg::Metrics metrics;
  metrics.log("empty", 1.0, 0.0, fg::on_step, fg::Stage::training);
  CHECK_THROWS_AS(metrics.log("empty", 1.0, 0.0, fg::on_epoch, fg::Stage::training), std::invalid_argument);
  metrics.log("loss", 1.0, 1.0, fg::on_step, fg::Stage::training);
  CHECK_THROWS_AS(metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training, metrics.place(false)),
                  std::invalid_argument);
  metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training, metrics.place(true));
}

TEST_CASE("a missing metric: the message names those that are known, and says if no validation has logged any") {
  fg::Metrics metrics;
  const auto message = [&] { return metrics.missing("EarlyStopping", "val_loss"); };
  const std::string begin =
      "fulgurite: EarlyStopping follows the metric val_loss, which has not been logged yet. Known metrics: ";
  const std::string early =
      ". No validation has logged anything yet: if one is to log val_loss, it must come first (give fit a validation range; "
      "fg::ValidateEvery validates within epochs). Else log it";
  const std::string end = " with step.log(\"val_loss\", value), or set .strict = false, which waits for it";
  CHECK(message() == begin + "none" + early + end);
  metrics.log("b", 1.0, 1.0, fg::on_step, fg::Stage::training);
  CHECK(message() == begin + "b" + early + end);
  metrics.log("a", 1.0, 1.0, fg::on_step, fg::Stage::validation);
  CHECK(message() == begin + "b, a. Log it" + end);
}

TEST_CASE("metrics from a checkpoint are those that were saved, whatever was logged before") {
  fg::Metrics saved;
  saved.log("loss", 1.0, 2.0, fg::on_step | fg::on_epoch, fg::Stage::training, saved.place(false));
  saved.begin_epoch(fg::Stage::training);
  saved.log("loss", Far{4.0}, 2.0, fg::on_step | fg::on_epoch, fg::Stage::training, saved.place(false));
  saved.log("edge", 7.0, 1.0, fg::epoch_max, fg::Stage::validation, saved.place(true));
  toy::Entries entries;
  toy::detail::Archive<false> to(entries);
  saved.state(to);

  fg::Metrics loaded;
  for (const char* name : {"edge", "a", "b", "c", "edge", "a", "b", "c"}) {
    loaded.log(name, Far{9.0}, 1.0, fg::on_step, fg::Stage::training, loaded.place(false));
  }
  toy::detail::Archive<true> from(entries);
  loaded.state(from);
  REQUIRE(loaded.all().size() == saved.all().size());
  for (std::size_t i = 0; i < saved.all().size(); ++i) {
    const fg::Metric &is = loaded.all()[i], &was = saved.all()[i];
    INFO(was.name);
    CHECK(is.name == was.name);
    CHECK(is.stage == was.stage);
    CHECK(is.flags == was.flags);
    CHECK(is.step_name == was.step_name);
    CHECK(is.epoch_name == was.epoch_name);
    CHECK(is.last == was.last);
    CHECK(is.reduced == was.reduced);
    CHECK(is.weight == was.weight);
    CHECK(is.epoch_before == was.epoch_before);
    CHECK(is.count == was.count);
    CHECK(is.call == was.call);
    CHECK(is.at_edge == was.at_edge);
  }
  CHECK(loaded.value("loss_step") == 4.0);
  CHECK(loaded.place(false).calls_before == saved.place(false).calls_before);
  loaded.log("c", 1.0, 1.0, fg::on_step, fg::Stage::training, loaded.place(false));  // another one than before
  REQUIRE(loaded.all().size() == 3);
  CHECK(loaded.all().back().count == 1);
}

TEST_CASE("what an edge of the epoch logged is not part of the mean of its batches") {
  fg::Metrics metrics;
  metrics.log("loss", 100.0, 1.0, fg::on_epoch, fg::Stage::training, metrics.place(true));
  metrics.log("loss", 2.0, 1.0, fg::on_step | fg::on_epoch, fg::Stage::training, metrics.place(false));
  CHECK(metrics.value("loss") == 2.0);
}

TEST_CASE("two reductions for one name are refused") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  CHECK_THROWS_WITH(metrics.log("loss", 1.0, 1.0, fg::epoch_sum | fg::epoch_max, fg::Stage::training, place),
                    "fulgurite: loss is logged with two of fg::epoch_sum, fg::epoch_min and fg::epoch_max: "
                    "keep one, or log "
                    "it under two names");
  CHECK(metrics.all().empty());
}

TEST_CASE("values on a device are waited for when somebody looks, all at once") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  Far::reads = Far::transfers = 0;
  for (int i = 1; i <= 100; ++i) {
    Far far{static_cast<double>(i)};
    place = metrics.place(false);
    metrics.log("far", far, 2.0, fg::on_step | fg::on_epoch, fg::Stage::training, place);
    metrics.log("near", 10.0 * i, 1.0, fg::on_step, fg::Stage::training, place);
    far.value = -1.0;
  }
  CHECK(Far::transfers == 0);
  CHECK(metrics.value("far") == 50.5);
  CHECK(metrics.value("far_step") == 100.0);
  CHECK(metrics.value("near") == 1000.0);
  CHECK(Far::transfers == 1);
  CHECK(Far::reads == 0);
}

TEST_CASE("near and far values of one metric are taken in the order in which they were logged") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  metrics.log("x", Far{1.0}, 1.0, fg::on_step, fg::Stage::training, place);
  metrics.log("x", 2.0, 1.0, fg::on_step, fg::Stage::training, place);
  CHECK(metrics.value("x") == 2.0);
}

TEST_CASE("whoever looks at all metrics sees what was kept on a device") {
  fg::Metrics metrics;
  metrics.log("far", Far{4.0}, 1.0, fg::on_step, fg::Stage::training);
  CHECK(metrics.all().at(0).last == 4.0);
}

TEST_CASE("values on several devices and on the host are each read from where they are") {
  fg::Metrics metrics;
  for (int i = 1; i <= 3; ++i) {
    metrics.log("far", Far{1.0 * i}, 1.0, fg::epoch_sum, fg::Stage::training);
    metrics.log("farther", Farther{10.0 * i}, 1.0, fg::epoch_sum, fg::Stage::training);
    metrics.log("near", 0.5 * i, 1.0, fg::epoch_sum, fg::Stage::training);
  }
  CHECK(metrics.value("far") == 6.0);
  CHECK(metrics.value("farther") == 120.0);
  CHECK(metrics.value("near") == 3.0);
}

TEST_CASE("the number of values that are kept on a device is limited") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  Far::transfers = 0;
  for (std::size_t i = 0; i < fg::Metrics::most_kept; ++i) {
    metrics.log("far", Far{1.0}, 1.0, fg::on_step, fg::Stage::training, place);
  }
  CHECK(Far::transfers == 1);
  CHECK(metrics.value("far") == 1.0);
  CHECK(Far::transfers == 1);
}

TEST_CASE("an epoch gets what was kept in it") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  metrics.log("far", Far{4.0}, 1.0, fg::on_epoch, fg::Stage::training, place);
  metrics.begin_epoch(fg::Stage::training);
  metrics.log("far", Far{6.0}, 1.0, fg::on_epoch, fg::Stage::training, place);
  CHECK(metrics.value("far") == 6.0);
}

namespace {
/// Remembers where the numbers of a step lie, and logs what lies there again: as a replayed step does.
struct Recorder {
  struct Call {
    std::string name;
    const Far* source;
    double weight;
    fg::LogFlags flags;
    fg::Stage stage;
  };
  std::vector<Call> calls;
  int others = 0;

  fg::LogListener listener() {
    return {[](void* self, const fg::LogCall& call) { static_cast<Recorder*>(self)->add(call); }, this};
  }
  void add(const fg::LogCall& call) {
    if (const Far* source = call.number.source<Far>()) {
      calls.push_back({std::string(call.name), source, call.weight, call.flags, call.stage});
    } else {
      ++others;
    }
  }
  void replay(fg::Metrics& metrics) const {
    const auto place = metrics.place(false);
    for (const Call& call : calls) metrics.log(call.name, *call.source, call.weight, call.flags, call.stage, place);
  }
};
}  // namespace

TEST_CASE("a listener takes the calls, and sees what it needs to log a step again") {
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  Recorder recorder;
  Far loss{1.0};  // at its fixed address
  metrics.log("loss", loss, 2.0, fg::on_epoch, fg::Stage::training, place);
  const fg::LogListener listener = recorder.listener();
  metrics.set_listener(&listener);
  place = metrics.place(false);
  loss.value = 2.0;
  metrics.log("loss", loss, 2.0, fg::on_epoch, fg::Stage::training, place);
  metrics.log("count", 5, 1.0, fg::on_step, fg::Stage::training, place);
  metrics.set_listener(nullptr);
  CHECK(recorder.calls.size() == 1);
  CHECK(recorder.others == 1);
  loss.value = 6.0;
  recorder.replay(metrics);
  CHECK(metrics.value("loss") == 3.5);
  CHECK(metrics.find("loss")->count == 2);
  CHECK(metrics.find("loss")->weight == 4.0);
  CHECK(recorder.calls.size() == 1);
}
