// SPDX-License-Identifier: MIT
// Sequences of one kind of trainer, drawn from a seed.
#pragma once

#include <cstdint>

#include "moves.hpp"
#include "support/drawing.hpp"

namespace sequences {

using support::Drawing;

inline Setup draw_setup(Drawing& draw) {
  Setup setup;
  setup.window = draw.between(1, 4);
  setup.later_window = draw.between(1, 3);
  setup.later_from = draw.between(1, 3);
  setup.full_divisor = draw.below(2);
  setup.clip = draw.one_of({0, 1, 2, 4});
  setup.rate = draw.between(0, 3);
  setup.decay_every = draw.between(1, 3);
  setup.interval = draw.below(3);
  setup.frequency = draw.between(1, 3);
  setup.plateau_interval = draw.below(3);
  setup.plateau_frequency = draw.between(1, 2);
  setup.patience = draw.below(3);
  setup.strict = draw.one_in(4);
  setup.non_finite = draw.below(3);
  setup.first_turn = draw.between(1, 3);
  setup.second_turn = draw.between(1, 2);
  setup.loss_flags = draw.below(6);
  setup.same_name = draw.one_in(3);
  setup.log_every = draw.between(1, 3);
  return setup;
}

/// Hooks that a kind of trainer calls.
inline bool has(const Kind& kind, Hook hook) {
  switch (hook) {
    case Hook::optimizer_zero_grad:
    case Hook::optimizer_step:
    case Hook::configure_gradient_clipping:
    case Hook::lr_scheduler_step:
      return kind.overrides;
    case Hook::validation_scope:
    case Hook::on_save_checkpoint:
      return kind.callbacks;
    case Hook::scope_ends:
      return false;
    case Hook::on_before_zero_grad:
      return !kind.manual;
    default:
      return true;
  }
}

inline Act draw_act(Drawing& draw, const Kind& kind) {
  Act act;
  do {
    act.hook = draw.below(hook_count);
  } while (!has(kind, static_cast<Hook>(act.hook)));
  act.call = draw.one_in(2) ? draw.between(1, 3) : draw.between(1, 12);
  Deed deed = draw.one_of({Deed::fail, Deed::fail, Deed::save, Deed::save, Deed::save, Deed::stop, Deed::stop,
                           Deed::lengthen, Deed::validate, Deed::fit, Deed::step, Deed::finish, Deed::toggle});
  const bool special = draw.one_in(2);
  if (special) {
    switch (static_cast<Hook>(act.hook)) {
      case Hook::on_train_batch_start:
        deed = Deed::end_epoch;
        break;
      case Hook::training_step: {
        deed = draw.one_of({Deed::skip, Deed::nan, Deed::infinity});
        if (deed == Deed::skip && !kind.skips) deed = Deed::nan;
        break;
      }
      case Hook::optimizer_zero_grad:
      case Hook::lr_scheduler_step:
        deed = Deed::skip;
        break;
      case Hook::optimizer_step:
        deed = draw.one_of({Deed::closure_only, Deed::step_twice, Deed::without_closure});
        break;
      default:
        break;
    }
  }
  act.deed = static_cast<int>(deed);
  if (deed == Deed::save) act.file = draw.below(file_count);
  return act;
}

inline Move draw_move(Drawing& draw, const Kind& kind) {
  Move move;
  move.kind =
      draw.one_of<int>({Move::fit, Move::fit, Move::fit, Move::fit, Move::fit, Move::fit, Move::own_loop, Move::own_loop,
                        Move::own_loop, Move::validate, Move::save, Move::load, Move::load, Move::renew, Move::toggle});
  move.data = draw.below(50);
  if (move.kind == Move::fit) {
    move.epochs = draw.one_in(12) ? 0 : draw.between(1, 3);
    move.batches = draw.between(1, 6);
    if (!draw.one_in(3)) move.validation = draw.between(1, 3);
    if (move.validation > 0) move.range = draw.below(3);
    switch (draw.below(5)) {
      case 0:
        move.interval = draw.between(1, 4);
        break;
      case 1:
        move.interval = -1;
        break;
      case 2:
        move.across = draw.between(1, 4);
        break;
      default:
        break;
    }
    if (draw.one_in(4)) move.every_epochs = 2;
    if (draw.one_in(4)) move.sanity = draw.between(1, 2);
    if (draw.one_in(6)) move.train_limit = draw.between(0, 4);
    if (draw.one_in(8)) move.validation_limit = draw.between(0, 2);
    if (draw.one_in(4)) move.steps = draw.between(1, 8);
    if (draw.one_in(5)) move.min_epochs = draw.between(1, 2);
    if (draw.one_in(6)) move.min_steps = draw.between(1, 6);
    if (draw.one_in(12)) move.time_is_over = 1;
  }
  if (move.kind == Move::own_loop) {
    move.batches = draw.between(1, 6);
    move.last = draw.one_in(2);
    move.end_epoch = draw.one_in(2);
  }
  if (move.kind == Move::validate) {
    move.batches = draw.between(1, 3);
    move.prefix = draw.one_in(3);
  }
  if (move.kind == Move::save || move.kind == Move::load) move.file = draw.below(file_count);
  if (move.kind == Move::load) move.anew = draw.below(2);
  if (move.kind == Move::toggle) move.parameter = draw.below(kind.optimizers);
  if (move.kind == Move::fit || move.kind == Move::own_loop || move.kind == Move::validate) {
    for (int acts = draw.below(4); acts > 0; --acts) move.acts.push_back(draw_act(draw, kind));
  }
  return move;
}

inline Sequence draw_sequence(std::uint64_t seed, const Kind& kind) {
  Drawing draw(seed);
  Sequence sequence;
  sequence.setup = draw_setup(draw);
  for (int moves = draw.between(2, 8); moves > 0; --moves) sequence.moves.push_back(draw_move(draw, kind));
  return sequence;
}

}  // namespace sequences
