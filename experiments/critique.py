"""Critique the photographs of a folder: what they show, their weaknesses, and how to improve them.

python -m experiments.critique --checkpoint runs/photo/seed0/fused photos/ --out critiques/

Writes critique.json, and index.html for each folder, to --out (default: runs/critique/NAME). Files
that are no photographs are named with the reason. A run that was stopped continues.
"""

from pathlib import Path

from experiments.common import DRY_RUN, define_path, note, run, say
from experiments.planning import end_of_plan
from mllm.api import load
from mllm.benchmarks.photo.assistant.command import critique_folder, describe_folder
from mllm.benchmarks.photo.assistant.questions import untaught
from mllm.paths import local_path

CHECKPOINT = define_path("checkpoint", "folder of a finished run, or of a model", required=True)
OUT = define_path("out", "folder to write to (default: runs/critique/NAME)")


def main(arguments):
    folder = local_path(arguments[1])
    out = OUT.value or Path("runs/critique", folder.resolve().name)
    if DRY_RUN.value:
        for line in describe_folder(folder, out):
            say(line)
        end_of_plan()
        return
    checkpoint = CHECKPOINT.value
    results, page = critique_folder(
        lambda: load(checkpoint).loaded, folder, out, note, untaught(checkpoint)
    )
    for one in results.passed:
        say(f"passed over: {one.name}: {one.reason}")
    say(f"photographs critiqued: {len(results.critiqued)}; page: {page}")


if __name__ == "__main__":
    run(main, argument="the folder of photographs")
