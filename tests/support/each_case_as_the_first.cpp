// SPDX-License-Identifier: MIT
// The cases of a file run in one process. Each begins with what LibTorch keeps for all as it is in a process that has just
// started, so that no case depends on those before it, and one that is run alone does what it does among the others.
#include <torch/torch.h>

#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

namespace {

class EachCaseAsTheFirst : public Catch::EventListenerBase {
 public:
  using Catch::EventListenerBase::EventListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo&) override {
    torch::manual_seed(c10::default_rng_seed_val);
    c10::set_default_dtype(caffe2::TypeMeta::Make<float>());
    c10::GradMode::set_enabled(true);
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(EachCaseAsTheFirst)
