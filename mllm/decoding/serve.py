"""The form of weights that decoding holds, and how its programs are compiled: each layer by itself,
rows kept where they lie.
"""

from collections.abc import Callable
from functools import partial, wraps

import jax

from mllm.models.multimodal import Variables, split_layers
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import take_layer
from mllm.parallel.rows import keep_rows


def serve(variables: Variables, *, give_up: bool = False) -> Variables:
    """``split_layers`` on the device: one stack after another is cut, each layer in its own array.

    Args:
      give_up: delete each stack when its layers are cut, so that no second copy of the weights ever
        is; ``variables`` can not be used afterwards.
    """

    def cut(leaf: jax.Array) -> tuple[jax.Array, ...]:
        layers = tuple(take_layer(leaf, number) for number in range(leaf.shape[0]))
        if give_up:
            leaf.delete()
        return layers

    return split_layers(variables, cut)


def served(*static: str) -> Callable:
    """Compile ``function(model, config, variables, ...)``, which is handed split layers whichever
    form it is called with; ``static`` names further static arguments.

    Variables that ``serve`` has not split are split inside the program, which then holds a second
    copy of the layers while it runs. On a mesh the rows keep to the split of ``place_rows``.
    """

    def decorate(function: Callable) -> Callable:
        @partial(jax.jit, static_argnames=("model", "config", "mesh", *static))
        def program(model, config, variables, *arguments, mesh, **options):
            with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
                return function(model, config, split_layers(variables), *arguments, **options)

        @wraps(function)
        def run(model, config, variables, *arguments, **options):
            mesh = mesh_of(variables)
            return program(model, config, variables, *arguments, mesh=mesh, **options)

        def lower(model, config, variables, *arguments, **options):
            """The program for shapes, or arrays, lowered and not run."""
            mesh = mesh_of(variables)
            return program.lower(model, config, variables, *arguments, mesh=mesh, **options)

        run.lower = lower
        return run

    return decorate
