# SPDX-License-Identifier: MIT
"""From measurements to ratios, and to tables in text and Markdown. Nothing here measures.

A measurement is what compare.py writes as JSON: for each model and contender the microseconds of a step, one a round, in
which every contender had its turn ("wall_microseconds": the same by the clock on the wall). A ratio is taken within a
round, and what is shown is the median over rounds; ± is half of the interquartile range.
"""

import statistics
from typing import NamedTuple


class Contender(NamedTuple):
    name: str  # in the line protocol
    label: str
    peer: str  # the process that trains it
    ours: bool = False


# In the order of tables and pictures.
CONTENDERS = [
    Contender("fulgurite-frozen", "Fulgurite, frozen", "fulgurite", ours=True),
    Contender("fulgurite-eager", "Fulgurite, eager", "fulgurite", ours=True),
    Contender("libtorch", "LibTorch, by hand", "libtorch"),
    Contender("jax", "JAX and optax, jit", "jax"),
    Contender("pytorch-compiled", "PyTorch, torch.compile", "torch"),
    Contender("pytorch-fused", "PyTorch, fused", "torch"),
    Contender("pytorch", "PyTorch", "torch"),
    Contender("lightning", "Lightning, barebones", "lightning"),
    Contender("lightning-logging", "Lightning, log and bar", "lightning"),
]

# By name in the line protocol.
MODELS = {
    "mlp-16": "MLP 32-16-16-10",
    "mlp-64": "MLP 32-64-64-10",
    "mlp-256": "MLP 32-256-256-10",
    "digits": "Digits, convolutional",
    "transformer": "Transformer, width 64",
    "gpu": "GPU-bound MLP",
}

NO_GPU = (
    "The GPU-bound panel, where everybody should be equally fast, was not measured: no GPU that the peers can use. Its code "
    "has not run yet."
)


class Ratio(NamedTuple):
    median: float
    low: float  # quartiles
    high: float

    def __str__(self):
        return f"{short(self.median)} ± {short((self.high - self.low) / 2, self.median)}"


def short(value, like=None):
    """Three digits of `like` (or of the value itself), and never an exponent."""
    size = abs(value if like is None else like)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def quartiles(values):
    """Of one value too: it is all three."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratio(times, reference_times):
    """How many times as long `times` are, round by round."""
    if len(times) != len(reference_times):
        raise ValueError("a ratio needs both times of every round")
    low, median, high = quartiles([t / r for t, r in zip(times, reference_times)])
    return Ratio(median, low, high)


def times_of(measurement, model, contender):
    """A step's microseconds, one a round; nothing if the contender did not train that model."""
    return measurement["models"].get(model, {}).get(contender, {}).get("microseconds")


def measured_models(measurement):
    return [model for model in MODELS if measurement["models"].get(model)]


def measured_contenders(measurement):
    return [c for c in CONTENDERS if any(times_of(measurement, m, c.name) for m in MODELS)]


def ratios_to(measurement, reference):
    """By contender and model, how many times as long a step takes as the reference's; None where either is missing."""
    table = {}
    for contender in measured_contenders(measurement):
        row = {}
        for model in measured_models(measurement):
            times, reference_times = (times_of(measurement, model, name) for name in (contender.name, reference))
            row[model] = ratio(times, reference_times) if times and reference_times else None
        table[contender.name] = row
    return table


def label_of(name):
    return next(c.label for c in CONTENDERS if c.name == name)


def references(measurement):
    """Each of ours that was measured."""
    return [c.name for c in measured_contenders(measurement) if c.ours]


def slower_than(measurement):
    """Where ours lose: (ours, contender, model, ratio) for each contender that is faster than the fastest of ours."""
    losses = []
    for model in measured_models(measurement):
        ours = [c for c in references(measurement) if times_of(measurement, model, c)]
        if not ours:
            continue
        best = min(ours, key=lambda name: statistics.median(times_of(measurement, model, name)))
        for contender in measured_contenders(measurement):
            times = times_of(measurement, model, contender.name)
            if contender.ours or not times:
                continue
            found = ratio(times, times_of(measurement, model, best))
            if found.median < 1:
                losses.append((best, contender.name, model, found))
    return losses


def absences(measurement):
    """(contender, models, reason), models that lack for the same reason in one."""
    found = {}
    for contender in CONTENDERS:
        for model, reason in measurement["absent"].get(contender.name, {}).items():
            found.setdefault((contender.name, reason), []).append(model)
    return [(name, models, reason) for (name, reason), models in found.items()]


def share_of_wall(measurement):
    """The processor's time as a share of the time on the wall, median over all turns: 1 on a quiet machine."""
    shares = [
        time / wall
        for model in measured_models(measurement)
        if model != "gpu"
        for entry in measurement["models"][model].values()
        for time, wall in zip(entry["microseconds"], entry["wall_microseconds"])
    ]
    return statistics.median(shares) if shares else 1.0


