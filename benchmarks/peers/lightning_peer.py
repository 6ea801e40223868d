# SPDX-License-Identifier: MIT
"""PyTorch Lightning, two ways.

lightning          Trainer(barebones=True): no logger, no bar, nothing logged
lightning-logging  a CSV logger at its default interval, the progress bar (drawn to nowhere), the loss logged to both

Each turn is one `fit`. Only steady steps are timed: the clock starts and stops in between batches, so set-up and
tear-down of a fit do not count.
"""

import logging
import sys
import tempfile
import warnings

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger

import protocol
import torch_models

WARM_UP = 8  # steps of each fit before the clock starts


class Module(lightning.LightningModule):
    def __init__(self, model, logs):
        super().__init__()
        self.model = model
        self.logs = logs

    def training_step(self, batch, index):
        loss = self.model(*batch)
        if self.logs:
            self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Fit(protocol.Training):
    def __init__(self, name, digits, logs, folder):
        self.name = name
        self.batches = torch_models.batches(name, digits)
        self.module = Module(torch_models.make(name), logs)
        self.logs = logs
        self.folder = folder

    def trainer(self):
        common = {
            "accelerator": "gpu" if self.name == "gpu" else "cpu",
            "devices": 1,
            "max_epochs": 1,
            "gradient_clip_val": 1.0,
        }
        if not self.logs:
            return lightning.Trainer(barebones=True, **common)
        return lightning.Trainer(
            logger=CSVLogger(self.folder), enable_checkpointing=False, enable_model_summary=False, **common
        )

    def stream(self, count):
        for i in range(count):
            yield self.batches[i % len(self.batches)]

    def run(self, count):
        clock = []

        def timed():
            # One batch is fetched ahead of the one in training, so any two batches are as good as any other two.
            for i, batch in enumerate(self.stream(WARM_UP + count + 1)):
                if i in (WARM_UP, WARM_UP + count):
                    if self.name == "gpu":
                        torch.cuda.synchronize()
                    clock.append(protocol.now())
                yield batch

        self.trainer().fit(self.module, Batches(timed))
        return protocol.between(*clock)

    def steps(self, count):
        self.trainer().fit(self.module, Batches(lambda: self.stream(count)))

    def loss(self):
        return torch_models.mean_loss(self.module.model, self.batches)


class Batches:
    """What Lightning walks over, once a fit."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return self.make()


def main():
    digits = sys.argv[1]
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        protocol.serve(
            {"Lightning": lightning.__version__, "torch": torch.__version__, "Python": protocol.python_version()},
            {
                "lightning": lambda name: Fit(name, digits, False, folder),
                "lightning-logging": lambda name: Fit(name, digits, True, folder),
            },
            torch_models.model_names(),
        )


if __name__ == "__main__":
    main()
