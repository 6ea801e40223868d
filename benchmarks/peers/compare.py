#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the same models with Fulgurite and its peers, in turn, and compares how long a step takes.

Each contender's training of a model is a process of its own, as a program's is, on one core with one thread, and waits for
its turn. All begin with the same parameters and batches; after some steps their losses have to agree, else a contender has
skipped work and is left out.
Then come the rounds: in each, every contender trains for about the same time, in an order drawn anew. What is compared is
the processor's time of the whole process, all its threads: on a quiet machine that is the time on the wall, and on a busy
one it leaves out most of what the neighbours take. On a GPU it is the time on the wall.

Writes peers.json (every measurement), peers.md and peers.svg. benchmarks/peers/install makes the environment of the peers
in Python; those that are missing are left out, and the tables say so. This program needs Python's standard library alone.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import random
import subprocess
import sys

import picture
import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CHECKED_STEPS = 100
TOLERANCE = 1e-3  # relative, between the losses after the checked steps
QUICK_LEAVES_OUT = {"pytorch-compiled": "left out by --quick, since it compiles for a minute"}


class Failed(Exception):
    """A peer cannot do what it was asked; the message is the reason to print."""


class Peer:
    def __init__(self, name, command, core, log_folder):
        self.name = name
        self.log_path = log_folder / f"{name}.log"
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[variable] = "1"
        environment.setdefault("TORCHINDUCTOR_CACHE_DIR", str((log_folder / "inductor").resolve()))  # absolute: it compiles from elsewhere
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                preexec_fn=(lambda: os.sched_setaffinity(0, {core})) if core is not None else None,
            )

    def ask(self, *words):
        try:
            self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise Failed(self.last_words())
        if answer.startswith("error "):
            raise Failed(answer[len("error ") :].strip())
        return answer.strip()

    def numbers(self, count, *words):
        answer = self.ask(*words)
        try:
            found = tuple(float(word) for word in answer.split())
        except ValueError:
            found = ()
        if len(found) != count:
            raise Failed(f"the peer answered {answer!r}")
        return found

    def loss_after(self, contender, model, steps):
        return self.numbers(1, "train", contender, model, steps)[0]

    def run(self, contender, model, steps):
        """Seconds by the clock on the wall, and of the processor's time, and page faults."""
        return self.numbers(3, "run", contender, model, steps)

    def last_words(self):
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            code = "none yet"
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return f"its process ended (exit code {code})" + (f": {lines[-1].strip()}" if lines else "")

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


# ------------------------------------------------------------------------------------------------------- peers


def commands(build, python):
    """By peer, its command line, or the reason why it is missing."""
    digits = str(ROOT / "examples/data/digits.csv")
    found = {}
    for name in ("fulgurite", "libtorch"):
        program = build / "benchmarks" / f"benchmark.peers.{name}"
        found[name] = [str(program), digits] if program.exists() else "not built: cmake --build ... --target benchmarks"
    for name in ("torch", "lightning", "jax"):
        script = str(HERE / f"{name}_peer.py")
        found[name] = [str(python), script, digits] if python.exists() else "not installed: benchmarks/peers/install"
    return found


def start_peers(model, contenders, found, hellos, core, log_folder):
    """A process for each contender: (by contender, reasons by contender). `hellos`: by peer, what it said when it was first
    asked; who trains no such model is not started again."""
    running, absent = {}, {}
    for name, _, peer, *_ in contenders:
        if isinstance(found[peer], str):
            absent[name] = found[peer]
        elif model not in hellos.get(peer, {}).get("models", [model]):
            absent[name] = "this model is not trained here"
        else:
            running[name] = Peer(name, found[peer], core, log_folder)
    for name, _, peer, *_ in contenders:
        if name not in running:
            continue
        try:
            hello = json.loads(running[name].ask("hello"))
            if "versions" not in hello:
                raise Failed("it says nothing of its versions")
            hellos[peer] = hello
        except (Failed, ValueError) as error:
            absent[name] = str(error)
            running.pop(name).stop()
    return running, absent


