#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loads states that our optimizers saved into torch.optim's and goes on there: the other direction of traces/states/.

Needs the `torch` package. `python continue_states.py build/default/tests/torch_tests_parity` lets that program write its states
and the steps that follow them, makes the same steps in Python, and fails if a parameter differs.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch

sys.dont_write_bytecode = True  # no __pycache__ among the sources
from make_traces import Problem, make_optimizer, run_optimizer, state_configs


def tolerance(config, steps):
    """(relative, least size) as in optimizers.test.cpp."""
    if config["optimizer"] == "Muon":
        return 0.05 * config["options"]["lr"] * steps, 1.0
    return 1e-12, 0.1


def differences(config, ours, optimizer_state, first):
    problem = Problem(config, ours["initial"])
    optimizer = make_optimizer(config, problem)
    optimizer.load_state_dict(optimizer_state)
    for state in optimizer.state.values():
        if "mu_product" in state:  # NAdam's, a float32 number, which load_state_dict made one of the parameters' format
            state["mu_product"] = state["mu_product"].to(torch.float32)
    trace = run_optimizer(config, problem, optimizer, first, len(ours["parameters"]))
    for row, (mine, theirs) in enumerate(zip(ours["parameters"], trace["parameters"])):
        relative, least = tolerance(config, row + 1)
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            if not abs(a - b) <= relative * max(abs(b), least):
                yield f"step {first + row}, element {i}: ours {a!r}, Python's {b!r}"


def main():
    torch.set_num_threads(1)
    wrong = count = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], "states for Python are written"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "FULGURITE_STATES": folder})
        for config in state_configs():
            name, first = config["name"], config.pop("saved_after", 8)
            config.pop("following", None)
            if not hasattr(torch.optim, config["optimizer"]):
                print(f"{name}: torch {torch.__version__} has no {config['optimizer']}")
                continue
            path = pathlib.Path(folder) / f"{name}.json"
            # LibTorch writes names of types into its files, which weights_only refuses.
            state = torch.load(path.with_suffix(".state"), weights_only=False)
            found = list(differences(config, json.loads(path.read_text()), state, first))
            count += 1
            if found:
                wrong += 1
                print(f"{name}: {found[0]} ({len(found)} in all)")
    print(f"parity: Python goes on from {count} states of ours, {wrong} differ")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
