// SPDX-License-Identifier: MIT
// Steps that set gradients to 0 and add to them, in which a tape may not or must not write the gradient at once: replays do what
// the step does.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include <fulgurite/frozen.hpp>
#include <fulgurite/frozen/detail/fingerprint.hpp>

namespace fg = fulgurite;

namespace {

/// The batch is `x`; `g` is a gradient, `y` and `z` what else the step writes.
struct Tensors {
  torch::Tensor x = torch::empty({2, 4}), g = torch::empty({2, 4}), y = torch::empty({2, 4}), z = torch::empty({2, 4});

  void set(int round) {
    double first = 10.0 * round;
    for (auto* tensor : {&x, &g, &y, &z}) tensor->copy_(torch::arange(8).view({2, 4}).add(first += 100.0));
  }
};
using Step = std::function<void(Tensors&)>;

/// Each replay does what the step does, from tensors as it finds them.
fg::Tape require_same(const Step& step) {
  const torch::NoGradGuard no_grad;
  Tensors recorded;
  recorded.set(0);
  auto tape = fg::Tape::record([&] { step(recorded); }, {recorded.x});
  for (int round = 1; round < 4; ++round) {
    Tensors eager;
    eager.set(round);
    recorded.set(round);
    step(eager);
    tape.replay();
    CHECK(fg::detail::same_bits(eager.g, recorded.g));
    CHECK(fg::detail::same_bits(eager.y, recorded.y));
    CHECK(fg::detail::same_bits(eager.z, recorded.z));
  }
  return tape;
}

std::vector<std::string> names(const fg::Tape& tape) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < tape.size(); ++i) all.push_back(tape.operator_name(i));
  return all;
}

/// An operator has written the gradient itself, and no tensor of its own.
bool is_direct(const fg::Tape& tape) {
  std::ostringstream listing;
  listing << tape;
  return listing.str().find("0 + gradient\n") != std::string::npos;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a gradient that is zeroed and added to is made in its place") {
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          t.g.add_(t.x.neg());
        })) == Names{"aten::neg.out", "0 + gradient"});
  // The result of the operator has another shape.
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          t.g.add_(t.x.view({8}).neg().view({2, 4}));
        })) == Names{"aten::neg.out", "0 + gradient"});
  // Two that lie in one memory, of which all is written.
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          t.g.select(0, 0).add_(t.x.select(0, 0).neg());
          t.g.select(0, 1).add_(t.x.select(0, 1).neg());
        })).size() == 4);
  // Of which only one is.
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          t.g.select(0, 0).add_(t.x.select(0, 0).neg());
        })).front() == "aten::zero_");
}

TEST_CASE("the operator that makes what is added writes the gradient itself, if no one else needs what it makes") {
  const auto direct = [](const Step& step) { return is_direct(require_same(step)); };
  CHECK(direct([](Tensors& t) {
    t.y.copy_(t.z);
    t.g.zero_();
    t.z.mul_(2.0);
    t.g.add_(t.x.neg());
    t.y.mul_(t.z);
  }));
  CHECK(direct([](Tensors& t) {  // in another shape
    t.g.zero_();
    t.g.add_(t.x.view({8}).neg().view({2, 4}));
  }));
  CHECK(direct([](Tensors& t) {  // transposed alike
    t.g.zero_();
    t.g.t().add_(t.x.t().neg());
  }));
  CHECK(direct([](Tensors& t) {  // one of two results, by an operator without a variant that writes into them
    t.g.zero_();
    t.g.select(0, 0).add_(std::get<0>(torch::std_mean(t.x, 0)));
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // read after
    t.g.zero_();
    const auto made = t.x.neg();
    t.g.add_(made);
    t.y.mul_(made);
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // read before, by an operator that makes something
    t.g.zero_();
    const auto made = t.x.neg();
    t.y.copy_(made.exp());
    t.g.add_(made);
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // changed before
    t.g.zero_();
    const auto made = t.x.neg();
    made.mul_(3.0);
    t.g.add_(made);
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // made before the gradient is zeroed
    const auto made = t.x.neg();
    t.y.copy_(t.g);
    t.g.zero_();
    t.g.add_(made);
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // a part
    t.g.zero_();
    t.g.select(0, 1).add_(t.x.neg().select(0, 1));
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // where a kernel might compute otherwise
    t.g.zero_();
    t.g.view({8}).narrow(0, 3, 4).add_(t.x.select(0, 1).neg());
  }));
  CHECK_FALSE(direct([](Tensors& t) {  // older than the step
    t.g.zero_();
    t.g.add_(t.x);
  }));
}