# ------------------------------------------------------------------------------------------------------- measuring


def check_losses(losses, tolerance):
    """Reasons by contender: whose loss is not what most others have. `losses`: by contender, (at first, after the steps)."""
    refused = {}
    for which, when in ((0, "at the beginning"), (1, f"after {CHECKED_STEPS} steps")):
        values = sorted(pair[which] for pair in losses.values() if math.isfinite(pair[which]))
        middle = values[len(values) // 2] if values else math.nan
        for name, pair in losses.items():
            if not abs(pair[which] - middle) <= tolerance * abs(middle):
                refused.setdefault(name, f"its loss {when} is {pair[which]:.6g}, that of the others {middle:.6g}")
    for name, (first, then) in losses.items():
        if not then < first:
            refused.setdefault(name, f"its loss did not fall in {CHECKED_STEPS} steps ({first:.6g}, then {then:.6g})")
    return refused


def calibrated(run, seconds):
    """How many steps take about so long."""
    steps = 1
    while True:
        taken = run(steps)
        if taken >= seconds / 4 or steps >= 1 << 24:
            return max(1, round(steps * seconds / taken))
        steps = max(2 * steps, min(100 * steps, round(steps * seconds / 3 / max(taken, 1e-9))))


def measure_model(model, peers, options, say):
    """`peers`: by contender. (Entries by contender, reasons by contender.)"""
    absent, losses = {}, {}
    for name, peer in peers.items():
        try:
            losses[name] = tuple(peer.loss_after(name, model, steps) for steps in (0, CHECKED_STEPS))
        except Failed as error:
            absent[name] = str(error)
    absent.update(check_losses(losses, TOLERANCE))

    def left():
        return [name for name in peers if name not in absent]

    clock = 0 if model == "gpu" else 1  # the processor's time says nothing about a GPU
    steps, times = {}, {}
    for name in left():
        try:
            steps[name] = calibrated(lambda n: peers[name].run(name, model, n)[0], options.slice)
            times[name] = []
        except Failed as error:
            absent[name] = str(error)
    order = random.Random(model)
    for _ in range(options.rounds):
        turns = left()
        order.shuffle(turns)
        for name in turns:
            try:
                times[name].append(peers[name].run(name, model, steps[name]))
            except Failed as error:
                absent[name] = str(error)
    entries = {}
    for name in left():
        first, checked = losses[name]
        try:
            last = peers[name].loss_after(name, model, 0)
        except Failed as error:
            absent[name] = str(error)
            continue
        if not last < first:  # the timed steps trained, too
            absent[name] = f"its loss after the timed steps is {last:.6g}, at the beginning it was {first:.6g}"
            continue
        entries[name] = {
            "steps_a_turn": steps[name],
            "first_loss": first,
            "checked_loss": checked,
            "microseconds": [microseconds(turn[clock], steps[name]) for turn in times[name]],
            "wall_microseconds": [microseconds(turn[0], steps[name]) for turn in times[name]],
            "page_faults": round(sum(turn[2] for turn in times[name]) / (steps[name] * len(times[name])), 2),
        }
    if model == "gpu" and not entries:
        say(report.NO_GPU)
        return entries, absent
    say(f"{report.MODELS[model]}: {len(entries)} contenders, {options.rounds} rounds")
    for name, reason in absent.items():
        say(f"  n/a: {report.label_of(name)}: {reason}")
    return entries, absent


def microseconds(seconds, steps):
    return float(f"{seconds / steps * 1e6:.5g}")


def processor():
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(options, found, log_folder, say):
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    core = options.core if options.core is not None else cores[-1] if cores else None
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"The load is {load:.1f}: something else is running here, and the figures will show it.")
    wanted = {c.name for c in report.CONTENDERS if not options.contenders or c.name in options.contenders}
    absent = {}
    if options.quick and not options.contenders:
        for name, reason in QUICK_LEAVES_OUT.items():
            wanted.discard(name)
            absent[name] = dict.fromkeys(options.models, reason)
    if len(cores) > 1 and core is not None:  # the driver sits where nobody is timed
        os.sched_setaffinity(0, set(cores) - {core})
    contenders = [c for c in report.CONTENDERS if c.name in wanted]
    models, hellos = {}, {}
    for model in options.models:
        peers, reasons = start_peers(model, contenders, found, hellos, core, log_folder)
        try:
            models[model], failed = measure_model(model, peers, options, say)
        finally:
            for peer in peers.values():
                peer.stop()
        for name, reason in {**reasons, **failed}.items():
            absent.setdefault(name, {})[model] = reason
    for model in [m for m in options.models if not models[m]]:
        del models[model]
    if "gpu" in options.models and "gpu" not in models:  # one sentence, instead of one for each contender
        for reasons in absent.values():
            reasons.pop("gpu", None)
    return {
        "date": datetime.date.today().isoformat(),
        "note": options.note,
        "machine": {"cpu": processor(), "load_before": round(load, 2)},
        "versions": {peer: hello["versions"] for peer, hello in hellos.items()},
        "settings": {
            "rounds": options.rounds,
            "slice": options.slice,
            "checked_steps": CHECKED_STEPS,
            "tolerance": TOLERANCE,
            "quick": options.quick,
        },
        "models": models,
        "absent": {name: reasons for name, reasons in absent.items() if reasons},
    }


