"""Order, parents, random streams, folders and identities follow from the graph of a study."""

import pytest
from ml_collections import ConfigDict

from configs.mllmu import tiny
from mllm.benchmarks.mllmu import study
from mllm.studies.environment import digest
from mllm.studies.identity import identity, made_from, value_of
from mllm.studies.stage import (
    Stage,
    before_methods,
    find,
    folder_name,
    stream,
)

KEYS_THAT_CAME_LATER = ("vocabulary", "row_tokens", "row_supervised", "share_text", "sounds")


@pytest.fixture
def config():
    return tiny.get_config()


def digests(config, fingerprint: str = "data", parents: str = "weights") -> dict[str, str]:
    stages = study.stages(config)
    return {
        name: identity(made_from(s, config, fingerprint, {"parent": parents}))
        for name, s in stages.items()
    }


def changed(config, before: dict[str, str]) -> set[str]:
    after = digests(config)
    return {name for name in before if after[name] != before[name]}


def test_the_graph_of_the_study_of_people(config):
    stages = study.stages(config)
    assert before_methods(stages) == ["base", "vanilla", "retain_only"]
    parents = {name: stage.parents for name, stage in stages.items()}
    assert parents.pop("base") == ()
    assert parents.pop("vanilla") == parents.pop("retain_only") == ("base",)
    assert set(parents.values()) == {("vanilla",)}
    config.pretrained = "somewhere"
    stages = study.stages(config)
    assert list(stages)[:2] == ["pretrained", "base"]
    assert stages["base"].parents == ("pretrained",) and stages["pretrained"].parents == ()


def test_a_reference_that_is_another_stage_is_needed_too(config):
    config.methods.npo.options.form = "batch_mean"
    assert study.stages(config)["npo"].parents == ("vanilla", "retain_only")


@pytest.mark.parametrize("pretrained", ["", "somewhere"])
def test_streams_number_what_trains_and_methods_share_one(config, pretrained):
    config.pretrained = pretrained
    stages = study.stages(config)
    numbers = {name: stream(stages, name) for name in stages if name != "pretrained"}
    assert [numbers.pop(name) for name in ("base", "vanilla", "retain_only")] == [0, 1, 2]
    assert set(numbers.values()) == {3}


def test_folders_name_what_differs(config):
    config.benchmark.forget = 5
    config.objective.update(name="npo", variant="strong")
    stages = study.stages(config)
    names = {name: folder_name(stages, name) for name in stages}
    assert (names["base"], names["vanilla"]) == ("base", "vanilla")
    assert names["retain_only"] == "retain_only_5"
    assert (names["npo"], names["ga"]) == ("npo_strong_5", "ga_5")


def test_an_identity_follows_what_the_weights_depend_on_and_nothing_else(config):
    before = digests(config)
    assert set(before) == set(study.stages(config))
    config.checkpoint_every += 1
    config.evaluation.generation_tokens += 1
    assert not changed(config, before)
    config.methods.ga.learning_rate *= 2
    assert changed(config, before) == {"ga"}
    before = digests(config)
    config.benchmark.forget = 10
    assert changed(config, before) == set(before) - {"base", "vanilla"}
    before = digests(config)
    config.vanilla.epochs += 1
    assert changed(config, before) == {"vanilla", "retain_only"}
    before = digests(config)
    for other in (digests(config, "other data"), digests(config, parents="other weights")):
        assert not set(other.values()) & set(before.values())


def test_what_a_run_is_about_is_part_of_its_identity(config):
    stages = study.stages(config)
    for stage in stages.values():
        for key in (*stage.asked_as, *stage.asked_within):
            value_of(config, key)
            assert any(f"{key}.".startswith(f"{known}.") for known in stage.depends_on)
    about = {name for name, stage in stages.items() if "benchmark.forget" in stage.asked_as}
    assert about == set(stages) - {"base", "vanilla"}
    assert "tuning" in stages["vanilla"].asked_as


def test_a_key_that_came_later_turns_no_older_run_away(config):
    """With the value of the older code it is no part of an identity; with another one it is."""
    found = digests(config)
    for name, stage in study.stages(config).items():
        source = made_from(stage, config, "data", {"parent": "weights"})
        assert not {"benchmark.pictures", "benchmark.modality"} & set(source["config"])
        sections = [value for value in source["config"].values() if isinstance(value, dict)]
        assert sections and not any(set(KEYS_THAT_CAME_LATER) & set(part) for part in sections)
        older = config.copy_and_resolve_references()
        for section in (older.base, older.vanilla, *older.methods.values()):
            with section.unlocked():
                for key in KEYS_THAT_CAME_LATER:
                    del section[key]
        for method in older.methods.values():
            if method.options.get("keep") == "nll":
                del method.options["keep"]
        later = ("benchmark.pictures", "benchmark.modality")
        chosen = {key: value_of(older, key) for key in stage.depends_on if key not in later}
        assert found[name] == digest([name, chosen, "data", ["weights"]])
    config.methods.ga.vocabulary = "tokenizer"
    assert changed(config, found) == {"ga"}
    config.methods.ga.vocabulary = "all"
    config.benchmark.modality = "text"
    assert changed(config, found) == set(config.methods)
    config.benchmark.modality = "both"
    config.benchmark.pictures = "published"
    assert changed(config, found) == set(found)


def test_values_of_dotted_keys():
    config = ConfigDict({"a": {"b": {"c": 1}}})
    assert value_of(config, "a.b") == {"c": 1} and value_of(config, "a.b.c") == 1


def test_an_unknown_stage_is_named():
    with pytest.raises(ValueError, match="unknown stage 'bsae'; did you mean 'base'"):
        find({"base": Stage("base", ())}, "bsae")
