"""What a compiled program costs a device: memory, arithmetic and communication.

The body of a loop counts as often as the loop runs.
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
_CONDITION = re.compile(r"condition=%([\w.\-]+)")
_BODY = re.compile(r"body=%([\w.\-]+)")
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(COLLECTIVES)})(-start)?\(")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")


def memory_of(compiled) -> dict[str, int]:
    """Return the bytes on each device by kind.

    The kinds are "arguments", "temporaries", "outputs" that alias no argument, and "peak", the sum
    of these.
    """
    found = compiled.memory_analysis()
    sizes = {
        "arguments": found.argument_size_in_bytes,
        "temporaries": found.temp_size_in_bytes,
        "outputs": found.output_size_in_bytes - found.alias_size_in_bytes,
    }
    return {**sizes, "peak": sum(sizes.values())}


def collectives_of(text: str) -> dict[str, int]:
    """Return the bytes that each kind of collective delivers to a device in one run of a program.

    Args:
      text: ``compiled.as_text()``. A loop counts as often as the compiler's annotation says, or as
        its counter takes from 0 to the constant it is compared with, or else once.
    """
    bodies, entry = computations(text)

    def count(name: str) -> Counter:
        total: Counter = Counter()
        for line in bodies.get(name, []):
            if found := _OPERATION.search(line):
                shapes = [_bytes_of(*shape) for shape in _SHAPE.findall(found[1])]
                # An asynchronous start lists operand and result; the result is what arrives.
                total[found[2]] += max(shapes) if found[3] else sum(shapes)
            if called := _CALLED.search(line):
                times = turns_of(line, bodies) if " while(" in line else 1
                for inner in re.findall(r"%([\w.\-]+)", called[1]):
                    for kind, size in count(inner).items():
                        total[kind] += size * times
        return total

    return dict(count(entry))


def computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Return (the lines of each computation of a program, the name of the first that runs)."""
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name = head[2]
            bodies[name] = []
            entry = name if head[1] else entry
        elif name:
            bodies[name].append(line)
    return bodies, entry


def turns_of(line: str, bodies: dict[str, list[str]]) -> int:
    """Return how often the loop of a line runs."""
    if noted := _TRIPS.search(line):
        return int(noted[1])
    names = _CONDITION.search(line), _BODY.search(line)
    condition, body = ("\n".join(bodies.get(n[1], [])) if n else "" for n in names)
    compared = re.search(r"compare\(%([\w.\-]+), %([\w.\-]+)\), direction=LT", condition)
    if not compared:
        return 1
    limit = _constant(condition, compared[2])
    counter = re.search(rf"%{re.escape(compared[1])} = .*, index=(\d+)", condition)
    return max(1, limit // _step(body, int(counter[1]))) if limit and counter else 1


def _constant(text: str, name: str) -> int | None:
    found = re.search(rf"%{re.escape(name)} = [su]32\[\]\S* constant\((\d+)\)", text)
    return int(found[1]) if found else None


def _step(body: str, counter: int) -> int:
    """Return what a loop's body adds to its counter, the element ``counter`` of its state.

    The compiler may merge several iterations into one.
    """
    result = re.search(r"ROOT .* tuple\((.*?)\)", body)
    names = re.findall(r"%([\w.\-]+)", result[1]) if result else []
    if counter >= len(names):
        return 1
    added = re.search(rf"%{re.escape(names[counter])} = .* add\(%([\w.\-]+), %([\w.\-]+)\)", body)
    steps = [_constant(body, name) for name in added.groups()] if added else []
    return next((step for step in steps if step), 1)


def size_of(result: str) -> int:
    """Return the bytes of the arrays of a type, such as "(bf16[8,4]{1,0}, s32[])"."""
    return sum(_bytes_of(*shape) for shape in _SHAPE.findall(result))


def _bytes_of(kind: str, shape: str) -> int:
    return _BYTES.get(kind, 4) * math.prod(int(n) for n in shape.split(",") if n)


def flops_of(function: Callable, *arguments) -> int:
    """Count the floating-point operations of the matrix products of a call, over all devices.

    They are counted in the traced program, not in the compiled one. Recomputation counts again; a
    scan counts as often as it runs; a while loop counts as often as its counter, starting at 0,
    allows, or else once.

    Args:
      arguments: arrays or ShapeDtypeStructs.
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
        times = _times(equation)
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda value: isinstance(value, core.Jaxpr | core.ClosedJaxpr),
        ):
            if isinstance(inner, core.ClosedJaxpr):
                inner = inner.jaxpr
            if isinstance(inner, core.Jaxpr):
                total += times * _flops(inner)
    return total


def _times(equation: core.JaxprEqn) -> int:
    """Return how often the bodies of an equation run at most."""
    if equation.primitive.name == "scan":
        return equation.params["length"]
    if equation.primitive.name != "while":
        return 1
    compared = (e for e in equation.params["cond_jaxpr"].jaxpr.eqns if e.primitive.name == "lt")
    limits = [e.invars[1].val for e in compared if isinstance(e.invars[1], core.Literal)]
    return max(1, int(limits[0])) if limits else 1
