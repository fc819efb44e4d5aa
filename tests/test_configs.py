"""Every configuration builds; the published recipe says what the published code does."""

import importlib
from pathlib import Path

import pytest

from mllm.benchmarks import get_benchmark
from mllm.data.packing import RowShape
from mllm.studies.sweep import overrides_of, trials_of
from mllm.studies.tuning import runs_of_tuning
from mllm.unlearning import OBJECTIVES, get_objective

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "configs").rglob("*.py"))
PAPER = ("llava7b_paper", "idefics2_paper")


def build(name: str, *arguments: str):
    return importlib.import_module(f"configs.mllmu.{name}").get_config(*arguments)


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if p.stem not in ("__init__", "paper")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_a_configuration_builds(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    config = module.get_config()
    if hasattr(module, "sweep"):
        runs = overrides_of(config, path)
        assert runs
        for overrides in runs:
            config.copy_and_resolve_references().update_from_flattened_dict(overrides)
    if not config.benchmark.name:
        return
    system = get_benchmark(config.benchmark.name)
    for overrides in runs_of_tuning(config, trials_of(config, path), system):
        config.copy_and_resolve_references().update_from_flattened_dict(overrides)
    stages = system.stages(config)
    for stage in stages.values():
        assert set(stage.parents) <= set(stages)
        if stage.schedule is not None:
            RowShape(**config.rows, loss_on=stage.schedule.loss_on)
    methods = {name for name in stages if stages[name].method}
    if config.benchmark.name == "mllmu":
        assert set(OBJECTIVES) - {"nll"} <= methods
    else:
        assert methods >= {"oracle", "random"}


@pytest.mark.parametrize("name", PAPER)
def test_the_published_recipe(name):
    config = build(name)
    assert config.evaluation.protocol == "paper" and config.benchmark.forget == 5
    assert (config.lora.rank, config.lora.dropout) == (16, 0.05)
    for stage in (
        config.vanilla,
        *(config.methods[m] for m in ("ga", "grad_diff", "kl_min", "npo")),
    ):
        assert stage.trainable == "lora" and stage.loss_on == "text" and not stage.augment
        assert (stage.learning_rate, stage.rows, stage.warmup, stage.clip) == (2e-5, 4, 0, 0)
        assert (stage.optimizer, stage.b2, stage.weight_decay) == ("hf_adamw", 0.999, 0)
    assert (config.vanilla.epochs, config.retain_only_epochs, config.base.epochs) == (5, 1, 0)
    decays = {m: config.methods[m].decay for m in ("ga", "grad_diff", "kl_min", "npo")}
    assert decays == {
        "ga": "linear",
        "grad_diff": "constant",
        "kl_min": "constant",
        "npo": "linear",
    }
    npo = config.methods.npo.options
    assert (npo.beta, npo.form, npo.retain_weight) == (0.4, "batch_mean", 0)
    assert get_objective("npo", **npo).reference == "retain_only"
    assert config.methods.kl_min.options.kl_reduction == "per_answer"


def test_only_llava_leaves_out_the_end_of_an_answer_and_only_idefics2_splits():
    llava, idefics2 = (build(name).vanilla for name in PAPER)
    assert (llava.end_token, llava.split) == (False, None)
    assert (idefics2.end_token, idefics2.split) == (True, False)


@pytest.mark.parametrize("name", [*PAPER, "llava7b", "smol"])
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match="'tiny'"):
        build(name, "tiny")