def page_faults(measurement):
    """By model and contender, the page faults of a step where there is one or more: memory that goes back and forth between
    the process and the system."""
    found = {}
    for model in measured_models(measurement):
        for name, entry in measurement["models"][model].items():
            if entry["page_faults"] >= 1:
                found.setdefault(model, {})[name] = entry["page_faults"]
    return found


def loss_spread(measurement, model):
    """The relative distance between the largest and the smallest loss after the checked steps."""
    losses = [entry["checked_loss"] for entry in measurement["models"][model].values()]
    return (max(losses) - min(losses)) / min(losses)


# ------------------------------------------------------------------------------------------------------- sentences


def sentences(measurement):
    """What goes with every table: where, with what, what was checked, what is missing, where we are slower."""
    machine, settings = measurement["machine"], measurement["settings"]
    lines = []
    if measurement.get("note"):
        lines.append(f"**{measurement['note']}**")
    lines.append(
        f"{machine['cpu']}, one core, one thread; {measurement['date']}. Medians of {settings['rounds']} rounds, in each of "
        f"which every contender trains for about {settings['slice'] * 1000:.0f} ms; ± is half of the interquartile range. "
        f"Time is the processor's, {share_of_wall(measurement):.0%} of the time on the wall in this run."
    )
    versions = {}
    for peer in measurement["versions"].values():
        for name, version in peer.items():
            versions.setdefault(name, set()).add(version)
    lines.append(", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items())) + ".")
    checked = "; ".join(
        f"{MODELS[model]} {loss_spread(measurement, model):.0e}" for model in measured_models(measurement)
    )
    lines.append(
        f"All begin with the same loss and agree on it after {settings['checked_steps']} steps (largest relative "
        f"difference: {checked}; at most {settings['tolerance']:g} is let through)."
    )
    faults = page_faults(measurement)
    if faults:
        lines.append(
            "Page faults in a step, where there is one or more: "
            + "; ".join(
                f"on {MODELS[model]} " + ", ".join(f"{count:.0f} ({label_of(name)})" for name, count in counts.items())
                for model, counts in faults.items()
            )
            + "."
        )
    losses = slower_than(measurement)
    if losses:
        lines.append(
            "Where Fulgurite is the slower one: "
            + "; ".join(f"{label_of(c)} takes {r} times as long on {MODELS[m]}" for _, c, m, r in losses)
            + "."
        )
    elif references(measurement):
        lines.append("Fulgurite is nowhere the slower one.")
    for name, models, reason in absences(measurement):
        everywhere = set(models) >= set(measured_models(measurement))
        where = "" if everywhere else " on " + ", ".join(MODELS[m] for m in models)
        lines.append(f"n/a: {label_of(name)}{where}: {reason}.")
    if "gpu" not in measurement["models"]:
        lines.append(NO_GPU)
    return lines


def table_rows(measurement, reference):
    """Header and rows of one table, as text."""
    models = measured_models(measurement)
    rows = [["", *(MODELS[m] for m in models)]]
    for name, row in ratios_to(measurement, reference).items():
        cells = ["n/a" if row[m] is None else "1" if name == reference else str(row[m]) for m in models]
        rows.append([label_of(name), *cells])
    return rows


def microsecond_rows(measurement):
    models = measured_models(measurement)
    rows = [["", *(MODELS[m] for m in models)]]
    for contender in measured_contenders(measurement):
        times = [times_of(measurement, m, contender.name) for m in models]
        rows.append([contender.label, *(short(statistics.median(t)) if t else "n/a" for t in times)])
    return rows


def tables(measurement):
    """(title, rows) of every table."""
    made = [
        (f"A step takes so many times as long as one of {label_of(reference)}", table_rows(measurement, reference))
        for reference in references(measurement)
    ]
    return [*made, ("Microseconds of a step, for orientation", microsecond_rows(measurement))]


# ------------------------------------------------------------------------------------------------------- printed


def as_text(measurement):
    lines = []
    for title, rows in tables(measurement):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines.append(title)
        for row in rows:
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            lines.append("  " + "   ".join(cells).rstrip())
        lines.append("")
    return "\n".join(lines + [line.replace("**", "") for line in sentences(measurement)]) + "\n"


def as_markdown(measurement, picture):
    lines = [
        "<!-- Written by benchmarks/peers/compare.py. Not edited by hand: measure again instead. -->",
        "# The peers, measured",
        "",
        f"![Speed of a training step beside its peers]({picture})",
        "",
    ]
    for title, rows in tables(measurement):
        lines += [f"**{title}**", "", "| " + " | ".join(rows[0]) + " |", "|---|" + "---:|" * (len(rows[0]) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
        lines.append("")
    for sentence in sentences(measurement):
        lines += [sentence, ""]
    return "\n".join(lines)
