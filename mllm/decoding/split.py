<<<<<<<< HEAD:mllm/decoding/split.py
"""The weights as decoding holds them, each layer by itself, and how its programs are compiled."""
========
"""How the programs of decoding are compiled: each layer's weights by themselves, rows kept in their
places.
"""
>>>>>>>> 0bd95b5 (Names say what things do: split_on_device, decoding_program, donate, counts, states):mllm/decoding/program.py

from collections.abc import Callable
from functools import partial, wraps

import jax

from mllm.models.multimodal import Variables, split_layers
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import take_layer
from mllm.parallel.states import keep_rows


<<<<<<<< HEAD:mllm/decoding/split.py
def split_for_decoding(variables: Variables, *, donate: bool = False) -> Variables:
    """Return variables whose stacks of layers are split on the device, each layer in its own array.
========
def split_on_device(variables: Variables, *, donate: bool = False) -> Variables:
    """Split the stacks of layers on the device, one after another, into an array for each layer.
>>>>>>>> 0bd95b5 (Names say what things do: split_on_device, decoding_program, donate, counts, states):mllm/decoding/program.py

    Args:
      donate: delete each stack once its layers are cut, so that the weights are never held twice;
        ``variables`` cannot be used afterwards.
    """

    def cut(leaf: jax.Array) -> tuple[jax.Array, ...]:
        layers = tuple(take_layer(leaf, number) for number in range(leaf.shape[0]))
        if donate:
            leaf.delete()
        return layers

    return split_layers(variables, cut)


def decoding_program(*static: str) -> Callable:
<<<<<<<< HEAD:mllm/decoding/split.py
    """Compile ``function(model, config, variables, ...)``, which receives split layers.

    Variables that ``split_for_decoding`` has not split are split inside the program, which then
    holds a second copy of the layers while it runs. On a mesh the rows keep to the split of
    ``place_rows``.
========
    """Return a decorator that compiles ``function(model, config, variables, ...)``.

    The function receives split layers whatever it is called with. Variables that are not split yet
    are split inside the program, which then holds a second copy of the layers while it runs. On a
    mesh the rows stay split as by ``place_rows``.
>>>>>>>> 0bd95b5 (Names say what things do: split_on_device, decoding_program, donate, counts, states):mllm/decoding/program.py

    Args:
      static: names of further static arguments.
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
<<<<<<<< HEAD:mllm/decoding/split.py
            """Return the program for shapes or arrays, lowered and not run."""
========
            """Lower the program for shapes or arrays without running it."""
>>>>>>>> 0bd95b5 (Names say what things do: split_on_device, decoding_program, donate, counts, states):mllm/decoding/program.py
            mesh = mesh_of(variables)
            return program.lower(model, config, variables, *arguments, mesh=mesh, **options)

        run.lower = lower
        return run

    return decorate
