"""Sounds of Debian packages: instruments of sonic-pi-samples, animals of tuxpaint-stamps-default.

    sonic-pi/samples/*.flac         CC0 1.0
    tuxpaint/stamps/animals/**      GPL-2.0-or-later

The folder is the one that they are installed in, /usr/share, or the same path where `dpkg -x`
unpacked them; one of the two is enough. There are few clips of a class, most often one, so they
suit a model that was trained on others: `test` 0.9 leaves most of them to be heard.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from mllm.benchmarks.hear.importers.folders import ontology_of
from mllm.benchmarks.hear.importers.found import Entry, Found
from mllm.benchmarks.hear.importers.options import Options

SOURCE = "Debian packages"
LICENCE = "CC0 1.0 (sonic-pi-samples), GPL-2.0-or-later (tuxpaint-stamps-default)"
SONIC_PI, TUX_PAINT = "sonic-pi/samples", "tuxpaint/stamps/animals"
# Pattern of a file -> what is heard, the widest class first; the first that matches counts.
INSTRUMENTS = {
    "drum_snare*": ("instrument", "drum", "snare drum"),
    "sn_*": ("instrument", "drum", "snare drum"),
    "bd_*": ("instrument", "drum", "bass drum"),
    "drum_heavy_kick": ("instrument", "drum", "bass drum"),
    "drum_tom*": ("instrument", "drum", "tom-tom"),
    "tabla_*": ("instrument", "drum", "tabla"),
    "drum_cymbal*": ("instrument", "metal percussion", "cymbal"),
    "drum_splash*": ("instrument", "metal percussion", "cymbal"),
    "drum_cowbell": ("instrument", "metal percussion", "cowbell"),
    "perc_bell*": ("instrument", "metal percussion", "bell"),
    "elec_triangle": ("instrument", "metal percussion", "triangle"),
    "guit_*": ("instrument", "string instrument", "guitar"),
    "bass_*": ("instrument", "string instrument", "bass guitar"),
    "ambi_piano": ("instrument", "string instrument", "piano"),
    "misc_crow": ("animal", "bird", "crow"),
}
FAMILIES = {
    "amphibians": "amphibian",
    "birds": "bird",
    "insects": "insect",
    "mammals": "mammal",
    "marsupials": "mammal",
}
NAMES = {  # of files that are named otherwise than what they sound like
    "cow_white": "cow",
    "gander": "goose",
    "heron_greatblue_flying": "heron",
    "mountaingoat": "mountain goat",
    "nandou": "rhea",
    "pig_golden": "pig",
    "pig_golden2": "pig",
    "sheep_lamb": "lamb",
    "tucan": "toucan",
}
LEFT_OUT = ("*_desc", "*_desc_*", "xanthia")  # spoken captions, and what makes no sound


def read(folder: Path, options: Options) -> Found:
    """Return the sounds of those of the two packages that are installed.

    Raises:
      FileNotFoundError: neither is.
    """
    root = folder / options.sounds
    heard = [*_instruments(root / SONIC_PI), *_animals(root / TUX_PAINT)]
    if not heard:
        raise FileNotFoundError(
            f"{root}: has neither {SONIC_PI} nor {TUX_PAINT}; install sonic-pi-samples or "
            "tuxpaint-stamps-default"
        )
    entries = []
    for path, line in heard:
        name = path.relative_to(root).as_posix()
        licence = "CC0 1.0" if name.startswith(SONIC_PI) else "GPL-2.0-or-later"
        record = {"file": name, "licence": licence}
        entries.append(Entry(str(path), name, name, "", line[-1:], path, record))
    ontology = ontology_of({line for _, line in heard})
    return Found(ontology, tuple(entries), (), SOURCE, LICENCE)


def _instruments(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path in sorted(folder.glob("*.flac")):
        lines = [line for pattern, line in INSTRUMENTS.items() if fnmatch(path.stem, pattern)]
        if lines:
            yield path, lines[0]


def _animals(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    paths = [path for path in folder.rglob("*") if path.suffix in (".ogg", ".wav")]
    for path in sorted(paths):
        family = FAMILIES.get(path.relative_to(folder).parts[0])
        if family and not any(fnmatch(path.stem, pattern) for pattern in LEFT_OUT):
            name = NAMES.get(path.stem, path.stem.replace("_", " "))
            yield path, ("animal", family, name)
