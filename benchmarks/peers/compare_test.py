#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of compare.py, report.py and picture.py with peers that only pretend to train: nothing installed, nothing timed."""

import contextlib
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import compare
import picture
import report

# Answers as a peer does. Its arguments: the contender, microseconds of a step, the loss after 100 steps, and what goes wrong.
PRETENDER = """
import json, sys
name, microseconds, after, fault = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
trained = {}
for line in sys.stdin:
    words = line.split()
    if words == ["hello"]:
        print(json.dumps({"versions": {name: "1.0"}}), flush=True)
        continue
    verb, contender, model, steps = words
    if contender != name:
        print("error not in this build", flush=True)
    elif model == "gpu":
        print("error this model is not trained here", flush=True)
    elif verb == "train":
        trained[model] = trained.get(model, 0) + int(steps)
        print(2.0 + (after - 2.0) * min(trained[model], 100) / 100, flush=True)
    elif fault == "dies":
        sys.exit("out of memory")
    elif fault == "stammers":
        print("no numbers", flush=True)
    else:
        seconds = int(steps) * microseconds * 1e-6
        print(2 * seconds, seconds, 3 * int(steps), flush=True)
"""


def measurement(**models):
    """`models`: by model, by contender, the microseconds of each round."""
    return {
        "date": "2026-01-01",
        "note": "",
        "machine": {"cpu": "A <processor> & more"},
        "versions": {"a": {"torch": "2"}, "b": {"torch": "1"}},
        "settings": {"rounds": 3, "slice": 0.1, "checked_steps": 100, "tolerance": 1e-3},
        "absent": {"jax": {"mlp-16": "not installed"}},
        "models": {
            model.replace("_", "-"): {
                name.replace("_", "-"): {"microseconds": t, "wall_microseconds": t, "checked_loss": 1.0, "page_faults": 0.0}
                for name, t in contenders.items()
            }
            for model, contenders in models.items()
        },
    }


