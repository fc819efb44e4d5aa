"""What the benchmark prints: a line after each piece, and the tables at the end."""

from rich.console import Console
from rich.table import Table

from experiments.bench.lines import describe
from experiments.bench.results import apart, ratio
from experiments.bench.trace import report

UNMEASURED = "unmeasured"
APART = "*"  # marks a ratio of figures that were measured in different calls


def progress(name: str, side: str, figure: dict | None) -> str:
    """Return a line about a piece that was measured, with its trace if it has one."""
    work, unit = describe(name)
    if figure is None:
        return f"{work}, {side}: memory does not suffice"
    parts = [f"{spread(figure)} {unit}", figure["setting"]]
    if "share" in figure:
        parts.append(f"{figure['share']:.0%} of {figure['share_of']}")
    if figure["memory"] is not None:
        parts.append(f"{figure['memory'] / 1e9:.1f} GB")
    parts.append(f"first call {figure['first']:.1f} s")
    lines = [f"{work}, {side}: " + ", ".join(part for part in parts if part)]
    lines += [f"  {name}: {text}" for name, text in alternatives(figure).items()]
    return "\n".join([*lines, *(report(figure["trace"]) if "trace" in figure else [])])


def alternatives(figure: dict) -> dict[str, str]:
    """Return what each implementation took, or why it did not; {} for a line that has only one."""
    lines = {}
    for name, found in figure.get("each", {}).items():
        if "error" in found:
            lines[name] = found["error"]
        else:
            cost = f"{spread(found)} rows/s, {found['memory'] / 1e9:.2f} GB"
            lines[name] = f"{cost}, differs by {found['difference']:.2g}"
    return lines


def show(result: dict) -> None:
    """Print the tables."""
    call = result["calls"][0]
    if machine := call["machine"]:
        print(
            f"matrix products {machine['flops'] / 1e12:.2f} TFLOP/s, copies "
            f"{machine['bytes'] / 1e9:.1f} GB/s ({machine['device']})"
        )
    if result["equal"] is None:
        print("equal: not checked, this is about time alone")
    for name, found in (result["equal"] or {}).items():
        print(f"equal: {name}, {found['difference']:.2g} of at most {found['tolerance']:g}")
    heads = "work", "unit", "ours", "peer", "ratio", "peer's best", "limit", "share", "GB"
    table = Table(*heads)
    for name, line in result["lines"].items():
        ours, peer = line["ours"], line["peer"]
        work, unit = describe(name)
        table.add_row(
            work,
            unit,
            _cell(line, "ours", UNMEASURED),
            _cell(line, "peer", "-"),
            ratio_text(line),
            "-" if peer is None else peer["setting"],
            number(ours["limit"]) if ours and "limit" in ours else "-",
            f"{ours['share']:.0%} {ours['share_of']}" if ours and "share" in ours else "-",
            " / ".join(gigabytes(figure) for figure in (ours, peer) if figure),
        )
    Console(width=160).print(table)
    if any(apart(line) for line in result["lines"].values()):
        print(f"{APART} ours and the peer were measured in different calls")


def _cell(line: dict, side: str, missing: str) -> str:
    if side in line.get("failed", {}):
        return "failed"
    return missing if line[side] is None else spread(line[side])


def ratio_text(line: dict) -> str:
    """Return ours over the peer's, marked if they were measured in different calls."""
    found = ratio(line)
    return "-" if found is None else f"{found:.1f}{APART * apart(line)}"


def spread(figure: dict) -> str:
    """Return the rate with its least and most."""
    return f"{number(figure['rate'])} ({number(figure['least'])}-{number(figure['most'])})"


def number(value: float) -> str:
    """Return a rate with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def gigabytes(figure: dict) -> str:
    """Return the memory of a figure."""
    return "-" if figure["memory"] is None else f"{figure['memory'] / 1e9:.2f}"
