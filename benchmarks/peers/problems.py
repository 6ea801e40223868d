# SPDX-License-Identifier: MIT
"""What every peer trains: problems.hpp, number for number, for the peers in Python. Needs numpy."""

import numpy

POOL = 16  # batches, taken in turn
TOKENS, LENGTH, WIDTH, HEADS = 64, 16, 64, 4
MLPS = {"mlp-16": (32, 16, 10), "mlp-64": (32, 64, 10), "mlp-256": (32, 256, 10)}
GPU_MLP = (256, 4096, 10)


def hashed(stream, count):
    """The first numbers of a stream of 64 bits (Vigna's splitmix64 at a counter)."""
    with numpy.errstate(over="ignore"):
        z = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64((stream << 32) + 1)
        z *= numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def uniform(stream, shape):
    """Numbers in [-1, 1), in steps that float32 holds exactly."""
    bits = hashed(stream, int(numpy.prod(shape))) >> numpy.uint64(40)
    return (bits.astype(numpy.float32) * numpy.float32(2**-23) - numpy.float32(1)).reshape(shape)


def integers(stream, below, shape):
    """Integers in [0, below)."""
    bits = hashed(stream, int(numpy.prod(shape))) >> numpy.uint64(32)
    return (bits % numpy.uint64(below)).astype(numpy.int64).reshape(shape)


def first_parameter(stream, name, shape):
    """Matrices and kernels get ±1/sqrt(fan in), biases 0, scales of a norm 1."""
    if len(shape) < 2:
        return numpy.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=numpy.float32)
    return uniform(stream, shape) * numpy.float32(1 / numpy.sqrt(numpy.prod(shape) // shape[0]))


def vectors(batch, inputs):
    data = uniform(1000, (POOL * batch, inputs)) * numpy.float32(2)
    return list(zip(numpy.split(data, POOL), numpy.split(integers(1001, 10, (POOL * batch,)), POOL)))


def images(digits):
    table = numpy.loadtxt(digits, delimiter=",", dtype=numpy.float32, max_rows=POOL * 32)
    data = (table[:, :64] / numpy.float32(16)).reshape(-1, 1, 8, 8)
    return list(zip(numpy.split(data, POOL), numpy.split(table[:, 64].astype(numpy.int64), POOL)))


def sentences(batch):
    shape = (POOL * batch, LENGTH)
    return list(zip(numpy.split(integers(1000, TOKENS, shape), POOL), numpy.split(integers(1001, TOKENS, shape), POOL)))


def batches_of(model, digits):
    if model == "digits":
        return images(digits)
    if model == "transformer":
        return sentences(8)
    if model == "gpu":
        return vectors(16384, GPU_MLP[0])
    return vectors(32, MLPS[model][0])