class Arithmetic(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # Round by round 2, 3, 4: a round in which the machine was slow is slow for both.
        found = report.ratio([2, 300, 4], [1, 100, 1])
        self.assertEqual((found.low, found.median, found.high), (2.5, 3, 3.5))
        self.assertEqual(str(found), "3.00 ± 0.50")

    def test_one_round_has_no_spread(self):
        self.assertEqual(report.ratio([6], [2]), report.Ratio(3, 3, 3))

    def test_a_ratio_needs_every_round_of_both(self):
        with self.assertRaises(ValueError):
            report.ratio([1, 2], [1])

    def test_figures_have_three_digits(self):
        self.assertEqual([report.short(x) for x in (0.5, 3.14159, 27.182, 123.4)], ["0.50", "3.14", "27.2", "123"])

    def test_a_table_says_what_is_missing(self):
        m = measurement(mlp_16={"fulgurite_eager": [10, 10, 10], "libtorch": [20, 30, 40]}, digits={"libtorch": [5, 5, 5]})
        self.assertEqual(
            report.table_rows(m, "fulgurite-eager"),
            [
                ["", "MLP 32-16-16-10", "Digits, convolutional"],
                ["Fulgurite, eager", "1", "n/a"],
                ["LibTorch, by hand", "3.00 ± 0.50", "n/a"],
            ],
        )

    def test_losing_is_said(self):
        m = measurement(
            mlp_16={"fulgurite_frozen": [4, 4, 4], "fulgurite_eager": [10, 10, 10], "jax": [5, 5, 5]},
            digits={"fulgurite_frozen": [4, 4, 4], "jax": [3, 3, 3]},
        )
        self.assertEqual(
            report.slower_than(m), [("fulgurite-frozen", "jax", "digits", report.Ratio(0.75, 0.75, 0.75))]
        )
        self.assertIn("Where Fulgurite is the slower one: JAX and optax, jit takes 0.75", report.as_text(m))

    def test_the_share_of_the_wall(self):
        m = measurement(mlp_16={"libtorch": [1, 1, 1]})
        m["models"]["mlp-16"]["libtorch"]["wall_microseconds"] = [2, 2, 2]
        self.assertEqual(report.share_of_wall(m), 0.5)


class Losses(unittest.TestCase):
    def test_who_agrees_stays(self):
        self.assertEqual(compare.check_losses({"a": (2, 1), "b": (2, 1.0005), "c": (2, 0.9995)}, 1e-3), {})

    def test_who_skips_work_is_found(self):
        refused = compare.check_losses({"a": (2, 1), "b": (2, 1), "lazy": (2, 1.5)}, 1e-3)
        self.assertEqual(list(refused), ["lazy"])
        self.assertIn("after 100 steps is 1.5", refused["lazy"])

    def test_who_begins_elsewhere_or_is_not_a_number_is_found(self):
        losses = {"a": (2, 1), "b": (2, 1), "c": (2, 1), "other": (2.1, 1), "nan": (2, float("nan"))}
        self.assertEqual(sorted(compare.check_losses(losses, 1e-3)), ["nan", "other"])

    def test_a_loss_has_to_fall(self):
        self.assertEqual(list(compare.check_losses({"idle": (2, 2)}, 1e-3)), ["idle"])


class Calibration(unittest.TestCase):
    def test_steps_fill_the_slice(self):
        for microseconds in (0.5, 50, 5e3, 5e6):
            steps = compare.calibrated(lambda n: n * microseconds * 1e-6, 0.1)
            self.assertEqual(steps, max(1, round(0.1 / (microseconds * 1e-6))))

    def test_a_clock_that_stands_still_ends(self):
        self.assertGreaterEqual(compare.calibrated(lambda n: 1e-12, 0.1), 1)


class WholeRun(unittest.TestCase):
    def run_with(self, **pretenders):
        """`pretenders`: by peer (contender, microseconds, loss after 100 steps, fault)."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            options = compare.arguments(["--build", str(folder), "--rounds", "3"])
            found = dict.fromkeys((c.peer for c in report.CONTENDERS), "not installed")
            found |= {
                peer: [sys.executable, "-c", PRETENDER, *map(str, words)] if isinstance(words, tuple) else words
                for peer, words in pretenders.items()
            }
            said = []
            measured = compare.measure(options, found, folder, said.append)
            compare.write(measured, folder)
            written = {name: (folder / f"peers.{name}").read_text() for name in ("json", "md", "svg")}
            again = folder / "again"
            with contextlib.redirect_stdout(io.StringIO()):
                compare.main(["--from", str(folder / "peers.json"), "--out", str(again)])
            self.assertEqual((again / "peers.svg").read_text(), written["svg"])
            return measured, written, said

    def test_two_peers(self):
        measured, written, _ = self.run_with(
            fulgurite=("fulgurite-eager", 100, 1.0, "-"), libtorch=("libtorch", 250, 1.0, "-"), jax="not installed"
        )
        self.assertEqual(json.loads(written["json"]), measured)
        self.assertEqual(measured["models"]["digits"]["libtorch"]["microseconds"], [250, 250, 250])
        self.assertEqual(measured["models"]["digits"]["libtorch"]["wall_microseconds"], [500, 500, 500])
        self.assertIn("| LibTorch, by hand | 2.50 ± 0.00 |", written["md"])
        self.assertIn("n/a: JAX and optax, jit: not installed.", written["md"])
        self.assertIn("n/a: Fulgurite, frozen: not in this build.", written["md"])
        self.assertIn("50% of the time on the wall", written["md"])
        self.assertIn("Page faults in a step, where there is one or more: on MLP 32-16-16-10 3 (Fulgurite, eager), 3 (LibTorch", written["md"])
        self.assertIn(report.NO_GPU, written["md"])
        self.assertNotIn("gpu", measured["models"])

    def test_who_skips_work_is_left_out(self):
        measured, written, said = self.run_with(
            fulgurite=("fulgurite-eager", 100, 1.0, "-"),
            libtorch=("libtorch", 250, 1.0, "-"),
            jax=("jax", 1, 1.9, "-"),
        )
        self.assertNotIn("jax", measured["models"]["mlp-16"])
        self.assertIn("JAX and optax, jit: its loss after 100 steps is 1.9", written["md"])
        self.assertTrue(any("its loss after 100 steps is 1.9" in line for line in said))

    def test_who_dies_or_stammers_is_left_out_with_the_reason(self):
        _, written, _ = self.run_with(
            fulgurite=("fulgurite-eager", 100, 1.0, "-"),
            libtorch=("libtorch", 250, 1.0, "dies"),
            jax=("jax", 50, 1.0, "stammers"),
        )
        self.assertIn("LibTorch, by hand: its process ended (exit code 1): out of memory", written["md"])
        self.assertIn("JAX and optax, jit: the peer answered 'no numbers'", written["md"])


class Picture(unittest.TestCase):
    def test_it_is_well_formed_and_says_what_it_shows(self):
        m = measurement(
            mlp_16={"fulgurite_frozen": [10, 10, 10], "pytorch": [40, 40, 40], "lightning": [80, 80, 80]},
            digits={"pytorch": [40, 40, 40]},
        )
        drawing = picture.draw(m)
        root = xml.etree.ElementTree.fromstring(drawing)
        texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
        for text in ("Fulgurite, frozen", "MLP 32-16-16-10", "4.0", "0.50", "n/a"):
            self.assertIn(text, texts)
        self.assertTrue(any("A <processor> & more" in text for text in texts))
        self.assertIn("prefers-color-scheme: dark", drawing)

    def test_everything_stays_on_the_card(self):
        m = measurement(mlp_16={"fulgurite_frozen": [1, 1, 1], "pytorch": [90, 90, 90], "lightning": [2000, 2000, 2000]})
        root = xml.etree.ElementTree.fromstring(picture.draw(m))
        width, height = (float(root.get(key)) for key in ("width", "height"))
        for element in root.iter():
            for key, value in element.attrib.items():
                if key in ("x", "x1", "x2"):
                    self.assertTrue(0 <= float(value) <= width)
                if key in ("y", "y1", "y2"):
                    self.assertTrue(0 <= float(value) <= height)

    def test_bars_are_as_long_as_the_logarithm(self):
        m = measurement(mlp_16={"fulgurite_frozen": [10, 10, 10], "fulgurite_eager": [20, 20, 20], "pytorch": [80, 80, 80]})
        widths = dict(re.findall(r'width="([\d.]+)"[^/]*class="bar (fulgurite-\w+)"', picture.draw(m)))
        by_name = {name: float(width) for width, name in widths.items()}
        self.assertAlmostEqual(by_name["fulgurite-frozen"] / by_name["fulgurite-eager"], 3 / 2, delta=0.02)

    def test_without_python_the_loop_by_hand_is_the_reference(self):
        m = measurement(mlp_16={"fulgurite_eager": [1, 1, 1], "libtorch": [2, 2, 2]})
        self.assertEqual(picture.reference_of(m), "libtorch")


if __name__ == "__main__":
    unittest.main()
