"""Where the time of one call goes: the kernels of a device by time, from a trace of jax.profiler.

On a GPU the kernels are the complete events of its streams; under command buffers they carry no
name of an operation, so a kernel is matched to the compiled program by its own name. On a CPU they
are the events that name an operation of XLA, which run on several threads at once.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import jax

TOP = 12  # kernels that a summary lists

# Kernels of products by their own names: cuBLAS, CUTLASS, Triton, XLA's CPU runtime.
_PRODUCT = re.compile(
    r"nvjet|gemm|cublas|cutlass|wgmma|(^|_)dot(_|\.|$)|convolution", re.IGNORECASE
)
_ATTENTION = re.compile(r"sdpa|flash|fmha|splash|attention", re.IGNORECASE)
# Attention of XLA has no kernel of its own: its operations are found by their scope, or by the
# letters of its products.
_SCOPE = re.compile(r"\battention\b|\bb[a-z]*ts\b")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*?\b([\w\-]+)\(")
_CALLS = re.compile(r"calls=%?([\w.\-]+)")
_SCOPE_OF = re.compile(r'op_name="([^"]*)"')


def traced(once: Callable, folder: Path, program: str = "") -> dict:
    """Run ``once`` under the profiler, which writes below ``folder``, and return ``summary``."""
    with jax.profiler.trace(str(folder)):
        jax.block_until_ready(once())
    found = sorted(Path(folder).rglob("*.trace.json.gz"), key=lambda path: path.stat().st_mtime)
    if not found:
        return {"missing": f"{folder}: jax.profiler wrote no *.trace.json.gz"}
    with gzip.open(found[-1], "rt", encoding="utf-8") as file:
        return summary(json.load(file)["traceEvents"], program)


def summary(events: list[dict], program: str = "") -> dict:
    """Return where the time of a trace goes.

    Args:
      program: text of the compiled program, which tells fusions apart; without it a fusion counts
        by its name alone.

    Returns:
      {"busy_ms": the kernels together, "span_ms": from the first to the end of the last,
      "shares": {"products", "attention", "rest"} of busy_ms, "kernels": the longest, each
      {"name", "ms", "count", "kind"}, "by_name": whether ``program`` was missing}, or {"missing":
      why there is none}.
    """
    kernels = list(_kernels(events))
    if not kernels:
        return {"missing": "the trace holds no kernels of a GPU and no operations of XLA on a CPU"}
    scopes = _read(program)
    time, count = defaultdict(float), defaultdict(int)
    for name, _, duration in kernels:
        time[name] += duration
        count[name] += 1
    busy = sum(time.values())
    shares = dict.fromkeys(("products", "attention", "rest"), 0.0)
    for name, duration in time.items():
        shares[_kind(name, scopes)] += duration / busy
    longest = sorted(time, key=time.__getitem__, reverse=True)[:TOP]
    first = min(start for _, start, _ in kernels)
    last = max(start + duration for _, start, duration in kernels)
    return {
        "busy_ms": busy / 1e3,
        "span_ms": (last - first) / 1e3,
        "shares": shares,
        "by_name": not program,
        "kernels": [
            {"name": n, "ms": time[n] / 1e3, "count": count[n], "kind": _kind(n, scopes)}
            for n in longest
        ],
    }


def _kernels(events: Iterable[dict]) -> Iterator[tuple[str, float, float]]:
    """Yield (name, start, duration) of each kernel, in microseconds; those of a GPU if it has any.

    A loop or a call is an event too and holds those of its body: it is left out.
    """
    events = list(events)
    gpus, streams = set(), set()
    for event in events:
        if event.get("ph") != "M":
            continue
        name = str(event.get("args", {}).get("name", ""))
        if event["name"] == "process_name" and "GPU" in name:
            gpus.add(event["pid"])
        if event["name"] == "thread_name" and "Stream" in name:
            streams.add((event["pid"], event["tid"]))
    complete = [event for event in events if event.get("ph") == "X"]
    on_gpu = [e for e in complete if e["pid"] in gpus and (e["pid"], e.get("tid")) in streams]
    for event in on_gpu or (e for e in complete if "hlo_op" in e.get("args", {})):
        name = event["name"]
        if on_gpu or not re.match(r"(while|call|conditional)(\.|$)", name):
            yield name, event["ts"], event.get("dur", 0.0)


def _read(program: str) -> dict[str, tuple[str, bool]]:
    """Return, by name of a kernel, (scopes, whether it holds a product).

    The scopes are those of its products if it holds some, else of all its operations.
    """
    kinds, scopes, called, inside = {}, {}, {}, ""
    bodies = defaultdict(list)
    for line in program.splitlines():
        if line.endswith("{") and "->" in line:
            inside = line.split()[1 if line.startswith("ENTRY") else 0].lstrip("%")
        elif found := _INSTRUCTION.match(line):
            name, kinds[found[1]] = found[1], found[2]
            scopes[name] = " ".join(_SCOPE_OF.findall(line))
            called[name] = next(iter(_CALLS.findall(line)), "")
            bodies[inside].append(name)
    found = {}
    for name in kinds:
        body = [name, *bodies.get(called[name], [])]
        products = [part for part in body if kinds[part] in ("dot", "convolution")]
        text = " ".join(scopes[part] for part in products or body)
        found[_as_kernel(name)] = text, bool(products)
    return found


def _as_kernel(name: str) -> str:
    """Return the name of an instruction as a GPU's kernel spells it."""
    return re.sub(r"[.\-]", "_", name)


def _kind(name: str, scopes: dict[str, tuple[str, bool]]) -> str:
    scope, held = scopes.get(_as_kernel(name), ("", False))
    if _ATTENTION.search(name) or _SCOPE.search(scope):
        return "attention"
    return "products" if held or _PRODUCT.search(name) else "rest"


def report(found: dict) -> list[str]:
    """Return a summary as lines of text."""
    if "missing" in found:
        return [f"no trace: {found['missing']}"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found["shares"].items())
    how = ", fusions by their names alone" if found["by_name"] else ""
    lines = [f"kernels {found['busy_ms']:.1f} ms in {found['span_ms']:.1f} ms{how}: {shares}"]
    for kernel in found["kernels"]:
        lines.append(
            f"  {kernel['ms']:9.2f} ms x {kernel['count']:5}  {kernel['kind']:9}  {kernel['name']}"
        )
    return lines
