"""Write docs/performance.md from the results in docs/performance/ and the text next to this file.

    python -m experiments.bench.page

A line of the text such as ``{{ lines h100.json h100_before.json }}`` becomes a table of these
files. A file that is missing is a measurement that was not made, and its figures are "unmeasured".
"""

import re
from collections.abc import Callable
from pathlib import Path

from experiments.bench import limits
from experiments.bench.limits import Machine
from experiments.bench.lines import describe
from experiments.bench.results import ROOT, apart, ratio
from experiments.bench.show import UNMEASURED, alternatives, gigabytes, number, spread
from experiments.common import DRY_RUN, run, say
from experiments.planning import end_of_plan
from mllm.files import read_json, read_text, write_text

TEXT = Path(__file__).with_name("performance.md")
PAGE, FOLDER = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance"
ASKED = re.compile(r"^\{\{ (\w+) (.+) \}\}$", re.MULTILINE)


def main(_):
    if DRY_RUN.value:
        say(f"writes {PAGE}")
        end_of_plan()
        return
    write_text(PAGE, page(read_text(TEXT), FOLDER))


def page(text: str, folder: Path) -> str:
    """Return the page: ``text`` with its tables, made from files of ``folder``."""

    def made(found: re.Match) -> str:
        kind, *names = found[1], *found[2].split()
        return "\n".join(TABLES[kind](folder, *names))

    return ASKED.sub(made, text)


def _read(folder: Path, name: str) -> dict | None:
    return read_json(folder / name) if (folder / name).is_file() else None


def lines(folder: Path, name: str, before: str | None = None) -> list[str]:
    """Return the table of a result next to an earlier one, and what they were measured with."""
    now, earlier = _read(folder, name), _read(folder, before) if before else None
    held = [result["lines"] for result in (now, earlier) if result]
    blank = {"ours": None, "peer": None}
    titles = ["earlier", "now"] if before else [""]
    head = ["work", "unit", "transformers and peft"]
    head += [f"ours, {title}" if title else "ours" for title in titles]
    rows = [*_head([*head, "ratio", "limit", "share", "first call", "GB, ours / peer"])]
    for key in dict.fromkeys(key for found in held for key in found):
        work, unit = describe(key)
        found = [(result or {"lines": {}})["lines"].get(key, blank) for result in (earlier, now)]
        found = found if before else found[1:]
        latest = [*(line for line in reversed(found) if line["ours"]), *reversed(found)]
        last = next((line for line in latest if line["ours"] or line["peer"]), found[-1])
        ours, peer = last["ours"], last["peer"]
        row = [work, unit, _peer(peer), *(_ours(line["ours"]) for line in found), _ratio(last)]
        row += [_limit(ours, peer), _share(ours), _first(ours)]
        row.append(" / ".join(gigabytes(figure) if figure else "-" for figure in (ours, peer)))
        rows.append(_row(row))
    notes = [note for result in (earlier, now) for note in _conditions(result)]
    if any(apart(line) for found in held for line in found.values()):
        notes.append("\\* measured in different calls.")
    return [*rows, "", *notes]


def _peer(figure: dict | None) -> str:
    return "-" if figure is None else f"{number(figure['rate'])}, {figure['setting']}"


def _ours(figure: dict | None) -> str:
    if figure is None:
        return UNMEASURED
    return spread(figure) if figure["least"] < figure["most"] else number(figure["rate"])


def _ratio(line: dict) -> str:
    found = ratio(line)
    return "-" if found is None else f"{found:.1f}" + "\\*" * apart(line)


def _limit(ours: dict | None, peer: dict | None) -> str:
    """Return the rate that the device allows, and how many times the peer's that is."""
    if ours is None or "limit" not in ours:
        return "-"
    times = f" ({ours['limit'] / peer['rate']:.1f} times)" if peer else ""
    return f"{number(ours['limit'])}{times}"


def _share(ours: dict | None) -> str:
    known = ours is not None and "share" in ours
    return f"{ours['share']:.0%} of {ours['share_of']}" if known else "-"


def _first(ours: dict | None) -> str:
    """Return the seconds of our first call, and how many programs were compiled for the line."""
    if ours is None or ours.get("first") is None:
        return "-"
    compiled = ours.get("compiled")
    return f"{ours['first']:.1f} s" + (f", {compiled['programs']} programs" if compiled else "")


def _conditions(result: dict | None) -> list[str]:
    """Return a paragraph about the calls of a result."""
    if result is None:
        return []
    found, first = [], result["calls"][0]
    for count, call in enumerate(result["calls"], 1):
        known, peer = call["environment"], call["peer"] or {}
        parts = [call["date"]]
        if call is first:  # all calls share these
            parts += [known["device"], f"commit {known['git'][:14]}", f"jax {known['jax']}"]
            parts += [f"{name} {version}" for name, version in peer.items() if name != "device"]
        if (machine := call["machine"]) and (call is first or machine != first["machine"]):
            parts.append(
                f"products {machine['flops'] / 1e12:,.2f} TFLOP/s, copies "
                f"{machine['bytes'] / 1e9:,.1f} GB/s"
            )
        if compiled := call["compile"]:
            parts.append(f"{compiled['programs']} programs compiled in {compiled['seconds']} s")
        parts += [call["note"]] if call.get("note") else []
        found.append(f"Call {count}: {'; '.join(parts)}.")
    equal = result["equal"]
    checked = ", ".join(f"{n} {v['difference']:.2g}" for n, v in (equal or {}).items())
    equality = f"Both sides differ by: {checked}." if equal else "Equality was not checked."
    return [" ".join([*found, equality]), ""]


