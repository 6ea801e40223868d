// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/detail/former_names.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>

#include <fulgurite/fulgurite.hpp>

#include "support/files.hpp"
#include "support/notices.hpp"
#include "support/resume.hpp"

namespace fg = fulgurite;

namespace {

struct Net : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return torch::mse_loss(layer->forward(batch.data), batch.target);
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1}))
        .lr_scheduler(fg::ChainedScheduler{fg::CosineAnnealingLR{.t_max = 20},
                                           fg::SequentialLR{{3}, fg::ConstantLR{}, fg::ExponentialLR{.gamma = 0.5}}},
                      fg::EveryStep{});
  }
};

/// The dictionary as it would have been written before.
c10::IValue in_former_names(const c10::IValue& value) {
  const auto former = [](std::string text) {
    for (const auto& [then, now] : fg::detail::former_names) {
      const auto begin = text.find(now);
      if (begin != std::string::npos) return text.replace(begin, now.size(), then);
    }
    return text;
  };
  if (value.isString()) return former(value.toStringRef());
  if (!value.isGenericDict()) return value;
  auto renamed = fg::detail::new_dict(value.toGenericDict().keyType());
  for (const auto& entry : value.toGenericDict()) {
    const c10::IValue key = entry.key().isString() ? c10::IValue(former(entry.key().toStringRef())) : entry.key();
    renamed.insert(key, in_former_names(entry.value()));
  }
  return renamed;
}

}  // namespace

TEST_CASE("a former class name is replaced where it is a whole word") {
  using fg::detail::current_name;
  CHECK(current_name("StepDecay") == "StepLR");
  CHECK(current_name("MultiStepDecay.gamma") == "MultiStepLR.gamma");
  CHECK(current_name("_schedulers.1.OneCycle.max_lr") == "_schedulers.1.OneCycleLR.max_lr");
  CHECK(current_name("CosineAnnealing.period") == "CosineAnnealingLR.t_max");
  CHECK(current_name("CosineAnnealing.min_lr") == "CosineAnnealingLR.min_lr");
  CHECK(current_name("CosineWarmRestarts.period") == "CosineAnnealingWarmRestarts.period");
  CHECK(current_name("Plateau(val_loss)#2") == "ReduceLROnPlateau(val_loss)#2");
  for (const char* name : {"StepLR", "OneCycleLR.max_lr", "ReduceLROnPlateau(val_loss)", "MyStepDecay", "StepDecay2", "exp_avg"}) {
    CHECK(current_name(name) == name);
  }
}

TEST_CASE("a checkpoint with former names of schedules and callbacks goes on") {
  const resume::Scratch file;
  Net model, other;
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.5}};
  resume::train(trainer, 5, 4, 2);
  fg::save_checkpoint(trainer, file.path);
  const auto saved = fg::detail::read_pickle(file.path);
  auto former = saved.toGenericDict().copy();
  for (const char* part : {"training", "callbacks"}) {
    former.insert_or_assign(part, in_former_names(*fg::detail::find(saved, part)));
  }
  REQUIRE(!resume::same(former, saved));
  const auto bytes = torch::pickle_save(former);
  support::write_file(file.path, {bytes.data(), bytes.size()});

  const support::Notices notices;
  fg::Trainer resumed{other, fg::EMAWeightAveraging{.decay = 0.5}};
  fg::load_checkpoint(resumed, file.path);
  CHECK(notices.all.empty());
  fg::save_checkpoint(resumed, file.path);
  CHECK(resume::same(fg::detail::read_pickle(file.path), saved));
}
