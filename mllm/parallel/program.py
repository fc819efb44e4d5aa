"""What a compiled program costs a device: memory, arithmetic and what goes over the wires, the
bodies of loops counted as often as they run.
"""

import math
import re
from collections import Counter
from collections.abc import Callable

import jax
from jax.extend import core

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2}
_BYTES |= {"f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8}
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(r"(?:body|to_apply|calls|branch_computations)=\{?((?:%[\w.\-]+(?:, )?)+)")
_TRIPS = re.compile(r'known_trip_count"?:\{"?n"?:"?(\d+)')
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(COLLECTIVES)})(-start)?\(")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")


def memory_of(compiled) -> dict[str, int]:
    """Bytes on each device: "arguments", "temporaries", "outputs" that alias no argument, and
    "peak", their sum.
    """
    found = compiled.memory_analysis()
    sizes = {
        "arguments": found.argument_size_in_bytes,
        "temporaries": found.temp_size_in_bytes,
        "outputs": found.output_size_in_bytes - found.alias_size_in_bytes,
    }
    return {**sizes, "peak": sum(sizes.values())}


def collectives_of(text: str) -> dict[str, int]:
    """Bytes that each kind of collective delivers to a device in one run of a compiled program.

    Args:
      text: ``compiled.as_text()``. A loop counts as often as the compiler knows that it runs, and
        once where it does not know.
    """
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name = head[2]
            bodies[name] = []
            entry = name if head[1] else entry
        elif name:
            bodies[name].append(line)

    def count(name: str) -> Counter:
        total: Counter = Counter()
        for line in bodies.get(name, []):
            if found := _OPERATION.search(line):
                shapes = [_size(*shape) for shape in _SHAPE.findall(found[1])]
                # An asynchronous start holds operand and result; the result is what arrives.
                total[found[2]] += max(shapes) if found[3] else sum(shapes)
            if called := _CALLED.search(line):
                trips = _TRIPS.search(line) if " while(" in line else None
                for inner in re.findall(r"%([\w.\-]+)", called[1]):
                    for kind, size in count(inner).items():
                        total[kind] += size * (int(trips[1]) if trips else 1)
        return total

    return dict(count(entry))


def _size(kind: str, shape: str) -> int:
    return _BYTES.get(kind, 4) * math.prod(int(n) for n in shape.split(",") if n)


def flops_of(function: Callable, *arguments) -> int:
    """Floating-point operations of the matrix products of a call, over all devices.

    Counted in the traced program, not in the compiled one: what is computed again counts again, a
    scan as often as it runs, a loop of unknown length once.

    Args:
      arguments: arrays, or ShapeDtypeStructs in their place.
    """
    return _flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _flops(jaxpr: core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            depth = math.prod(shape[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * depth
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda value: isinstance(value, core.Jaxpr | core.ClosedJaxpr),
        ):
            if isinstance(inner, core.ClosedJaxpr):
                inner = inner.jaxpr
            if isinstance(inner, core.Jaxpr):
                total += times * _flops(inner)
    return total
