// SPDX-License-Identifier: MIT
// Hooks around gradients and the update, in the order of their calls. In a window of accumulated batches the first two
// come once, with its first batch, and the last four once, with its last:
//   on_before_zero_grad, optimizer_zero_grad   after the forward pass; the second replaces optimizer.zero_grad()
//   on_before_backward, on_after_backward      the loss is the one that training_step returned, undivided
//   optimizer_step                replaces optimizer.step(closure), and runs the closure exactly once
//   on_before_optimizer_step      gradients are complete and not yet clipped
//   configure_gradient_clipping   replaces the clipping policy; step.clip_gradients(optimizer, policy) clips
//   lr_scheduler_step             replaces scheduler.step()
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(on_before_zero_grad, "void on_before_zero_grad(auto& optimizer, auto& step)");
FULGURITE_HOOK(optimizer_zero_grad, "void optimizer_zero_grad(auto& optimizer, auto& step)");
FULGURITE_HOOK(on_before_backward, "void on_before_backward(const auto& loss, auto& step)");
FULGURITE_HOOK(on_after_backward, "void on_after_backward(auto& step)");
FULGURITE_HOOK(optimizer_step, "void optimizer_step(auto& optimizer, auto&& closure, auto& step)");
FULGURITE_HOOK(on_before_optimizer_step, "void on_before_optimizer_step(auto& optimizer, auto& step)");
FULGURITE_HOOK(configure_gradient_clipping, "void configure_gradient_clipping(auto& optimizer, auto& step)");
FULGURITE_HOOK(lr_scheduler_step, "void lr_scheduler_step(auto& scheduler, auto& step)");

/// The host has a hook that comes between the forward pass and the end of the backward pass.
template <class Host>
inline constexpr bool act_within_closure =
    present<on_before_zero_grad_hook, Host> || present<optimizer_zero_grad_hook, Host> ||
    present<on_before_backward_hook, Host> || present<on_after_backward_hook, Host>;

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