def trace(folder: Path, name: str, key: str) -> list[str]:
    """Return where the time of a line's call goes."""
    result = _read(folder, name)
    figure = result and result["lines"].get(key, {}).get("ours")
    if not figure or "trace" not in figure:
        return [f"The trace is {UNMEASURED}."]
    found = figure["trace"]
    shares = ", ".join(f"{share:.0%} {kind}" for kind, share in found["shares"].items())
    rows = _head(["kernel", "kind", "ms", "times"])
    for kernel in found["kernels"]:
        rows.append(
            _row([f"`{kernel['name']}`", kernel["kind"], f"{kernel['ms']:.1f}", kernel["count"]])
        )
    return [f"{describe(key)[0]}: {found['busy_ms']:,.0f} ms of kernels, {shares}.", "", *rows]


def implementations(folder: Path, name: str) -> list[str]:
    """Return what each implementation of attention took."""
    result = _read(folder, name)
    figure = result and result["lines"].get("attention", {}).get("ours")
    if not figure:
        return [f"The implementations of attention are {UNMEASURED}."]
    rows = _head(["implementation", "speed, temporaries, difference from the reference"])
    chosen = figure["setting"]
    for impl, text in alternatives(figure).items():
        rows.append(_row([f"{impl} (chosen)" if impl == chosen else impl, text]))
    return rows


def estimates(folder: Path, name: str) -> list[str]:
    """Return what compiled programs need, before and after a change."""
    found = _read(folder, name)
    if found is None:
        return [f"Estimates are {UNMEASURED}."]
    heads = [f"{column}, {when}" for column in found["columns"] for when in ("before", "after")]
    rows = _head(["program", *heads])
    for row in found["rows"]:
        before, after = (row.get(when) or [None] * len(found["columns"]) for when in TIMES)
        pairs = [value for pair in zip(before, after, strict=True) for value in pair]
        rows.append(_row([row["program"], *("-" if v is None else number(v) for v in pairs)]))
    note = f" {found['note']}" if found.get("note") else ""
    return [*rows, "", f"{found['device']}; {found['versions']}; {found['date']}.{note}"]


TIMES = ("before", "after")


def job(folder: Path, name: str) -> list[str]:
    """Return what each command of a job took."""
    found = _read(folder, name)
    if found is None:
        return [f"The job is {UNMEASURED}."]
    known = found["environment"]
    rows = _head(["command", "seconds", "of it compiling", "host, GB", "device, GB"])
    for step in found["steps"].values():
        compiled, device = step["compiled"], step["device_bytes"]
        words = step["command"].replace("python -m experiments.", "").split()
        shown = " ".join(word for word in words if not word.startswith("--config.benchmark"))
        row = [f"`{shown}`", f"{step['seconds']:,.1f}"]
        row.append("-" if compiled is None else f"{compiled['seconds']:,.1f}")
        row.append(f"{step['host_bytes'] / 1e9:.2f}")
        row.append("-" if device is None else f"{device / 1e9:.2f}")
        rows.append(_row(row))
    date = next(iter(found["steps"].values()))["date"]
    note = f" {found['note']}" if found.get("note") else ""
    where = f"{date}; {known['device']}; jax {known['jax']}; commit {known['git'][:7]}."
    return [*rows, "", f"`{found['command']}`; {where}{note}"]


def published(folder: Path, name: str) -> list[str]:
    """Return figures of others with the limit of their device, next to ours with that of ours."""
    found = read_json(folder / name)
    machines = {key: Machine(**machine) for key, machine in found["machines"].items()}

    def limit(row: dict, machine: str | None) -> str:
        if machine is None or not row["rows"]:
            return "-"
        sizes = {key: row[key] for key in ("rows", "prompt", "new")}
        cost = limits.decoding(
            machines[machine],
            found["parameters"],
            2 * found["parameters"],
            found["per_token"],
            **sizes,
        )
        return number(row["rows"] * row["new"] / sum(cost))

    heads = ["work", "by", "device", "published", "limit there", "ours, on an H100", "limit here"]
    rows = _head(heads)
    for row in found["rows"]:
        by = f"[{row['by']}]({row['source']})"
        cells = [row["work"], by, row["device"], row["figure"], limit(row, row["machine"])]
        rows.append(_row([*cells, row["ours"] or UNMEASURED, limit(row, "H100")]))
    return rows


def _head(names: list[str]) -> list[str]:
    return [_row(names), "|" + "---|" * len(names)]


def _row(cells: list) -> str:
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


TABLES: dict[str, Callable[..., list[str]]] = {
    "lines": lines,
    "trace": trace,
    "implementations": implementations,
    "estimates": estimates,
    "job": job,
    "published": published,
}


if __name__ == "__main__":
    run(main)
