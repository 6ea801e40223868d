# SPDX-License-Identifier: MIT
"""PyTorch in Python, three ways.

pytorch            what the tutorials write: torch.optim.AdamW and clip_grad_norm_ with their defaults
pytorch-fused      AdamW(fused=True), clip_grad_norm_(foreach=True)
pytorch-compiled   the same, and torch.compile makes one function of the model and its loss
"""

import sys

import torch

import protocol
import torch_models


class Loop(protocol.Training):
    def __init__(self, name, digits, fused=False, compiled=False):
        self.name = name
        self.model = torch_models.make(name)
        self.batches = torch_models.batches(name, digits)
        self.next = 0
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, **({"fused": True} if fused else {}))
        self.clipping = {"foreach": True} if fused else {}
        self.loss_of = torch.compile(self.model, dynamic=False, fullgraph=True) if compiled else self.model

    def steps(self, count):
        for _ in range(count):
            data, target = self.batches[self.next]
            self.next = (self.next + 1) % len(self.batches)
            self.optimizer.zero_grad()
            self.loss_of(data, target).backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, **self.clipping)
            self.optimizer.step()
        if self.name == "gpu":
            torch.cuda.synchronize()

    def loss(self):
        return torch_models.mean_loss(self.model, self.batches)


def main():
    digits = sys.argv[1]
    torch.set_num_threads(1)
    protocol.serve(
        {"torch": torch.__version__, "Python": protocol.python_version()},
        {
            "pytorch": lambda name: Loop(name, digits),
            "pytorch-fused": lambda name: Loop(name, digits, fused=True),
            "pytorch-compiled": lambda name: Loop(name, digits, fused=True, compiled=True),
        },
        torch_models.model_names(),
    )


if __name__ == "__main__":
    main()
