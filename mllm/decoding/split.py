"""The weights as decoding holds them, each layer by itself, and how its programs are compiled."""

from collections.abc import Callable
from functools import cache, wraps

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.models.multimodal import Variables, split_layers
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import take_layer
from mllm.parallel.states import keep_rows


def split_for_decoding(variables: Variables, *, donate: bool = False) -> Variables:
    """Return variables whose stacks of layers are split on the device, each layer in its own array.

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


def without_decoder(variables: Variables) -> Variables:
    """Return what encoders read: variables without those of the decoder, however it is split."""
    return {
        name: {part: tree for part, tree in parts.items() if part != "decoder"}
        for name, parts in variables.items()
        if name != "layers"
    }


def decoding_program(*static: str, reads: Callable = lambda variables: variables) -> Callable:
    """Compile ``function(model, config, variables, ...)``, which receives split layers.

    Variables that ``split_for_decoding`` has not split are split inside the program, which then
    holds a second copy of the layers while it runs. On a mesh the rows keep to the split of
    ``place_rows``.

    Args:
      static: names of further static arguments.
      reads: returns what the function reads of the variables; weights that differ elsewhere in
        their form then share a program.
    """

    def decorate(function: Callable) -> Callable:
        @cache
        def program_on(mesh: Mesh | None) -> Callable:
            @wraps(function)
            def program(model, config, variables, *arguments, **options):
                with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
                    return function(model, config, split_layers(variables), *arguments, **options)

            # On one device the places of results are known before the program is compiled, and so
            # is the program that takes them.
            alone = mesh is not None and mesh.size == 1
            places = {"out_shardings": NamedSharding(mesh, P())} if alone else {}
            return jax.jit(program, static_argnames=("model", "config", *static), **places)

        @wraps(function)
        def run(model, config, variables, *arguments, **options):
            program = program_on(mesh_of(variables))
            return program(model, config, reads(variables), *arguments, **options)

        def lower(model, config, variables, *arguments, **options):
            """Return the program for shapes or arrays, lowered and not run."""
            program = program_on(mesh_of(variables))
            return program.lower(model, config, reads(variables), *arguments, **options)

        run.lower = lower
        return run

    return decorate
