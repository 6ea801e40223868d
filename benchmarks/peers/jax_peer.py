# SPDX-License-Identifier: MIT
"""JAX with optax: the whole step, update included, as one jitted function whose parameters and state are donated.

Images lie as XLA likes them on a CPU (channels last); the last layer of the digits' network is permuted to match.
"""

import os
import sys

# Read when JAX is imported. Dispatch in the caller's thread: on one core a second thread only costs.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")

import jax
import numpy
import optax
from jax import numpy as jnp

import problems
import protocol


def cross_entropy(scores, target):
    return optax.softmax_cross_entropy_with_integer_labels(scores, target).mean()


def linear(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def layer_norm(p, name, x):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]


def mlp(p, data, target):
    x = jax.nn.relu(linear(p, "0", data))
    x = jax.nn.relu(linear(p, "2", x))
    return cross_entropy(linear(p, "4", x), target)


def convolution(p, name, x):
    return (
        jax.lax.conv_general_dilated(x, p[name + ".weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        + p[name + ".bias"]
    )


def pool(x):
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def digits_net(p, data, target):
    x = pool(jax.nn.relu(convolution(p, "0", data)))
    x = pool(jax.nn.relu(convolution(p, "3", x)))
    return cross_entropy(linear(p, "7", x.reshape(x.shape[0], -1)), target)


def block(p, name, x):
    batch, length, width = x.shape
    heads = problems.HEADS
    parts = linear(p, name + ".qkv", layer_norm(p, name + ".norm1", x)).reshape(batch, length, 3, heads, width // heads)
    attended = jax.nn.dot_product_attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2])
    y = x + linear(p, name + ".out", attended.reshape(batch, length, width))
    hidden = jax.nn.gelu(linear(p, name + ".up", layer_norm(p, name + ".norm2", y)), approximate=False)
    return y + linear(p, name + ".down", hidden)


def transformer(p, data, target):
    x = p["embedding.weight"][data] + p["positions"]
    x = block(p, "block2", block(p, "block1", x))
    scores = linear(p, "head", layer_norm(p, "norm", x))
    return cross_entropy(scores, target)


def mlp_shapes(inputs, width, classes):
    return {
        "0.weight": (width, inputs), "0.bias": (width,),
        "2.weight": (width, width), "2.bias": (width,),
        "4.weight": (classes, width), "4.bias": (classes,),
    }  # fmt: skip


def block_shapes(name):
    w = problems.WIDTH
    return {
        name + ".norm1.weight": (w,), name + ".norm1.bias": (w,),
        name + ".qkv.weight": (3 * w, w), name + ".qkv.bias": (3 * w,),
        name + ".out.weight": (w, w), name + ".out.bias": (w,),
        name + ".norm2.weight": (w,), name + ".norm2.bias": (w,),
        name + ".up.weight": (4 * w, w), name + ".up.bias": (4 * w,),
        name + ".down.weight": (w, 4 * w), name + ".down.bias": (w,),
    }  # fmt: skip


# In PyTorch's order and layout, since the first parameters are numbered by it.
DIGITS_SHAPES = {
    "0.weight": (16, 1, 3, 3), "0.bias": (16,),
    "3.weight": (32, 16, 3, 3), "3.bias": (32,),
    "7.weight": (10, 128), "7.bias": (10,),
}  # fmt: skip
TRANSFORMER_SHAPES = {
    "positions": (problems.LENGTH, problems.WIDTH),
    "embedding.weight": (problems.TOKENS, problems.WIDTH),
    **block_shapes("block1"),
    **block_shapes("block2"),
    "norm.weight": (problems.WIDTH,), "norm.bias": (problems.WIDTH,),
    "head.weight": (problems.TOKENS, problems.WIDTH), "head.bias": (problems.TOKENS,),
}  # fmt: skip


def model_of(name):
    """The loss as a function of parameters, data and target; the parameters' shapes."""
    if name == "digits":
        return digits_net, DIGITS_SHAPES
    if name == "transformer":
        return transformer, TRANSFORMER_SHAPES
    return mlp, mlp_shapes(*(problems.GPU_MLP if name == "gpu" else problems.MLPS[name]))


def first_parameters(name, shapes):
    parameters = {
        key: problems.first_parameter(stream, key, shape) for stream, (key, shape) in enumerate(shapes.items())
    }
    if name == "digits":
        for key in ("0.weight", "3.weight"):
            parameters[key] = parameters[key].transpose(2, 3, 1, 0)
        by_place = parameters["7.weight"].reshape(10, 32, 2, 2)
        parameters["7.weight"] = by_place.transpose(0, 2, 3, 1).reshape(10, 128)
    return {key: jnp.asarray(numpy.ascontiguousarray(value)) for key, value in parameters.items()}


class Jitted(protocol.Training):
    def __init__(self, name, digits):
        loss, shapes = model_of(name)
        self.parameters = first_parameters(name, shapes)
        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adamw(1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2)
        )
        self.state = optimizer.init(self.parameters)
        self.batches = [
            (jnp.asarray(data.transpose(0, 2, 3, 1) if name == "digits" else data), jnp.asarray(target.astype(numpy.int32)))
            for data, target in problems.batches_of(name, digits)
        ]
        self.next = 0
        self.loss_of = jax.jit(loss)

        def step(parameters, state, data, target):
            gradients = jax.grad(loss)(parameters, data, target)
            updates, state = optimizer.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), state

        self.step = jax.jit(step, donate_argnums=(0, 1))

    def steps(self, count):
        for _ in range(count):
            data, target = self.batches[self.next]
            self.next = (self.next + 1) % len(self.batches)
            self.parameters, self.state = self.step(self.parameters, self.state, data, target)
        jax.block_until_ready(self.parameters)

    def loss(self):
        return sum(float(self.loss_of(self.parameters, *batch)) for batch in self.batches) / len(self.batches)


def main():
    digits = sys.argv[1]
    on_gpu = jax.default_backend() == "gpu"
    protocol.serve(
        {"JAX": jax.__version__, "optax": optax.__version__, "Python": protocol.python_version()},
        {"jax": lambda name: Jitted(name, digits)},
        ["gpu"] if on_gpu else [*problems.MLPS, "digits", "transformer"],
    )


if __name__ == "__main__":
    main()
