#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One step of each optimizer: Python's torch.optim (plain, foreach, fused) beside ours, in turn.

usage: optimizer_step.py <benchmark.runtime.optimizer_step> [optimizer...]

Needs torch for Python. The program given measures ours on request (--serve); each round every contender has its turn, and
what is printed is the median over rounds of how many times faster than Python's default ours and the others are.
"""

import os
import statistics
import subprocess
import sys
import time

import torch

SIZES = [(8, 1_000), (160, 1_000), (160, 64_000)]
ROUNDS = int(os.environ.get("FULGURITE_BENCHMARK_ROUNDS", 11))
SLICE = 0.04  # seconds

OPTIMIZERS = {
    "SGD": lambda p, **how: torch.optim.SGD(p, lr=1e-3, momentum=0.9, **how),
    "Adam": lambda p, **how: torch.optim.Adam(p, **how),
    "AdamW": lambda p, **how: torch.optim.AdamW(p, **how),
    "Adagrad": lambda p, **how: torch.optim.Adagrad(p, **how),
    "RMSprop": lambda p, **how: torch.optim.RMSprop(p, **how),
    "NAdam": lambda p, **how: torch.optim.NAdam(p, **how),
    "RAdam": lambda p, **how: torch.optim.RAdam(p, **how),
    "Adamax": lambda p, **how: torch.optim.Adamax(p, **how),
    "Adadelta": lambda p, **how: torch.optim.Adadelta(p, **how),
    "Rprop": lambda p, **how: torch.optim.Rprop(p, **how),
    "ASGD": lambda p, **how: torch.optim.ASGD(p, **how),
    "Adafactor": lambda p, **how: torch.optim.Adafactor(p, **how),
    "Muon": lambda p, **how: torch.optim.Muon(p),
}
FUSED = {"SGD", "Adam", "AdamW", "Adagrad"}


def parameters(tensors, elements, matrices):
    torch.manual_seed(0)
    shape = (8, elements // 8) if matrices else (elements,)
    made = []
    for _ in range(tensors):
        parameter = torch.randn(shape).requires_grad_()
        parameter.grad = torch.randn(shape) * 1e-3
        made.append(parameter)
    return made


def contender(name, size, **how):
    optimizer = OPTIMIZERS[name](parameters(*size, name == "Muon"), **how)

    def measure():
        runs = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < SLICE:
            for _ in range(4):
                optimizer.step()
            runs += 4
        return elapsed / runs * 1e6

    return measure


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    server = subprocess.Popen([sys.argv[1], "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ours(name, size):
        def measure():
            server.stdin.write(f"{name} {size[0]} {size[1]}\n")
            server.stdin.flush()
            return float(server.stdout.readline())

        return measure

    for size in SIZES:
        print(f"{size[0]} x {size[1]}: times faster than Python's default")
        for name in sys.argv[2:] or OPTIMIZERS:
            contenders = {"default": contender(name, size)}
            if name not in ("Adafactor", "Muon"):
                contenders["foreach"] = contender(name, size, foreach=True)
            if name in FUSED:
                contenders["fused"] = contender(name, size, fused=True)
            contenders["fulgurite"] = ours(name, size)
            times = {key: [] for key in contenders}
            for measure in contenders.values():
                measure()  # warm-up
            for _ in range(ROUNDS):
                for key, measure in contenders.items():
                    times[key].append(measure())
            ratios = {
                key: statistics.median(d / t for d, t in zip(times["default"], times[key])) for key in contenders
            }
            print(f"  {name:10}" + "".join(f"  {key} {ratio:6.2f}" for key, ratio in ratios.items() if key != "default"), flush=True)
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