def write(measurement, folder):
    folder.mkdir(parents=True, exist_ok=True)
    # One entry a line: a diff shows what moved.
    text = json.dumps(measurement, indent=1, ensure_ascii=False)
    (folder / "peers.json").write_text(text + "\n")
    render(measurement, folder)


def render(measurement, folder):
    (folder / "peers.md").write_text(report.as_markdown(measurement, "peers.svg"))
    (folder / "peers.svg").write_text(picture.draw(measurement))


def arguments(given):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about a minute: few rounds, without torch.compile")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/default", help="CMake's build folder")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / ".deps/peers/bin/python", help="the peers' Python")
    parser.add_argument("--out", type=pathlib.Path, help="where to write; default: <build>/peers")
    parser.add_argument("--models", nargs="+", choices=list(report.MODELS), default=list(report.MODELS))
    parser.add_argument("--contenders", nargs="+", choices=[c.name for c in report.CONTENDERS])
    parser.add_argument("--rounds", type=int, help="default 21, with --quick 3")
    parser.add_argument("--slice", type=float, help="seconds of a turn; default 0.1, with --quick 0.03")
    parser.add_argument("--core", type=int, help="the core on which the peers run; default: the last one")
    parser.add_argument("--note", default="", help="a sentence to print beside the figures")
    parser.add_argument("--from", dest="source", type=pathlib.Path, help="measure nothing, show this peers.json again")
    options = parser.parse_args(given)
    options.rounds = options.rounds or (3 if options.quick else 21)
    options.slice = options.slice or (0.03 if options.quick else 0.1)
    options.out = options.out or options.build / "peers"
    return options


def main(given=None):
    options = arguments(given)

    def say(line):
        print(line, file=sys.stderr, flush=True)

    if options.source:
        measurement = json.loads(options.source.read_text())
        options.out.mkdir(parents=True, exist_ok=True)
        render(measurement, options.out)
    else:
        log_folder = options.build / "peers"
        log_folder.mkdir(parents=True, exist_ok=True)
        measurement = measure(options, commands(options.build, options.python), log_folder, say)
        if not measurement["models"]:
            say("error: nothing was measured")
            return 1
        write(measurement, options.out)
    print(report.as_text(measurement))
    print(f"Written: {options.out}/peers.json, peers.md, peers.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
