# SPDX-License-Identifier: MIT
"""The measurement as a picture: a panel a model, a bar a contender, all on one logarithmic scale.

A bar begins at 1, the reference, since a logarithmic scale has no 0: to the right is faster, to the left slower. It
carries its own background and follows the reader's light or dark mode.
"""

import math
from xml.sax.saxutils import escape

import report

STYLE = """
  .card { fill: #ffffff; stroke: #d1d9e0; }
  text { fill: #1f2328; font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
  .heading { font-size: 16px; font-weight: 600; }
  .title { font-weight: 600; }
  .quiet, .tick { fill: #59636e; }
  .tick { font-size: 10px; text-anchor: middle; }
  .name { text-anchor: end; }
  .grid { stroke: #d1d9e0; }
  .one { stroke: #59636e; }
  .bar { fill: #a9b4c0; }
  .ours { font-weight: 600; }
  .fulgurite-frozen { fill: #d4620a; }
  .fulgurite-eager { fill: #f0a35e; }
  .spread { stroke: #1f2328; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d; }
    text { fill: #f0f6fc; }
    .quiet, .tick { fill: #9198a1; }
    .grid { stroke: #2a313c; }
    .one { stroke: #9198a1; }
    .bar { fill: #56606c; }
    .fulgurite-frozen { fill: #ff8c2e; }
    .fulgurite-eager { fill: #b5651d; }
    .spread { stroke: #f0f6fc; }
  }
"""

MARGIN, NAMES, PANEL, GAP = 20, 142, 244, 12  # widths
HEAD, TITLE, PITCH, BAR, AXIS = 64, 26, 21, 13, 34  # heights
VALUE = 38  # room for the figure at a bar's end
COLUMNS = 3


def reference_of(measurement):
    """PyTorch in Python, which most readers know; where it is not installed, the loop by hand."""
    measured = [c.name for c in report.measured_contenders(measurement)]
    return next(name for name in ("pytorch", "libtorch", *measured) if name in measured)


def speeds(measurement, reference):
    """By model and contender, how many times as fast as the reference: (median, low, high)."""
    found = {}
    for name, row in report.ratios_to(measurement, reference).items():
        for model, ratio in row.items():
            if ratio is not None:
                found.setdefault(model, {})[name] = (1 / ratio.median, 1 / ratio.high, 1 / ratio.low)
    return found


def figure(value):
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, content, style=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(content)}</text>')

    def line(self, x1, y1, x2, y2, style):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def bar(self, x1, x2, y, style):
        left, width = min(x1, x2), max(abs(x2 - x1), 0.5)
        self.parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="1.5" class="{style}"/>'
        )


def draw(measurement):
    reference = reference_of(measurement)
    by_model = speeds(measurement, reference)
    models = [m for m in report.measured_models(measurement) if m in by_model]
    contenders = report.measured_contenders(measurement)
    values = [bound for row in by_model.values() for speed in row.values() for bound in speed]
    lowest, highest = math.log2(min(values + [1])), math.log2(max(values + [1]))
    span = max(highest - lowest, 1)
    rows = -(-len(models) // COLUMNS)
    panel_height = TITLE + PITCH * len(contenders) + AXIS
    width = 2 * MARGIN + NAMES + COLUMNS * PANEL + (COLUMNS - 1) * GAP
    height = HEAD + rows * panel_height + 36
    drawing = Drawing()

    def place(panel_left, value):
        inner = PANEL - 2 * VALUE
        return panel_left + VALUE + (math.log2(value) - lowest) / span * inner

    drawing.text(MARGIN, 30, "One training step: times as fast as " + report.label_of(reference), "heading")
    subtitle = "in Python" if reference == "pytorch" else "in C++"
    drawing.text(
        MARGIN,
        49,
        f"{report.label_of(reference)} {subtitle} is 1. AdamW, clipping by norm, float32, one thread of one core. "
        "Longer to the right is faster; logarithmic.",
        "quiet",
    )
    for i, model in enumerate(models):
        column, row = i % COLUMNS, i // COLUMNS
        left = MARGIN + NAMES + column * (PANEL + GAP)
        top = HEAD + row * panel_height
        drawing.text(left + VALUE, top + 16, report.MODELS[model], "title")
        bottom = top + TITLE + PITCH * len(contenders)
        exponents = range(math.ceil(lowest), math.floor(highest) + 1)
        for exponent in exponents:
            x = place(left, 2.0**exponent)
            drawing.line(x, top + TITLE - 2, x, bottom, "one" if exponent == 0 else "grid")
            if exponent % 2 == 0 or len(exponents) <= 4:
                drawing.text(x, bottom + 13, f"{2**exponent}" if exponent >= 0 else f"1/{2**-exponent}", "tick")
        for j, contender in enumerate(contenders):
            y = top + TITLE + j * PITCH
            middle = y + BAR / 2
            if column == 0:
                drawing.text(left - 4, middle + 4, contender.label, "name ours" if contender.ours else "name")
            speed = by_model[model].get(contender.name)
            if speed is None:
                drawing.text(place(left, 1) + 4, middle + 4, "n/a", "quiet")
                continue
            median, low, high = speed
            style = f"bar {contender.name}" if contender.ours else "bar"
            one, end = place(left, 1), place(left, median)
            drawing.bar(one, end, y, style)
            if contender.name != reference:
                drawing.line(place(left, low), middle, place(left, high), middle, "spread")
            beyond = place(left, high) if median >= 1 else place(left, low)
            label_style = "ours" if contender.ours else ""
            if median >= 1:
                written = "1" if contender.name == reference else figure(median)
                drawing.text(beyond + 4, middle + 4, written, label_style)
            else:
                drawing.text(beyond - 4, middle + 4, figure(median), f"name {label_style}".strip())
    machine = measurement["machine"]
    rounds = measurement["settings"]["rounds"]
    foot = f"{machine['cpu']}; median of {rounds} interleaved rounds, thin lines: quartiles; {measurement['date']}."
    if measurement.get("note"):
        foot += " " + measurement["note"]
    drawing.text(MARGIN, height - 16, foot, "quiet")
    body = "\n".join(drawing.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n'
        f"<title>How fast a training step is, beside {escape(report.label_of(reference))}</title>\n"
        f"<style>{STYLE}</style>\n"
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>\n{body}\n</svg>\n'
    )
