// SPDX-License-Identifier: MIT
// A trainer's step on LibTorch is the loop by hand: the same operators in the same order, as many allocations, and no more
// reads on the host.
#include "loops.hpp"

#include <ATen/record_function.h>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

thread_local std::int64_t allocations = 0;  // of this thread: that of the step and of its backward pass

}  // namespace

// They replace those of LibTorch's libraries too: what is counted is all that a step allocates in C++. (Tensors' memory comes
// from elsewhere, and only with operators.)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ sees only one half of the pair at a time
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#pragma GCC diagnostic pop

namespace {

using namespace torch_loops;

/// Operators and nodes of the backward pass that this thread runs while it lives.
class Recording {
 public:
  Recording() {
    running = this;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(&Recording::note)
            .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() {
    at::removeCallback(handle_);
    running = nullptr;
  }

  const std::vector<std::string>& names() const { return names_; }

 private:
  static std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
    const auto name = function.operator_name();
    running->names_.push_back(name ? c10::toString(*name) : std::string(function.name()));
    return nullptr;
  }

  static inline thread_local Recording* running = nullptr;
  std::vector<std::string> names_;
  at::CallbackHandle handle_;
};

struct Measured {
  std::vector<std::string> operators;
  std::int64_t allocations;
  std::int64_t host_reads;
  std::vector<torch::Tensor> parameters;
  std::int64_t global_step;
};

/// 8 steady steps of a training, after 8 that warm up; then 8 more for the allocations.
template <class Model, class Training>
Measured measure(Model& model, Training& training) {
  const fg::Example batch = make_batch();
  const auto train = [&] {
    for (int i = 0; i < 8; ++i) training.step(batch);
  };
  train();
  Measured measured{};
  {
    const Recording recording;
    train();
    measured.operators = recording.names();
  }
  measured.host_reads = std::count_if(measured.operators.begin(), measured.operators.end(), [](const std::string& name) {
    return name.starts_with("aten::_local_scalar_dense") || name.starts_with("aten::item") ||
           name.starts_with("aten::equal") || name.starts_with("aten::is_nonzero");
  });
  const std::int64_t before = allocations;
  train();
  measured.allocations = allocations - before;
  measured.parameters = model.parameters();
  measured.global_step = training.global_step();
  return measured;
}

template <class Model, class LoopByHand, class... Policies>
void compare(Policies... policies) {
  Model trained, trained_by_hand;
  initialize(trained);
  initialize(trained_by_hand);
  ByTrainer<Model, Policies...> by_trainer(trained, policies...);
  LoopByHand by_hand(trained_by_hand);
  const Measured trainer = measure(trained, by_trainer);
  const Measured hand = measure(trained_by_hand, by_hand);

  CHECK(trainer.operators == hand.operators);
  CHECK(trainer.host_reads == hand.host_reads);
  CHECK(trainer.allocations == hand.allocations);
  // It was the same training.
  CHECK(trainer.global_step == hand.global_step);
  REQUIRE(trainer.parameters.size() == hand.parameters.size());
  for (std::size_t i = 0; i < hand.parameters.size(); ++i) CHECK(trainer.parameters[i].equal(hand.parameters[i]));
  // And there was something to count.
  CHECK(std::count(hand.operators.begin(), hand.operators.end(), "aten::addmm") >= 3 * 8);
  CHECK(std::count(hand.operators.begin(), hand.operators.end(), "aten::_fused_adamw_.tensor_lr") >= 2);
  CHECK(hand.allocations > 0);
}

struct Compare {
  template <class Model, class LoopByHand, class... Policies>
  void operator()(const char* name, Policies... policies) const {
    DYNAMIC_SECTION(name) { compare<Model, LoopByHand>(policies...); }
  }
};

}  // namespace

TEST_CASE("a step on LibTorch runs the operators of the loop by hand, in its order, and allocates as often") {
  for_each_training(Compare());
}

TEST_CASE("what is counted would show one operator, one allocation or one read more") {
  Plain model;
  initialize(model);
  ByHand<Plain> by_hand(model);
  const fg::Example batch = make_batch();
  const std::int64_t before = allocations;
  std::size_t operators = 0;
  {
    const Recording recording;
    by_hand.step(batch);
    operators = recording.names().size();
    static_cast<void>(batch.data.sum().item<float>());
    CHECK(recording.names().size() > operators);
    CHECK(std::count(recording.names().begin(), recording.names().end(), "aten::sum") == 1);
    CHECK(std::count(recording.names().begin(), recording.names().end(), "aten::_local_scalar_dense") >= 1);
  }
  CHECK(operators > 0);
  CHECK(allocations > before);
}
