# SPDX-License-Identifier: MIT
"""PyTorch in Python, three ways.

pytorch            what the tutorials write: torch.optim.AdamW and clip_grad_norm_ with their defaults
pytorch-fused      AdamW(fused=True), clip_grad_norm_(foreach=True)
pytorch-compiled   torch.compile makes one function of the model and its loss, and one of clipping and update
"""

import sys

import torch
import torch._dynamo

import protocol
import torch_models


class Loop(protocol.Training):
    def __init__(self, name, digits, fused=False, compiled=False):
        self.name = name
        self.model = torch_models.make(name)
        self.batches = torch_models.batches(name, digits)
        self.next = 0
        self.parameters = list(self.model.parameters())
        self.loss_of = self.model
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, fused=fused, foreach=compiled or None)
        self.clipping = {"foreach": True} if fused or compiled else {}
        if compiled:
            self.loss_of = torch.compile(self.model, dynamic=False, fullgraph=True)
            self.update = torch.compile(self.update, dynamic=False)

    def update(self):
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, **self.clipping)
        self.optimizer.step()

    def steps(self, count):
        for _ in range(count):
            data, target = self.batches[self.next]
            self.next = (self.next + 1) % len(self.batches)
            self.optimizer.zero_grad()
            self.loss_of(data, target).backward()
            self.update()
        if self.name == "gpu":
            torch.cuda.synchronize()

    def loss(self):
        return torch_models.mean_loss(self.model, self.batches)


def main():
    digits = sys.argv[1]
    torch.set_num_threads(1)
    # A function is compiled anew for each model. Past a limit, torch.compile would go on without compiling, and not say so.
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    protocol.serve(
        {"torch": torch.__version__, "Python": protocol.python_version()},
        {
            "pytorch": lambda name: Loop(name, digits),
            "pytorch-fused": lambda name: Loop(name, digits, fused=True),
            "pytorch-compiled": lambda name: Loop(name, digits, compiled=True),
        },
        torch_models.model_names(),
    )


if __name__ == "__main__":
    main()
