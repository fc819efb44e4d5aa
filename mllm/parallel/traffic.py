"""The memory traffic and the kernels of a program compiled for a GPU, read from its text.

An estimate: each kernel reads its operands and writes its results once. Of an operand that a kernel
only cuts pieces out of it reads those pieces, and of an array that it changes in place it writes
the changed piece. A loop's body counts as often as the loop runs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllm.parallel.program import computations, size_of, turns_of

# What runs no kernel.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota"}
_LINE = re.compile(r"^\s+(ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(?:, |$)")
_INNER = re.compile(r"(?:calls|to_apply|body)=%([\w.\-]+)")
_CUTS = ("dynamic-slice", "slice", "gather")


@dataclass(frozen=True)
class Traffic:
    """What one run of a program costs.

    Attributes:
      bytes: read and written by kernels.
      kernels: how many run. products: those of them that are matrix products of a library.
    """

    bytes: int = 0
    kernels: int = 0
    products: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.bytes + other.bytes, self.kernels + other.kernels, self.products + other.products
        )

    def __mul__(self, times: int) -> "Traffic":
        return Traffic(self.bytes * times, self.kernels * times, self.products * times)


@dataclass(frozen=True)
class Instruction:
    """A line of a computation; ``operands`` are names, ``arguments`` what the parentheses hold."""

    name: str
    root: bool
    result: str
    kind: str
    arguments: str
    line: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.\-]+)", self.arguments)


def traffic_of(text: str) -> Traffic:
    """Return the traffic of one run of ``compiled.as_text()``."""
    bodies, entry = computations(text)
    parsed = {name: list(_instructions(lines)) for name, lines in bodies.items()}

    def run(name: str) -> Traffic:
        total = Traffic()
        sizes = {i.name: size_of(i.result) for i in parsed[name]}
        for one in parsed[name]:
            inner = _INNER.search(one.line)
            if one.kind == "while":
                total += run(inner[1]) * turns_of(one.line, bodies)
            elif one.kind in ("call", "async-start") and inner:
                total += run(inner[1])
            elif one.kind not in _FREE and not one.kind.endswith("-done"):
                read = [sizes.get(operand, 0) for operand in one.operands]
                written = size_of(re.sub(r"s8\[[\d,]*\]", "", one.result))  # without work space
                kind = one.kind.removesuffix("-start")
                if kind != one.kind:  # the result of an asynchronous start lists its operands first
                    written -= sum(read)
                if kind == "fusion" and inner:
                    read, written = _of_fusion(parsed[inner[1]], read, written)
                elif kind in _CUTS:
                    read = [written]
                elif kind == "dynamic-update-slice":
                    read, written = read[1:2], read[1]
                product = kind == "dot" or "__cublas" in one.line
                total += Traffic(sum(read) + written, 1, int(product))
        return total

    return run(entry)


def _instructions(lines: list[str]) -> Iterator[Instruction]:
    for line in lines:
        if found := _LINE.match(line):
            root, name, result, kind, arguments = found.groups()
            yield Instruction(name, bool(root), result, kind, arguments, line)


def _of_fusion(inside: list[Instruction], read: list[int], written: int) -> tuple[list[int], int]:
    """Return the bytes of each operand that a fusion reads, and those that it writes."""
    by_name = {one.name: one for one in inside}

    def users(name: str) -> list[tuple[Instruction, int]]:
        found = []
        for one in inside:
            for place, operand in enumerate(one.operands):
                if operand == name:
                    found += users(one.name) if one.kind == "bitcast" else [(one, place)]
        return found

    for one in inside:
        if one.kind != "parameter" or int(one.arguments) >= len(read):
            continue
        used, pieces = users(one.name), 0
        for user, place in used:
            if place == 0 and user.kind in _CUTS:
                pieces += size_of(user.result)
            elif place or user.kind != "dynamic-update-slice":
                break
        else:
            read[int(one.arguments)] = pieces
    changed = [one for one in inside if one.kind == "dynamic-update-slice"]
    for one in changed:
        whole, piece = (size_of(by_name[name].result) for name in one.operands[:2])
        written -= whole - piece
    return read, max(written, 0)