TEST_CASE("what is added to a zeroed gradient is copied, if others read it") {
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          const auto made = t.x.neg();
          t.g.add_(made);
          t.y.mul_(made);
        })) == Names{"aten::neg.out", "0 + gradient", "aten::mul_.Tensor"});
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          const auto made = t.x.neg();
          t.y.mul_(made);
          t.g.add_(made);
        })) == Names{"aten::neg.out", "aten::mul_.Tensor", "0 + gradient"});
  require_same([](Tensors& t) {  // one element of it
    t.g.zero_();
    const auto made = t.x.neg();
    t.g.add_(made);
    t.y.view({8}).narrow(0, 3, 1).add_(made.view({8}).narrow(0, 5, 1), 0.5);
  });
  require_same([](Tensors& t) {  // changed before it is added
    t.g.zero_();
    const auto made = t.x.neg();
    made.mul_(3.0);
    t.g.add_(made);
  });
  require_same([](Tensors& t) {  // a part of what the operator makes
    t.g.zero_();
    t.g.select(0, 1).add_(t.x.neg().select(0, 1));
    t.g.select(0, 0).add_(t.x.exp().select(0, 1));
  });
}

TEST_CASE("a gradient that is read between is not written before") {
  require_same([](Tensors& t) {
    const auto made = t.x.neg();
    t.y.copy_(t.g);
    t.g.zero_();
    t.g.add_(made);
  });
  require_same([](Tensors& t) {
    t.g.zero_();
    const auto made = t.x.neg();
    t.y.copy_(t.g);
    t.g.add_(made);
  });
}

TEST_CASE("a gradient that is not 0 everywhere when it is added to is added to") {
  const auto adds = [](const Step& before) {
    const auto all = names(require_same([&](Tensors& t) {
      before(t);
      t.g.add_(t.x.neg());
    }));
    CHECK(all.back() == "aten::add_.Tensor");
  };
  adds([](Tensors& t) { t.g.fill_(1.0); });
  adds([](Tensors& t) { t.g.select(0, 0).zero_(); });
  adds([](Tensors& t) { t.g.select(0, 1).zero_(); });
  adds([](Tensors& t) {  // a single element is written after
    t.g.zero_();
    t.g.view({8}).narrow(0, 3, 1).add_(t.y.view({8}).narrow(0, 2, 1), 0.5);
  });
  adds([](Tensors& t) {
    t.g.zero_();
    t.g.add_(t.y, 0.5);
  });
  require_same([](Tensors& t) {  // every other element is 0
    t.g.view({8}).slice(0, 0, 8, 2).zero_();
    t.g.view({8}).narrow(0, 3, 1).add_(t.x.view({8}).narrow(0, 3, 1).neg());
  });
}

TEST_CASE("what is added with a factor, in another format or broadcast is added") {
  CHECK(names(require_same([](Tensors& t) {
          t.g.zero_();
          t.g.add_(t.x.neg(), 2.0);
        })).back() == "aten::add_.Tensor");
  require_same([](Tensors& t) {
    t.g.zero_();
    t.g.add_(2.0);
  });
  require_same([](Tensors& t) {
    t.g.zero_();
    t.g.add_(t.x.narrow(0, 1, 1).neg());
  });
  require_same([](Tensors& t) {
    t.g.zero_();
    t.g.add_(t.x.to(torch::kDouble).neg());
  });
  require_same([](Tensors& t) {
    const auto whole = t.g.view(torch::kInt32);
    whole.zero_();
    whole.add_(t.x.to(torch::kInt32).neg());
  });
  require_same([](Tensors& t) {  // transposed
    t.g.zero_();
    t.g.view({4, 2}).t().add_(t.x.neg());
  });
  require_same([](Tensors& t) {
    t.g.zero_();
    t.g.t().add_(t.x.t().neg());
  });
}
