// SPDX-License-Identifier: MIT
#include <fulgurite/optim/detail/gradient_list.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <utility>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("a list of gradients holds what it keeps, and nothing that it borrows, until it lets go") {
  const auto kept = torch::ones({2}), borrowed = torch::zeros({3});
  fg::detail::GradientList list;
  list.keep(kept);
  list.borrow(borrowed);
  CHECK(list.size() == 2);
  CHECK(kept.use_count() == 2);
  CHECK(borrowed.use_count() == 1);
  {
    fg::detail::GradientList moved(std::move(list));
    list.let_go();
    CHECK(kept.use_count() == 2);
    fg::detail::GradientList assigned;
    assigned = std::move(moved);
    moved.let_go();
    CHECK(kept.use_count() == 2);
    CHECK(assigned.size() == 2);
    CHECK(assigned[0].is_same(kept));
    CHECK(assigned[1].is_same(borrowed));
    assigned.let_go();
    CHECK(kept.use_count() == 1);
    CHECK(assigned.size() == 0);
    assigned = std::vector<torch::Tensor>{borrowed};
    CHECK(borrowed.use_count() == 2);
    CHECK(assigned[0].is_same(borrowed));
  }
  CHECK(kept.use_count() == 1);
  CHECK(borrowed.use_count() == 1);
}
