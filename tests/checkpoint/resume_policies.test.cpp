// SPDX-License-Identifier: MIT
// Precision, storage, frozen steps: a run that was saved anywhere goes on bit for bit.
#include "support/resume.hpp"

#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers.hpp>

namespace {

namespace fg = fulgurite;
using resume::Picture;
using resume::require_resumes;
using resume::require_resumes_anywhere;

struct Adams : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 20}, fg::EveryStep{});
  }
};

TEST_CASE("a run in bfloat16 goes on where it was saved") {
  require_resumes_anywhere<Adams>([](auto& model) {
    return fg::Trainer{model, fg::Bfloat16Mixed{}, fg::Accumulate<3>{}, fg::MaxEpochs{3}};
  });
}

TEST_CASE("parameters that are bfloat16 themselves go on where they were saved") {
  require_resumes<Adams>(12, [](auto& model) { return fg::Trainer{model, fg::Bfloat16True{}, fg::MaxEpochs{3}}; });
}

TEST_CASE("a loss scale that grows and overflows goes on where it was saved") {
  require_resumes_anywhere<Adams>([](auto& model) {
    return fg::Trainer{model,
                       fg::Float16Mixed{.initial_scale = 65536.0 * 65536.0, .backoff_factor = 0.25, .growth_interval = 2},
                       fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{3}};
  });
}

struct Flat : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01}, fg::Contiguous{}))
        .lr_scheduler(fg::CosineAnnealingLR{.t_max = 20}, fg::EveryStep{});
  }
};

TEST_CASE("parameters in one memory go on where they were saved") {
  require_resumes_anywhere<Flat>([](auto& model) {
    return fg::Trainer{model, fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{3}};
  });
}

constexpr auto frozen = [](auto& model) {
  return fg::Trainer{model, fg::Frozen{.strict = true}, fg::Accumulate<4>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{4}};
};

TEST_CASE("a frozen run goes on where it was saved") { require_resumes_anywhere<Adams>(frozen); }

TEST_CASE("a frozen run that is saved in a window, and goes on frozen, is the eager run that never stopped") {
  const resume::Data data;
  const resume::Scratch file;
  torch::manual_seed(3);
  Adams eager;
  fg::Trainer plain{eager, fg::Accumulate<4>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{4}};
  plain.fit(data.train(), data.validation());
  const Picture<Adams> uninterrupted(plain);

  torch::manual_seed(3);
  Adams model;
  model.save_after = 22;
  model.path = file.path;
  auto trainer = frozen(model);
  trainer.fit(data.train(), data.validation());
  REQUIRE(!trainer.frozen().refusal());
  require_same(uninterrupted, Picture<Adams>(trainer));

  SECTION("in another trainer") {
    torch::manual_seed(99);
    Adams other;
    auto resumed = frozen(other);
    fg::load_checkpoint(resumed, file.path);
    resumed.fit(data.train(), data.validation());
    CHECK(resumed.frozen().tapes() > 0);
    require_same(uninterrupted, Picture<Adams>(resumed));
  }
  SECTION("in the same one, which has tapes") {
    REQUIRE(trainer.frozen().tapes() > 0);
    const void* place = model.first->weight.const_data_ptr();
    fg::load_checkpoint(trainer, file.path);
    CHECK(model.first->weight.const_data_ptr() == place);
    trainer.fit(data.train(), data.validation());
    require_same(uninterrupted, Picture<Adams>(trainer));
  }
}

}  // namespace
