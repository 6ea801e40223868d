// SPDX-License-Identifier: MIT
#include <fulgurite/logging/json_lines_logger.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "support/temporary_folder.hpp"

namespace fg = fulgurite;

TEST_CASE("an object a line") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "metrics.jsonl";
  const auto written = [&] {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  const std::vector<fg::MetricValue> values{{"loss", 0.25},
                                            {"a\"b", std::numeric_limits<double>::infinity()}};
  {
    fg::JsonLinesLogger logger{.path = path};
    logger.log_hyperparameters({{"lr", 0.5}, {"model", "mlp"}, {"n", 3}, {"on", false}});
    auto copy = logger;
    copy.log_metrics({4, 1, values});
    CHECK(written() ==
          "{\"hyperparameters\":{\"lr\":0.5,\"model\":\"mlp\",\"n\":3,\"on\":false}}\n"
          "{\"step\":4,\"epoch\":1,\"loss\":0.25,\"a\\\"b\":\"inf\"}\n");
  }
  fg::JsonLinesLogger refuses{.path = path};
  CHECK_THROWS_WITH(refuses.setup(), Catch::Matchers::ContainsSubstring("is there already"));
  fg::JsonLinesLogger appends{.path = path, .existing = fg::ExistingFile::append};
  appends.log_metrics({5, 1, {}});
  CHECK(written().ends_with("\"inf\"}\n{\"step\":5,\"epoch\":1}\n"));
}
