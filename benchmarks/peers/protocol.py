# SPDX-License-Identifier: MIT
"""The peer's side of compare.py's line protocol, for the peers in Python; protocol.hpp says what the lines mean."""

import json
import os
import resource
import sys
import time


def now():
    return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def between(start, end):
    return tuple(b - a for a, b in zip(start, end))


class Training:
    """A model in training. Subclasses have `steps(count)`, and `loss()`, the mean over all batches."""

    def run(self, count):
        """So many further steps; their seconds by the clock on the wall, and of the processor's time, and page faults."""
        start = now()
        self.steps(count)
        return between(start, now())


def serve(versions, contenders, models):
    """Answers until the input ends. `contenders`: by name, a function from a model's name to a fresh `Training`."""
    # What a library prints belongs to nobody: the driver's line is taken out of its reach.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    in_training = {}

    def answer(line):
        words = line.split()
        if words == ["hello"]:
            return json.dumps({"versions": versions, "contenders": list(contenders), "models": list(models)})
        if len(words) != 4:
            raise ValueError(f"not understood: {line.strip()}")
        verb, contender, model, steps = words
        if model not in models:
            raise ValueError("this model is not trained here")
        if (contender, model) not in in_training:
            in_training[contender, model] = contenders[contender](model)
        training = in_training[contender, model]
        if verb == "run":
            return " ".join(f"{number:.9g}" for number in training.run(int(steps)))
        if verb == "train":
            training.steps(int(steps))
            return f"{training.loss():.9g}"
        raise ValueError(f"not understood: {line.strip()}")

    for line in sys.stdin:
        try:
            print(answer(line), file=answers)
        except Exception as error:  # the driver shows it, and goes on without this contender
            first_line = (str(error).strip() or "no message").splitlines()[0]
            print(f"error {type(error).__name__}: {first_line}", file=answers)


def python_version():
    return sys.version.split()[0]
