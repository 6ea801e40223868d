// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/per_group.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("one number for all groups, or one for each") {
  const fg::PerGroup everywhere = 0.5;
  CHECK((everywhere.at(0) == 0.5 && everywhere.at(7) == 0.5));
  const fg::PerGroup each = {0.5, 0.25};
  CHECK((each.at(0) == 0.5 && each.at(1) == 0.25));
  CHECK(each.all([](double value) { return value > 0.0; }));
  CHECK(each != everywhere);
  CHECK_NOTHROW(each.require_groups("x", 2));
  CHECK_NOTHROW(everywhere.require_groups("x", 9));
  CHECK_THROWS_WITH(each.require_groups("OneCycleLR.max_lr", 3),
                    "fulgurite: OneCycleLR.max_lr has 2 values, but the optimizer has 3 parameter groups: give one number "
                    "for all, or one for each");
}

TEST_CASE("numbers of groups are printed as they are written") {
  std::ostringstream out;
  out << fg::PerGroup(0.5) << ' ' << fg::PerGroup{0.5, 0.25} << ' ' << fg::PerGroup(std::vector<double>{});
  CHECK(out.str() == "0.5 {0.5, 0.25} {}");
}

TEST_CASE("values for another number of groups are refused by name when a schedule is attached, the first one of several") {
  toy::MomentumRates optimizer{{{1.0, 1.0}}};
  const auto refused = [&](const auto& schedule, const std::string& what) {
    CHECK_THROWS_WITH(fg::schedule(optimizer, schedule),
                      "fulgurite: " + what + ", but the optimizer has 2 parameter groups: give one " +
                          (what.ends_with("values") ? "number" : "function") + " for all, or one for each");
    CHECK(optimizer.lrs == std::vector<double>{1.0, 1.0});
  };
  const fg::PerGroup three{0.5, 0.5, 0.5}, four{0.5, 0.5, 0.5, 0.5};
  refused(fg::SWALR{.target = three}, "SWALR.target has 3 values");
  refused(fg::ReduceLROnPlateau<"loss">{.min_lr = three}, "ReduceLROnPlateau.min_lr has 3 values");

  refused(fg::CyclicLR{.base_lr = three, .max_lr = four}, "CyclicLR.base_lr has 3 values");
  refused(fg::CyclicLR{.max_lr = three, .momentum_range = fg::MomentumRange{.base = four}},
          "CyclicLR.max_lr has 3 values");
  refused(fg::CyclicLR{.max_lr = 1.0, .momentum_range = fg::MomentumRange{.base = three, .max = four}},
          "CyclicLR.momentum_range has 3 values");
  const fg::CyclicLR cycle{.max_lr = 1.0, .momentum_range = fg::MomentumRange{.max = three}};
  refused(cycle, "CyclicLR.momentum_range has 3 values");
  refused(cycle.scaled_by([](std::int64_t) { return 1.0; }), "CyclicLR.momentum_range has 3 values");

  refused(fg::OneCycleLR{.max_lr = three, .total_steps = 9, .momentum_range = fg::MomentumRange{.base = four}},
          "OneCycleLR.max_lr has 3 values");
  refused(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 9, .momentum_range = fg::MomentumRange{.max = three}},
          "OneCycleLR.momentum_range has 3 values");

  const auto half = [](std::int64_t) { return 0.5; };
  refused(fg::MultiplicativeLR{half, half, half}, "MultiplicativeLR has 3 functions");
  refused(fg::LambdaLR{half, half, half}, "LambdaLR has 3 functions");
}
