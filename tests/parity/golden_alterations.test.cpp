// SPDX-License-Identifier: MIT
// The golden traces with one field altered at a time: the runner must notice. All of them take minutes, so that a test run
// tries a part; `torch_tests_parity '[.alter]'` tries all.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "support/alterations.hpp"
#include "support/golden_case.hpp"

namespace parity::golden {

namespace {

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& path : json_files(folder() / "golden")) {
    if (path.stem() != "shared") names.push_back(path.stem().string());
  }
  return names;
}

const Json& case_of(const std::string& name) {
  return read_json(folder() / "golden" / (name + ".json"));
}

Vocabulary vocabulary() {
  Vocabulary words;
  for (const auto& name : case_names()) {
    Json file = case_of(name);
    file.erase("trace");
    file.erase("name");
    file.erase("quirk");
    add_words(words, file);
  }
  return words;
}

/// Tries the alterations of a trace whose number `which` says yes to.
void alter(const std::string& name, const Vocabulary& words, Noticed& noticed, std::size_t few,
           const std::function<bool(std::size_t)>& which) {
  Runs runs;
  const Json& file = case_of(name);
  const bool is_double = file.at("dtype") == "float64";
  require_trace(name, file, runs);
  std::size_t number = 0;
  Alterations alterations(
      words,
      [&](const std::string& where, const Json& altered) {
        if (!which(number++)) return;
        Runs own;  // what another configuration does need not be kept
        const bool same_run = altered.contains("config") && altered.at("config") == file.at("config");
        noticed.look("golden/" + name + where, [&] { require_trace(name, altered, same_run ? runs : own); });
      },
      few);
  alterations.fraction = is_double ? 1e-6 : 1e-2;
  alterations.of(file);
}

/// Alters the data and first values that all traces share.
void alter_shared(Noticed& noticed, std::size_t few, const std::function<bool(std::size_t)>& which) {
  Json& data = const_cast<Json&>(shared());  // as it was read; the file stays
  const Json before = data;
  const Vocabulary no_words;
  std::size_t number = 0;
  const auto look = [&](const std::string& where, const Json& altered) {
    if (!which(number++)) return;
    const bool of_gan = where.find("gan") != std::string::npos || where.find("z_train") != std::string::npos;
    const std::string name = of_gan ? "gan_auto" : "opt_sgd_momentum";
    data = altered;
    noticed.look("golden/shared" + where, [&] {
      require_shared();
      Runs runs;
      require_trace(name, case_of(name), runs);
    });
    data = before;
  };
  Alterations alterations(no_words, look, few);
  alterations.fraction = 1e-6;
  alterations.of(before);
}

}  // namespace

TEST_CASE("a golden trace with an altered field fails") {
  const auto words = vocabulary();
  const auto names = case_names();
  Noticed noticed;
  for (std::size_t i = 0; i < names.size(); i += 6) {
    alter(names[i], words, noticed, 3, [&](std::size_t number) { return (number + i) % 60 == 0; });
  }
  alter_shared(noticed, 3, [](std::size_t number) { return number % 20 == 0; });
  INFO(noticed.report());
  CHECK(noticed.noticed > 80);
  CHECK(noticed.overlooked.empty());
}

// Hidden: all of them.
TEST_CASE("every golden trace with any altered field fails", "[.alter]") {
  const auto words = vocabulary();
  Noticed noticed;
  for (const auto& name : case_names()) alter(name, words, noticed, 6, [](std::size_t) { return true; });
  alter_shared(noticed, 3, [](std::size_t) { return true; });
  WARN(noticed.report());
  CHECK(noticed.overlooked.empty());
  for (const auto& pattern : noticed.may_change.idle("golden/")) {
    FAIL_CHECK("a line of unnoticed.txt that no alteration fits: " << pattern);
  }
}

}  // namespace parity::golden
