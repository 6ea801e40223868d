# SPDX-License-Identifier: MIT
# Made the files of Python in this folder: `python make.py` writes them into the current one, with PyTorch 2.11. The files old_*.torch are
# of this library's first format, whose code is gone: they show that it is still read.
import argparse
import collections
import pathlib
import sys
import types

import torch


class Callback:  # what only Python can make
    def __init__(self):
        self.best = torch.tensor(0.5)


def filled(model):
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).view_as(parameter) + 10 * i)
    return model


torch.manual_seed(1)
net = filled(torch.nn.Sequential(collections.OrderedDict(layer=torch.nn.Linear(4, 2), norm=torch.nn.BatchNorm1d(2))))
torch.save(net.state_dict(), "state_dict.torch")  # an OrderedDict with _metadata
torch.save(dict(net.named_parameters()), "parameters.torch", pickle_protocol=5)
torch.save(net.layer, "module.torch")
torch.save(net.state_dict(), "legacy.torch", _use_new_zipfile_serialization=False)

base = torch.arange(12.0).view(3, 4)
formats = {str(t).split(".")[1]: torch.arange(3).to(t) for t in (
    torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64, torch.float8_e5m2, torch.float8_e4m3fn)}
formats |= {"base": base, "tied": base, "transposed": base.t(), "column": base[:, 1], "rest": base[1:], "expanded": base[0, 0].expand(5),
            "scalar": torch.tensor(2.5), "empty": torch.empty(0, 3)}
torch.save(formats, "formats.torch")

optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
net(torch.ones(3, 4)).sum().backward()
optimizer.step()
filled(net)
Callback.__module__ = "callbacks"
sys.modules["callbacks"] = types.SimpleNamespace(Callback=Callback)
torch.save({
    "epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.6.6",
    "state_dict": collections.OrderedDict(("model." + name, value) for name, value in net.state_dict().items()),
    "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
    "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.25), "dirpath": pathlib.PurePosixPath("/runs"), "kth": {}},
                  Callback: Callback()},
    "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [],
    "hparams_name": "kwargs", "hyper_parameters": argparse.Namespace(lr=0.1, big=1 << 100, names={"a", "b"}, raw=b"\xff\x00x"),
    "precision": torch.float32, "shape": net.layer.weight.shape, "device": torch.device("cpu"),
}, "lightning.torch")
