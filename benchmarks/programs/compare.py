#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A whole program with a trainer (trainer.cpp; trainer_of_parts.cpp includes no more of Fulgurite than it uses) beside one
without (by_hand.cpp): what it costs to compile it, and how much memory it takes to run it.

All are compiled by the very commands of the build (without its compiler cache), in turn, and by the same with -O0, which is
the headers' and templates' share: the processor's time of the compiler, the least of all rounds, since whatever disturbs a
compiler makes it slower. Then trainer.cpp and by_hand.cpp train, in turn, a net of the width that is asked for: the peak of
their resident memory, and that of what the training adds to a program which has loaded LibTorch. There a further program
takes part, which has our optimizer and no trainer (by_hand_same_kernels.cpp).
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ("by_hand", "trainer")
OF_PARTS = "trainer_of_parts"
SAME_KERNELS = "by_hand_same_kernels"


def compile_command(database, program):
    """The build's command for <program>.cpp without launchers (env, ccache): from the compiler on. And where it runs."""
    source = HERE / f"{program}.cpp"
    for entry in database:
        if pathlib.Path(entry["directory"], entry["file"]).resolve() == source:
            words = entry.get("arguments") or shlex.split(entry["command"])
            while not is_compiler(words[0]):
                words = words[1:]
            return words, entry["directory"]
    sys.exit(f"error: {source} is not in the build: configure it in Release, with FULGURITE_BUILD_BENCHMARKS")


def is_compiler(word):
    return any(name in pathlib.Path(word).name for name in ("c++", "g++", "clang")) and "=" not in word


def with_output(words, output):
    """The same command, which writes its object file to `output`."""
    words = list(words)
    words[words.index("-o") + 1] = str(output)
    return words


def usage_of(command, folder=None):
    """Runs it. What it wrote, and the resources it used, all that it has started included."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: {shlex.join(command)} failed")
    return said, usage


def ratio(rounds, to="by_hand"):
    """Of the trainer to a loop by hand: the median over rounds."""
    return statistics.median(each["trainer"] / each[to] for each in rounds)


def compare_compilation(build, count, title, flags=()):
    database = json.loads((build / "compile_commands.json").read_text())
    commands = {program: compile_command(database, program) for program in (*PROGRAMS, OF_PARTS)}
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            seconds = {}
            for program, (words, where) in commands.items():
                # What the compiler driver starts is counted with it: it waits for its children.
                _, usage = usage_of([*with_output(words, pathlib.Path(folder) / "out.o"), *flags], where)
                seconds[program] = usage.ru_utime
            rounds.append(seconds)
    least = {program: min(each[program] for each in rounds) for program in commands}
    print(f"compiling {title}, seconds of the processor: " + ", ".join(f"{p} {s:.1f}" for p, s in least.items()))
    print(f"  trainer / by hand {least['trainer'] / least['by_hand']:.3f}  (the aim: 1.10)")
    print(f"  trainer of parts / by hand {least[OF_PARTS] / least['by_hand']:.3f}")


def compare_memory(build, count, width):
    def peaks(width):
        peak, losses = {}, {}
        for program in (*PROGRAMS, SAME_KERNELS):
            said, usage = usage_of([str(build / "benchmarks" / f"benchmark.programs.{program}"), str(width)])
            peak[program] = usage.ru_maxrss / 1024  # in MiB
            losses[program] = float(said.split()[-1])
        if max(losses.values()) - min(losses.values()) > 1e-2 * abs(losses["by_hand"]):
            sys.exit(f"error: the programs do not train the same: {losses}")
        return peak

    rounds, added = [], []
    for _ in range(count):
        least, peak = peaks(1), peaks(width)
        rounds.append(peak)
        added.append({program: peak[program] - least[program] for program in peak})
    print(f"peak resident memory at width {width}, MiB: ", end="")
    print(", ".join(f"{p} {statistics.median(each[p] for each in rounds):.1f}" for p in (*PROGRAMS, SAME_KERNELS)))
    for to in ("by_hand", SAME_KERNELS):
        print(f"  trainer / {to} {ratio(rounds, to):.3f}  (the aim: 1.02); of what the training adds {ratio(added, to):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build folder, Release")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("FULGURITE_BENCHMARK_ROUNDS", 3)))
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--only", choices=("compilation", "memory"))
    options = parser.parse_args()
    build = options.build.resolve()
    if options.only != "memory":
        compare_compilation(build, options.rounds, "without optimisation", ["-O0"])
        compare_compilation(build, options.rounds, "as the build does")
    if options.only != "compilation":
        compare_memory(build, options.rounds, options.width)


if __name__ == "__main__":
    main()
