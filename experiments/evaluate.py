"""Ask a run's model every question of the forget, test, retain and celebrity sets, and score the
replies. A folder of Hugging Face, or of Model.save, is evaluated as a run below --workdir.
"""

from pathlib import Path

from absl import flags

from experiments import stages, study
from experiments.common import get_config, run, say
from experiments.runs import Run
from mllm.evaluation.metrics import HEADLINES
from mllm.files import read_json

CHECKPOINT = flags.DEFINE_string("checkpoint", None, "folder of a finished run", required=True)
WORKDIR = flags.DEFINE_string("workdir", None, "where a folder that is no run gets its results")


def main(_):
    config, folder = get_config(), Path(CHECKPOINT.value)
    benchmark = stages.open_benchmark(config)
    if WORKDIR.value is not None:
        config.pretrained = str(folder)
        folder = study.ensure("pretrained", config, Path(WORKDIR.value), benchmark).folder
    elif not (folder / "run.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'run.json'}: no such file; a folder that is no run needs --workdir DIR, "
            "where its results go"
        )
    record = read_json(folder / "run.json")
    if record.get("status") != "finished":
        raise ValueError(
            f"{folder / 'run.json'}: status is {record.get('status')!r}, not 'finished'"
        )
    if record["data_fingerprint"] != benchmark.fingerprint:
        raise ValueError(
            f"{folder}: trained on data {record['data_fingerprint'][:12]}, the config's benchmark "
            f"is {benchmark.fingerprint[:12]}; prepare the dataset this run was trained on"
        )
    entry = study.evaluate(Run(folder, record["method"], config), config, benchmark)
    headline = HEADLINES[entry["protocol"]]
    for score in entry["scores"]:
        if score["metric"] == headline[score["task"]]:
            names = (score[key] for key in ("set", "task", "modality", "metric"))
            where = " ".join(f"{name:<14}" for name in names)
            # None where nothing could be scored, or where one profile gives no interval.
            interval = ", ".join("-" if end is None else f"{end:.3f}" for end in score["ci95"])
            value = "-" if score["value"] is None else f"{score['value']:.3f}"
            say(f"{where} {value} [{interval}] n={score['n']}")


if __name__ == "__main__":
    run(main)
