# SPDX-License-Identifier: MIT
"""The models of problems.hpp in PyTorch, for peers in Python."""

import torch
from torch import nn
from torch.nn import functional

import problems


class Mlp(nn.Module):
    def __init__(self, inputs, width, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes)
        )

    def forward(self, data, target):
        return functional.cross_entropy(self.net(data), target)


class DigitsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 2 * 2, 10),
        )  # fmt: skip

    def forward(self, data, target):
        return functional.cross_entropy(self.net(data), target)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        width = problems.WIDTH
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, problems.HEADS, width // problems.HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(q, k, v)
        y = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        return y + self.down(functional.gelu(self.up(self.norm2(y))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        width = problems.WIDTH
        self.positions = nn.Parameter(torch.empty(problems.LENGTH, width))
        self.embedding = nn.Embedding(problems.TOKENS, width)
        self.block1 = Block()
        self.block2 = Block()
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, problems.TOKENS)

    def forward(self, data, target):
        x = self.block2(self.block1(self.embedding(data) + self.positions))
        scores = self.head(self.norm(x))
        return functional.cross_entropy(scores.view(-1, problems.TOKENS), target.view(-1))


def model_names():
    return [*problems.MLPS, "digits", "transformer", *(["gpu"] if torch.cuda.is_available() else [])]


def device_of(name):
    return "cuda" if name == "gpu" else "cpu"


def make(name):
    """A model with its first parameters: called with data and target, it gives the loss."""
    if name == "digits":
        model = DigitsNet()
    elif name == "transformer":
        model = Transformer()
    else:
        model = Mlp(*(problems.GPU_MLP if name == "gpu" else problems.MLPS[name]))
    with torch.no_grad():
        for stream, (parameter_name, parameter) in enumerate(model.named_parameters()):
            first = problems.first_parameter(stream, parameter_name, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(first))
    return model.to(device_of(name), memory_format=torch.channels_last)


def batches(name, digits):
    device = device_of(name)
    pairs = [
        (torch.from_numpy(data).clone().to(device), torch.from_numpy(target).clone().to(device))
        for data, target in problems.batches_of(name, digits)
    ]
    if name == "digits":  # channels last: of one channel the memory is the same, but only the strides tell
        pairs = [(data.as_strided(data.shape, (64, 1, 8, 1)), target) for data, target in pairs]
    return pairs


def mean_loss(model, batches):
    with torch.no_grad():
        return sum(model(*batch).item() for batch in batches) / len(batches)
