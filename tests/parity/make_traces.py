#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes traces/: what torch.optim and torch.optim.lr_scheduler of Python PyTorch do, step by step.

Needs the `torch` package only. `python make_traces.py` writes the files, `python make_traces.py --check` says whether
running it again would change one. The format stands in README.md beside this file.
"""

import argparse
import io
import json
import math
import pathlib
import sys
import warnings

import torch

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 30


# ------------------------------------------------------------------------------------------------ the problem
# loss = mean(log(cosh(s * tanh(x w + b) - y))) + 0.02 * sum of squares of w, b and s: smooth, not quadratic, with three
# parameters of two shapes; the squares keep LBFGS from running off along flat directions, where rounding grows. It is
# computed in float64 whatever the parameters are, and the gradients are rounded to their dtype: a float32 trace is about
# the optimizer's rounding, not about that of one machine's matrix product, which Adam would amplify.
# Muon takes matrices only, so its problem has w and s as a matrix of one row.

ROWS, INPUTS, OUTPUTS = 10, 3, 3


def numbers(count, seed):
    """`count` doubles in [-1, 1) from a generator that any language can repeat (and no version of torch changes)."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 11) / 2**52 - 1.0)
    return out


DATA = {
    "x": [1.5 * v for v in numbers(ROWS * INPUTS, 1)],
    "y": [v for v in numbers(ROWS * OUTPUTS, 2)],
}
INITIAL = {
    "w": [0.6 * v for v in numbers(INPUTS * OUTPUTS, 3)],
    "b": [0.3 * v for v in numbers(OUTPUTS, 4)],
    "s": [1.0 + 0.2 * v for v in numbers(OUTPUTS, 5)],
}
SHAPES = {"x": [ROWS, INPUTS], "y": [ROWS, OUTPUTS], "w": [INPUTS, OUTPUTS], "b": [OUTPUTS], "s": [OUTPUTS]}


def shape_of(name, config):
    return [1, OUTPUTS] if config.get("matrices") and name in ("b", "s") else SHAPES[name]


class Problem:
    def __init__(self, config, values=INITIAL):
        self.dtype = getattr(torch, config["dtype"])
        self.config = config
        self.x, self.y = (torch.tensor(DATA[n], dtype=torch.float64).reshape(SHAPES[n]) for n in "xy")
        self.p = {n: self.parameter(values[n], shape_of(n, config)) for n in "wbs"}

    def parameter(self, values, shape):
        return torch.tensor(values, dtype=torch.float64).reshape(shape).to(self.dtype).requires_grad_()

    def loss(self):
        p = {n: self.p[n].to(torch.float64) for n in "wbs"}
        fit = torch.log(torch.cosh(p["s"] * torch.tanh(self.x @ p["w"] + p["b"]) - self.y)).mean()
        return fit + 0.02 * (p["w"].square().sum() + p["b"].square().sum() + p["s"].square().sum())

    def flat(self):
        return [v for n in "wbs" for v in plain(self.p[n])]


def plain(tensor):
    """The elements as Python floats with the shortest decimals that give the same number back, in the tensor's dtype."""
    values = tensor.detach().reshape(-1)
    if tensor.dtype == torch.float64:
        return values.tolist()
    return [shortest_float32(v) for v in values.tolist()]


def shortest_float32(value):
    if not math.isfinite(value):
        return value
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if torch.tensor(short, dtype=torch.float64).to(torch.float32).item() == value:
            return short
    return value


# ------------------------------------------------------------------------------------------------ optimizers

def optimizer_config(name, kind, options=None, groups=None, **more):
    return {"name": name, "optimizer": kind, "options": options or {}, "groups": groups or [{"params": ["w", "b", "s"]}],
            "dtype": more.pop("dtype", "float64"), **more}


