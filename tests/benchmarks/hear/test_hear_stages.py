"""The graph of the study follows from a configuration."""

import pytest

from configs.hear import common, ltu_gpu, seeds, tiny, whisper_smol
from mllm.benchmarks import get_benchmark
from mllm.benchmarks.hear import study
from mllm.studies.stage import seed_of
from mllm.studies.weights import what_trains

LTU = ("project", "listen", "classify")


def test_methods_follow_the_three_stages_of_ltu():
    stages = study.stages(tiny.get_config())
    assert list(stages)[:6] == ["language", *LTU, "captions", "facts"]
    parents = {name: stage.parent for name, stage in stages.items()}
    assert parents == {
        "language": None,
        "project": "language",
        "listen": "project",
        "classify": "listen",
        "captions": "classify",
        "facts": "classify",
        "blind": "captions",
        "before": "language",
        **dict.fromkeys(("oracle", "always_yes", "random", "prior")),
    }
    assert [n for n, stage in stages.items() if stage.method] == list(stages)[4:]
    assert seed_of(stages, "captions", 1) == seed_of(stages, "facts", 1)
    assert get_benchmark("hear") is study


def test_methods_differ_in_lessons_alone():
    config = tiny.get_config()
    one, other = (study.stages(config)[name] for name in config.methods)
    assert one.schedule == other.schedule and one.parent == other.parent
    heard = {name: dict(config.methods[name].lessons) for name in config.methods}
    differ = {name for name in heard["facts"] if heard["facts"][name] != heard["captions"][name]}
    assert differ and differ <= set(common.TEXT)
    assert not any(heard["captions"][name] for name in common.TEXT)


def test_a_variant_has_a_folder_of_its_own():
    config = tiny.get_config()
    config.objective.update(name="facts", variant="more")
    stages = study.stages(config)
    assert stages["facts"].folder == "facts_more" and stages["captions"].folder == "captions"


def test_the_schedules_of_ltu_are_those_of_the_paper():
    """Table 1 and section 4.1 of Gong et al. 2024: what trains, learning rate, epochs, batch."""
    config = ltu_gpu.get_config()
    stages = study.stages(config)
    params = dict.fromkeys(("audio", "audio_projector", "decoder"))
    everything = (["audio", "audio_projector"], True)
    published = {
        "project": ((["audio_projector"], False), 1e-3, 2),
        "listen": (everything, 1e-4, 2),
        "classify": (everything, 1e-4, 1),
        "captions": (everything, 1e-4, 1),
    }
    for name, (trains, rate, epochs) in published.items():
        schedule = stages[name].schedule
        assert what_trains(schedule.trainable, params) == trains, name
        assert (schedule.learning_rate, schedule.epochs, schedule.rows) == (rate, epochs, 256)
        assert schedule.loss_on == "all"
    assert (config.lora.rank, config.lora.alpha, config.lora.dropout) == (8, 16, 0.05)


def test_an_imported_model_takes_the_place_of_the_language_stage():
    stages = study.stages(whisper_smol.get_config())
    assert next(iter(stages)) == "pretrained" and stages["project"].parent == "pretrained"
    assert stages["before"].parent == "pretrained" and stages["pretrained"].schedule is None


def test_sweeps_name_stages():
    for module in (tiny, seeds, ltu_gpu, whisper_smol):
        config = module.get_config()
        runs = list(module.sweep(config))
        assert {run["objective.name"] for run in runs} <= set(study.stages(config))
    asked = [(run["seed"], run["objective.name"]) for run in seeds.sweep(seeds.get_config())]
    for seed in (0, 1, 2):
        assert {(seed, "captions"), (seed, "facts"), (seed, "before")} < {*asked}


def test_the_protocol_is_that_of_the_configuration():
    config = tiny.get_config()
    config.evaluation.update(split="validation", per_label=3, conditions=("T", "A"))
    protocol = study.protocol_of(config)
    assert (protocol.split, protocol.per_label) == ("validation", 3)
    assert protocol.conditions == ("T", "A") and study.part(config) == "validation"
    config.evaluation.split = "tests"
    with pytest.raises(ValueError, match=r"split.*'tests'.*test"):
        study.protocol_of(config)