def optimizer_configs():
    two = lambda first, second: [{"params": ["w"], **first}, {"params": ["b", "s"], **second}]
    absent = {"b": [0, 3, 4, 11], "s": [7, 8, 9, 10, 11, 12]}  # steps in which a parameter gets no gradient
    norm = lambda v, p=2: {"norm": v, "norm_type": p}
    c = optimizer_config
    base = {
        "SGD": {"lr": 0.3, "momentum": 0.9}, "Adam": {"lr": 0.05}, "AdamW": {"lr": 0.05}, "NAdam": {"lr": 0.05},
        "RAdam": {"lr": 0.05}, "Adamax": {"lr": 0.05}, "Adagrad": {"lr": 0.2}, "Adadelta": {"lr": 1.0},
        "RMSprop": {"lr": 0.02}, "Rprop": {"lr": 0.02}, "ASGD": {"lr": 0.3}, "Adafactor": {"lr": 0.05},
    }

    yield c("sgd", "SGD", {"lr": 0.5})
    yield c("sgd_momentum", "SGD", base["SGD"])
    yield c("sgd_dampening", "SGD", {"lr": 0.3, "momentum": 0.8, "dampening": 0.4})
    yield c("sgd_nesterov", "SGD", {"lr": 0.3, "momentum": 0.9, "nesterov": True})
    yield c("sgd_weight_decay", "SGD", {"lr": 0.5, "weight_decay": 0.1})
    yield c("sgd_everything", "SGD", {"lr": 0.2, "momentum": 0.7, "weight_decay": 0.05, "nesterov": True, "maximize": True})
    yield c("sgd_two_groups", "SGD", {"lr": 0.5}, two({"lr": 0.2, "momentum": 0.9}, {"weight_decay": 0.1}))
    yield c("sgd_float32", "SGD", {"lr": 0.3, "momentum": 0.9, "nesterov": True}, dtype="float32")

    for kind, extra in (("Adam", {"weight_decay": 0.1}), ("AdamW", {"weight_decay": 0.3})):
        low = kind.lower()
        yield c(low, kind, base[kind])
        yield c(f"{low}_weight_decay", kind, {**base[kind], **extra})
        yield c(f"{low}_amsgrad", kind, {"lr": 0.2, "amsgrad": True, "betas": [0.5, 0.6]})
        yield c(f"{low}_maximize", kind, {**base[kind], "maximize": True})
        yield c(f"{low}_betas_eps", kind, {"lr": 0.03, "betas": [0.7, 0.95], "eps": 1e-3})
        yield c(f"{low}_everything", kind, {"lr": 0.03, "betas": [0.8, 0.9], "eps": 1e-4, "amsgrad": True, "maximize": True, **extra})
        yield c(f"{low}_two_groups", kind, {"lr": 0.05}, two({"lr": 0.01, "betas": [0.5, 0.9]}, {"weight_decay": 0.2}))
        yield c(f"{low}_float32", kind, {**base[kind], **extra}, dtype="float32")
    yield c("adam_decoupled", "Adam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True})
    yield c("adam_zero_beta1", "Adam", {"lr": 0.03, "betas": [0.0, 0.9]})

    yield c("nadam", "NAdam", base["NAdam"])
    yield c("nadam_weight_decay", "NAdam", {"lr": 0.03, "weight_decay": 0.1, "momentum_decay": 0.02})
    yield c("nadam_decoupled", "NAdam", {"lr": 0.012, "weight_decay": 0.1, "decoupled_weight_decay": True, "betas": [0.8, 0.99]})
    yield c("nadam_maximize", "NAdam", {"lr": 0.03, "maximize": True, "eps": 1e-4})
    yield c("nadam_two_groups", "NAdam", {"lr": 0.05}, two({"momentum_decay": 0.1}, {"lr": 0.01}))

    yield c("radam", "RAdam", base["RAdam"])
    yield c("radam_short_memory", "RAdam", {"lr": 0.05, "betas": [0.5, 0.7]})
    yield c("radam_weight_decay", "RAdam", {"lr": 0.05, "weight_decay": 0.1, "eps": 1e-3})
    yield c("radam_decoupled", "RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True})
    yield c("radam_maximize", "RAdam", {"lr": 0.05, "maximize": True})

    yield c("adamax", "Adamax", base["Adamax"])
    yield c("adamax_weight_decay", "Adamax", {"lr": 0.03, "weight_decay": 0.1, "betas": [0.8, 0.9]})
    yield c("adamax_maximize", "Adamax", {"lr": 0.03, "maximize": True, "eps": 1e-3})

    yield c("adagrad", "Adagrad", base["Adagrad"])
    yield c("adagrad_lr_decay", "Adagrad", {"lr": 0.3, "lr_decay": 0.05, "initial_accumulator_value": 0.1})
    yield c("adagrad_weight_decay", "Adagrad", {"lr": 0.1, "weight_decay": 0.1, "eps": 1e-3})
    yield c("adagrad_maximize", "Adagrad", {"lr": 0.05, "maximize": True})
    yield c("adagrad_two_groups", "Adagrad", {"lr": 0.1}, two({"lr_decay": 0.1}, {"lr": 0.3, "weight_decay": 0.05}))

    yield c("adadelta", "Adadelta", base["Adadelta"])
    yield c("adadelta_rho_eps", "Adadelta", {"lr": 0.8, "rho": 0.8, "eps": 1e-4})
    yield c("adadelta_weight_decay", "Adadelta", {"lr": 1.0, "weight_decay": 0.1, "maximize": True})

    yield c("rmsprop", "RMSprop", base["RMSprop"])
    yield c("rmsprop_momentum", "RMSprop", {"lr": 0.01, "momentum": 0.8, "alpha": 0.9})
    yield c("rmsprop_centered", "RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2})
    yield c("rmsprop_everything", "RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.7, "alpha": 0.95, "weight_decay": 0.05, "eps": 1e-3})
    yield c("rmsprop_maximize", "RMSprop", {"lr": 0.01, "maximize": True})
    yield c("rmsprop_float32", "RMSprop", {"lr": 0.02, "momentum": 0.5}, dtype="float32")

    yield c("rprop", "Rprop", base["Rprop"])
    yield c("rprop_etas_sizes", "Rprop", {"lr": 0.05, "etas": [0.4, 1.5], "step_sizes": [1e-3, 0.1]})
    yield c("rprop_maximize", "Rprop", {"lr": 0.01, "maximize": True})

    yield c("asgd", "ASGD", base["ASGD"])
    yield c("asgd_averaging", "ASGD", {"lr": 0.3, "t0": 5.0, "lambd": 0.01, "alpha": 0.6})
    yield c("asgd_weight_decay", "ASGD", {"lr": 0.2, "weight_decay": 0.1, "maximize": True})

    yield c("lbfgs", "LBFGS", {"lr": 0.3}, steps=4)
    yield c("lbfgs_history", "LBFGS", {"lr": 0.3, "max_iter": 4, "history_size": 3}, steps=15)
    yield c("lbfgs_max_eval", "LBFGS", {"lr": 0.4, "max_iter": 10, "max_eval": 3}, steps=15)
    yield c("lbfgs_tolerances", "LBFGS", {"lr": 0.5, "max_iter": 8, "tolerance_grad": 1e-3, "tolerance_change": 1e-5}, steps=6)
    yield c("lbfgs_strong_wolfe", "LBFGS", {"lr": 0.8, "max_iter": 5, "line_search_fn": "strong_wolfe"}, steps=8)
    # First lengths that are too long, so that searches interpolate; and none close to the minimum, where a search tells
    # losses apart that differ by rounding, and PyTorch's own numbers differ between processors.
    yield c("lbfgs_strong_wolfe_history", "LBFGS", {"lr": 10.0, "max_iter": 2, "max_eval": 8, "history_size": 4, "line_search_fn": "strong_wolfe"}, steps=5)

    yield c("adafactor", "Adafactor", base["Adafactor"])
    yield c("adafactor_options", "Adafactor", {"lr": 0.03, "beta2_decay": -0.6, "eps": [1e-16, 1e-2], "d": 1.5, "weight_decay": 0.05})
    yield c("adafactor_maximize", "Adafactor", {"lr": 0.02, "maximize": True})
    yield c("adafactor_two_groups", "Adafactor", {"lr": 0.05}, two({"lr": 0.01}, {"weight_decay": 0.1, "d": 2.0}))

    yield c("muon", "Muon", {"lr": 0.02}, matrices=True, steps=12)
    yield c("muon_plain_momentum", "Muon", {"lr": 0.02, "momentum": 0.8, "nesterov": False, "weight_decay": 0.0}, matrices=True, steps=12)
    yield c("muon_match_rms_adamw", "Muon", {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "weight_decay": 0.2}, matrices=True, steps=12)

    # Each kind with a parameter that gets no gradient in some steps; LBFGS sees all gradients as one vector.
    for kind, options in base.items():
        yield c(f"{kind.lower()}_absent_gradients", kind, options, absent=absent)

    for kind in ("SGD", "Adam", "AdamW", "Adagrad"):
        low = kind.lower()
        yield c(f"{low}_clip_norm", kind, base[kind], clip=norm(0.05))
        yield c(f"{low}_clip_value", kind, base[kind], clip={"value": 0.01})
    yield c("rmsprop_clip_norm", "RMSprop", base["RMSprop"], clip=norm(0.05))
    yield c("lbfgs_clip_value", "LBFGS", {"lr": 0.05, "max_iter": 3}, clip={"value": 0.03}, steps=12)
    yield c("sgd_clip_infinity_norm", "SGD", base["SGD"], clip=norm(0.02, "inf"))
    yield c("adam_clip_infinity_norm", "Adam", base["Adam"], clip=norm(0.02, "inf"))
    yield c("sgd_clip_one_norm", "SGD", base["SGD"], clip=norm(0.2, 1))
    yield c("sgd_clip_norm_above", "SGD", base["SGD"], clip=norm(100.0))
    yield c("adam_clip_norm_two_groups", "Adam", {"lr": 0.05}, two({}, {"lr": 0.01, "weight_decay": 0.1}), clip=norm(0.05))
    yield c("adam_clip_norm_float32", "Adam", base["Adam"], clip=norm(0.05), dtype="float32")


def make_optimizer(config, problem):
    groups = [{**g, "params": [problem.p[n] for n in g["params"]]} for g in config["groups"]]
    kind = getattr(torch.optim, config["optimizer"])
    if config["optimizer"] == "LBFGS":
        groups = groups[0]["params"]
    return kind(groups, **config["options"])


def clip(config, problem):
    rule = config.get("clip")
    parameters = problem.p.values()
    if rule and "norm" in rule:
        torch.nn.utils.clip_grad_norm_(parameters, rule["norm"], norm_type=float(rule["norm_type"]))
    elif rule:
        torch.nn.utils.clip_grad_value_(parameters, rule["value"])


def run_optimizer(config, problem, optimizer, first, steps):
    """Trace of the steps first .. first+steps-1. A row's loss and rates are those before the update, its parameters
    those after it. LBFGS: the loss of the first evaluation, and how many there were."""
    trace = {"loss": [], "lr": [], "parameters": [], "evaluations": []}
    for step in range(first, first + steps):
        losses = []

        def closure():
            optimizer.zero_grad()
            loss = problem.loss()
            loss.backward()
            for name, absent in config.get("absent", {}).items():
                if step in absent:
                    problem.p[name].grad = None
            clip(config, problem)
            losses.append(plain(loss)[0])
            return loss

        trace["lr"].append([float(g["lr"]) for g in optimizer.param_groups])
        if config["optimizer"] == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        trace["loss"].append(losses[0])
        trace["parameters"].append(problem.flat())
        trace["evaluations"].append(len(losses))
    if config["optimizer"] != "LBFGS":
        del trace["evaluations"]
    if all(row == trace["lr"][0] for row in trace["lr"]):
        trace["lr"] = trace["lr"][:1]
    return trace


def optimizer_traces(files):
    for config in optimizer_configs():
        steps = config.pop("steps", STEPS)
        problem = Problem(config)
        optimizer = make_optimizer(config, problem)
        trace = run_optimizer(config, problem, optimizer, 0, steps)
        assert all(math.isfinite(v) for row in trace["parameters"] for v in row), config["name"]
        add(files, f"optimizers/{config['name']}.json", {**config, "trace": trace})


def state_configs():
    two = [{"params": ["w"], "lr": 0.05}, {"params": ["b", "s"]}]
    late = {"s": list(range(12))}  # has no state yet when the others' is saved
    c = optimizer_config
    yield c("sgd", "SGD", {"lr": 0.3, "weight_decay": 0.01})
    yield c("sgd_momentum", "SGD", {"lr": 0.3, "momentum": 0.9, "weight_decay": 0.01})
    yield c("adam_amsgrad", "Adam", {"lr": 0.1, "amsgrad": True, "betas": [0.5, 0.6]}, two)
    yield c("adamw", "AdamW", {"lr": 0.05, "weight_decay": 0.3}, absent=late)
    yield c("nadam", "NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}, two)
    yield c("radam", "RAdam", {"lr": 0.05}, absent=late)
    yield c("adamax", "Adamax", {"lr": 0.05, "weight_decay": 0.1})
    yield c("adagrad", "Adagrad", {"lr": 0.2, "lr_decay": 0.05, "initial_accumulator_value": 0.1})
    yield c("adadelta", "Adadelta", {"lr": 1.0, "rho": 0.8}, absent=late)
    yield c("rmsprop", "RMSprop", {"lr": 0.01, "momentum": 0.8, "centered": True})
    yield c("rprop", "Rprop", {"lr": 0.02, "etas": [0.4, 1.3]})
    yield c("asgd", "ASGD", {"lr": 0.3, "lambd": 0.01, "t0": 4.0}, absent=late)
    yield c("adafactor", "Adafactor", {"lr": 0.05, "weight_decay": 0.05}, two)
    yield c("muon", "Muon", {"lr": 0.02, "momentum": 0.9, "adjust_lr_fn": "match_rms_adamw"}, matrices=True)
    yield c("lbfgs", "LBFGS", {"lr": 0.3, "max_iter": 3, "history_size": 3}, saved_after=4, following=5)
    yield c("lbfgs_strong_wolfe", "LBFGS", {"lr": 0.8, "max_iter": 3, "line_search_fn": "strong_wolfe"}, saved_after=3, following=4)


def state_traces(files):
    """A state that Python saved after some steps, and what followed."""
    for config in state_configs():
        saved_after, following = config.pop("saved_after", 8), config.pop("following", 12)
        problem = Problem(config)
        optimizer = make_optimizer(config, problem)
        run_optimizer(config, problem, optimizer, 0, saved_after)
        add(files, f"states/{config['name']}.state", saved(optimizer.state_dict()))
        start = {n: plain(p) for n, p in problem.p.items()}
        trace = run_optimizer(config, problem, optimizer, saved_after, following)
        add(files, f"states/{config['name']}.json", {**config, "saved_after": saved_after, "initial": start, "trace": trace})


def saved(state):
    """torch.save's bytes; its archive has no time stamps, so that the same state gives the same bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------ schedules

LAMBDAS = {
    "pow0.95": lambda n: 0.95**n,
    "warm10": lambda n: min(1.0, (n + 1) / 10),
    "mul0.97": lambda n: 0.97,
    "inverse": lambda n: 1.0 / (1.0 + 0.1 * n),
    "alternate": lambda n: 0.9 if n % 2 else 1.05,
    "cycle_inverse": lambda n: 1.0 / n,
    "step_half": lambda n: 0.5 ** (n / 20.0),
}


def schedule(kind, *subs, **args):
    return {"type": kind, "args": args, **({"subs": list(subs)} if subs else {})}


def schedule_configs():
    s = schedule

    def c(name, *schedules, groups=({"lr": 0.1},), steps=64, kind="SGD", **more):
        return {"name": name, "optimizer": kind, "groups": list(groups), "schedules": list(schedules), "steps": steps, **more}

    two = ({"lr": 0.1}, {"lr": 0.03})
    momentum = ({"lr": 0.1, "momentum": 0.9},)
    two_momenta = ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.5})

    yield c("lambda", s("LambdaLR", lr_lambda="pow0.95"))
    yield c("lambda_warm_up", s("LambdaLR", lr_lambda="warm10"))
    yield c("lambda_per_group", s("LambdaLR", lr_lambda=["pow0.95", "inverse"]), groups=two)
    yield c("multiplicative", s("MultiplicativeLR", lr_lambda="mul0.97"))
    yield c("multiplicative_per_group", s("MultiplicativeLR", lr_lambda=["mul0.97", "alternate"]), groups=two)
    yield c("step", s("StepLR", step_size=7))
    yield c("step_two_groups", s("StepLR", step_size=5, gamma=0.7), groups=two)
    yield c("multi_step", s("MultiStepLR", milestones=[3, 10, 40], gamma=0.3))
    yield c("multi_step_repeated", s("MultiStepLR", milestones=[20, 5, 5], gamma=0.5))
    yield c("constant", s("ConstantLR"))
    yield c("constant_options", s("ConstantLR", factor=0.25, total_iters=12), groups=two)
    yield c("linear", s("LinearLR"))
    yield c("linear_options", s("LinearLR", start_factor=0.1, end_factor=0.8, total_iters=20), groups=two)
    yield c("linear_down", s("LinearLR", start_factor=1.0, end_factor=0.0, total_iters=30))
    yield c("exponential", s("ExponentialLR", gamma=0.93))
    yield c("exponential_two_groups", s("ExponentialLR", gamma=1.02), groups=two)
    yield c("polynomial", s("PolynomialLR"))
    yield c("polynomial_square", s("PolynomialLR", total_iters=40, power=2.0), groups=two)
    yield c("polynomial_root", s("PolynomialLR", total_iters=50, power=0.5))
    yield c("cosine", s("CosineAnnealingLR", T_max=64))
    yield c("cosine_past_the_end", s("CosineAnnealingLR", T_max=15, eta_min=0.001), groups=two, steps=80)
    yield c("cosine_period_one", s("CosineAnnealingLR", T_max=1))
    yield c("warm_restarts", s("CosineAnnealingWarmRestarts", T_0=10))
    yield c("warm_restarts_growing", s("CosineAnnealingWarmRestarts", T_0=5, T_mult=2, eta_min=0.002), groups=two)
    yield c("warm_restarts_tripling", s("CosineAnnealingWarmRestarts", T_0=3, T_mult=3), steps=80)
    yield c("cyclic_triangular", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=8), groups=momentum)
    yield c("cyclic_triangular2", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=6, step_size_down=9, mode="triangular2"),
            groups=momentum)
    yield c("cyclic_exp_range", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=10, mode="exp_range", gamma=0.97,
                                  base_momentum=0.7, max_momentum=0.95), groups=momentum)
    yield c("cyclic_no_momentum", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=7, cycle_momentum=False))
    yield c("cyclic_per_group", s("CyclicLR", base_lr=[0.01, 0.002], max_lr=[0.1, 0.2], step_size_up=9,
                                  base_momentum=[0.8, 0.6], max_momentum=[0.9, 0.7]), groups=two_momenta)
    yield c("cyclic_scale_cycle", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=5, scale_fn="cycle_inverse"), groups=momentum)
    yield c("cyclic_scale_iterations", s("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=5, scale_fn="step_half",
                                         scale_mode="iterations"), groups=momentum)
    yield c("cyclic_adam", s("CyclicLR", base_lr=0.001, max_lr=0.01, step_size_up=8), groups=({"lr": 0.01},), kind="Adam")
    yield c("one_cycle", s("OneCycleLR", max_lr=0.5, total_steps=64), groups=momentum, steps=63)
    yield c("one_cycle_epochs", s("OneCycleLR", max_lr=0.5, epochs=8, steps_per_epoch=9), groups=momentum, steps=71)
    yield c("one_cycle_linear", s("OneCycleLR", max_lr=0.5, total_steps=70, anneal_strategy="linear", pct_start=0.4,
                                  div_factor=10.0, final_div_factor=100.0), groups=momentum, steps=69)
    yield c("one_cycle_three_phases", s("OneCycleLR", max_lr=0.5, total_steps=66, three_phase=True, pct_start=0.25,
                                        base_momentum=0.6, max_momentum=0.99), groups=momentum, steps=65)
    yield c("one_cycle_per_group", s("OneCycleLR", max_lr=[0.5, 0.05], total_steps=64, base_momentum=[0.8, 0.7],
                                     max_momentum=[0.9, 0.95]), groups=two_momenta, steps=63)
    yield c("one_cycle_no_momentum", s("OneCycleLR", max_lr=0.5, total_steps=64, cycle_momentum=False), steps=63)
    yield c("one_cycle_adam", s("OneCycleLR", max_lr=0.01, total_steps=64), groups=({"lr": 0.01}, {"lr": 0.02, "betas": [0.8, 0.99]}),
            kind="AdamW", steps=63)

    warm = s("LinearLR", start_factor=0.1, total_iters=10)
    yield c("sequential_warm_up", s("SequentialLR", warm, s("CosineAnnealingLR", T_max=50), milestones=[10]), groups=two)
    yield c("sequential_constant_exponential", s("SequentialLR", s("ConstantLR", factor=0.1, total_iters=8),
                                                 s("ExponentialLR", gamma=0.9), milestones=[20]))
    yield c("sequential_three", s("SequentialLR", warm, s("ConstantLR", factor=1.0, total_iters=1), s("PolynomialLR", total_iters=25),
                                  milestones=[10, 30]), groups=two)
    yield c("sequential_lambda_step", s("SequentialLR", s("LambdaLR", lr_lambda="warm10"), s("StepLR", step_size=4, gamma=0.6),
                                        milestones=[12]))
    yield c("sequential_multi_step_restarts", s("SequentialLR", s("MultiStepLR", milestones=[2, 4], gamma=0.5),
                                                s("CosineAnnealingWarmRestarts", T_0=6, T_mult=2), milestones=[9]))
    yield c("chained_constant_exponential", s("ChainedScheduler", s("ConstantLR", factor=0.1, total_iters=10),
                                              s("ExponentialLR", gamma=0.95)), groups=two)
    yield c("chained_three", s("ChainedScheduler", warm, s("CosineAnnealingLR", T_max=40), s("StepLR", step_size=13, gamma=0.5)))
    yield c("chained_multiplicative_polynomial", s("ChainedScheduler", s("MultiplicativeLR", lr_lambda="mul0.97"),
                                                   s("PolynomialLR", total_iters=45, power=1.5)), groups=two)

    yield c("two_step_exponential", s("StepLR", step_size=10, gamma=0.5), s("ExponentialLR", gamma=0.98), groups=two)
    yield c("two_linear_multi_step", s("LinearLR", start_factor=0.2, total_iters=15), s("MultiStepLR", milestones=[20, 40]))
    yield c("two_cosine_every_fifth", s("ExponentialLR", gamma=0.97), s("CosineAnnealingLR", T_max=10), every=[1, 5])
    yield c("two_lambda_after_exponential", s("ExponentialLR", gamma=0.9), s("LambdaLR", lr_lambda="inverse"), every=[1, 3])

    written = {"10": [0.5, 0.4], "33": [0.07, 0.2]}  # somebody else sets the rates before these steps
    for kind, args in (("StepLR", {"step_size": 6}), ("ExponentialLR", {"gamma": 0.95}), ("CosineAnnealingLR", {"T_max": 40}),
                       ("LinearLR", {"total_iters": 20}), ("LambdaLR", {"lr_lambda": "pow0.95"}),
                       ("PolynomialLR", {"total_iters": 50}), ("ConstantLR", {"total_iters": 20})):
        yield c(f"written_{kind.lower()[:-2]}", s(kind, **args), groups=two, written=written)

    # Falls, stalls, jumps up and down, repeats, one nan.
    metric = [1.0 / (1.0 + 0.3 * n) + (0.2 if n % 11 == 7 else 0.0) for n in range(20)]
    metric += [0.15] * 15 + [0.14999, 0.149, 0.3, float("nan"), 0.2, 0.148, 0.1, 0.1, 0.0999] + [0.12 - 0.001 * (n % 5) for n in range(20)]
    plateaus = {
        "plateau": {},
        "plateau_patience": {"factor": 0.5, "patience": 2},
        "plateau_patience_zero": {"factor": 0.8, "patience": 0},
        "plateau_cooldown": {"factor": 0.5, "patience": 1, "cooldown": 4},
        "plateau_absolute": {"factor": 0.5, "patience": 2, "threshold": 0.02, "threshold_mode": "abs"},
        "plateau_threshold": {"factor": 0.5, "patience": 2, "threshold": 0.2},
        "plateau_min_lr": {"factor": 0.1, "patience": 1, "min_lr": 0.004},
        "plateau_eps": {"factor": 0.5, "patience": 1, "eps": 0.01},
        "plateau_max": {"mode": "max", "factor": 0.6, "patience": 3},
        "plateau_max_absolute": {"mode": "max", "factor": 0.6, "patience": 2, "threshold": 0.05, "threshold_mode": "abs", "cooldown": 2},
    }
    for name, args in plateaus.items():
        yield c(name, s("ReduceLROnPlateau", **args), metric=metric, steps=len(metric))
    yield c("plateau_per_group", s("ReduceLROnPlateau", factor=0.3, patience=1, min_lr=[0.01, 0.0005]), groups=two, metric=metric,
            steps=len(metric))
    yield c("two_plateau_exponential", s("ReduceLROnPlateau", factor=0.5, patience=2), s("ExponentialLR", gamma=0.99), groups=two,
            metric=metric, steps=len(metric))


def make_schedule(config, optimizer):
    args = dict(config["args"])
    for key in ("lr_lambda", "scale_fn"):
        if key in args:
            args[key] = [LAMBDAS[n] for n in args[key]] if isinstance(args[key], list) else LAMBDAS[args[key]]
    kind = getattr(torch.optim.lr_scheduler, config["type"])
    subs = [make_schedule(sub, optimizer) for sub in config.get("subs", [])]
    if config["type"] == "SequentialLR":
        return kind(optimizer, subs, **args)
    if config["type"] == "ChainedScheduler":
        return kind(subs, **args)
    return kind(optimizer, **args)


def schedule_traces(files):
    for config in schedule_configs():
        parameters = [torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in config["groups"]]
        optimizer = getattr(torch.optim, config["optimizer"])([{"params": [p], **g} for p, g in zip(parameters, config["groups"])])
        schedules = [make_schedule(s, optimizer) for s in config["schedules"]]
        every = config.get("every", [1] * len(schedules))
        lrs, momenta = [], []

        def record():
            lrs.append([float(g["lr"]) for g in optimizer.param_groups])
            momenta.append([float(g["betas"][0] if "betas" in g else g["momentum"]) for g in optimizer.param_groups])

        record()  # row 0: once the schedules are made
        for step in range(config["steps"]):
            optimizer.step()
            for group, lr in zip(optimizer.param_groups, config.get("written", {}).get(str(step), [])):
                group["lr"] = lr
            for one, n, sub in zip(schedules, every, config["schedules"]):
                if (step + 1) % n:
                    continue
                if sub["type"] == "ReduceLROnPlateau":
                    one.step(config["metric"][step])
                else:
                    one.step()
            record()
        trace = {"lr": lrs}
        if any(row != momenta[0] for row in momenta):
            trace["momentum"] = momenta
        add(files, f"schedules/{config['name']}.json", {**config, "trace": trace})


# ------------------------------------------------------------------------------------------------ files

def spelled(value):
    """JSON knows no infinities and no nan: they become strings."""
    if isinstance(value, dict):
        return {k: spelled(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [spelled(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def add(files, path, content):
    assert path not in files, path
    files[path] = content if isinstance(content, bytes) else as_json(content)


def as_json(content):
    content = spelled(content)
    lines = []
    for key, value in content.items():
        if key == "trace":
            rows = [f"  {json.dumps(k)}: [\n" + ",\n".join("   " + json.dumps(row) for row in v) + "\n  ]" for k, v in value.items()]
            lines.append('"trace": {\n' + ",\n".join(rows) + "\n }")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return ("{\n " + ",\n ".join(lines) + "\n}\n").encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "traces")
    arguments = parser.parse_args()
    if not torch.__version__.startswith("2.11."):
        sys.exit(f"the traces are those of torch 2.11; this is {torch.__version__}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # SequentialLR's own deprecation warning; schedules that step before optimizers

    files = {}
    add(files, "problem.json", {"torch": torch.__version__.split("+")[0], "shapes": SHAPES, "data": DATA, "initial": INITIAL})
    optimizer_traces(files)
    schedule_traces(files)
    state_traces(files)

    different = []
    present = {str(p.relative_to(arguments.out)) for p in arguments.out.rglob("*") if p.is_file()}
    for path, content in files.items():
        target = arguments.out / path
        if path not in present or target.read_bytes() != content:
            different.append(path)
            if not arguments.check:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    stale = sorted(present - set(files))
    for path in stale:
        if not arguments.check:
            (arguments.out / path).unlink()
    for kind in ("optimizers", "schedules", "states"):
        print(f"{kind}: {sum(p.startswith(kind) and p.endswith('.json') for p in files)}")
    print(f"{len(different)} file(s) {'would change' if arguments.check else 'written'}, {len(stale)} stale, "
          f"{sum(map(len, files.values())) / 1e6:.2f} MB in all")
    if arguments.check and (different or stale):
        sys.exit(1)


if __name__ == "__main__":
    main()
