"""Paths as people write them: what is expanded, what stays, and what is no path."""

import os
import re
from pathlib import Path

import pytest

import mllm
from mllm.paths import expand_paths, local_path


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working directory, a home and a variable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/homes/me")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    monkeypatch.delenv("NOWHERE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "written, path",
    [
        ("~", "/homes/me"),
        ("~/models/llava", "/homes/me/models/llava"),
        ("~root/x", f"{os.path.expanduser('~root')}/x"),
        ("$SCRATCH/runs", "/scratch/me/runs"),
        ("${SCRATCH}_old/runs", "/scratch/me_old/runs"),
        ("$HOME/a/$SCRATCH", "/homes/me/a//scratch/me"),
        ("file:///data/x", "/data/x"),
        ("runs/a b/Zürich ☃", "runs/a b/Zürich ☃"),
        ("a:b/c", "a:b/c"),
        ("C:/models", "C:/models"),
        ("costs 5$/x", "costs 5$/x"),
        ("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-7b-hf"),
        ("/abs/~/x", "/abs/~/x"),
        (Path("~/x"), "/homes/me/x"),
    ],
)
def test_a_path_is_expanded(written, path):
    assert local_path(written) == Path(path)


@pytest.mark.parametrize(
    "written, reason",
    [
        *((f"{scheme}://bucket/run", "a bucket") for scheme in ("gs", "s3", "abfss", "memory")),
        ("gs:/bucket/run", "mount it with gcsfuse"),
        ("s3://bucket/run", "mount it with mount-s3"),
        ("https://huggingface.co/x/y", "an address on the network; download it"),
        ("hf://x/y", "an address on the network; download it"),
        ("$NOWHERE/x", "the environment has no variable NOWHERE"),
        ("x/${NOWHERE}", "the environment has no variable NOWHERE"),
        ("", "the path is empty"),
        ("~nobody-of-this-name/x", "no such user"),
    ],
)
def test_what_is_no_path_here_is_named(place, written, reason):
    with pytest.raises(ValueError, match=re.escape(written)) as error:
        local_path(written)
    assert reason in str(error.value)
    with pytest.raises(ValueError, match=r"bucket|address|variable|user|empty"):
        mllm.load(written)
    assert not list(place.iterdir())


def test_a_name_that_exists_is_taken_as_it_is(place):
    (place / "$NOWHERE").mkdir()
    assert local_path("$NOWHERE") == Path("$NOWHERE")
    (place / "gs:" / "x").mkdir(parents=True)
    assert local_path("gs:/x") == Path("gs:/x")


def test_the_paths_of_a_configuration_are_expanded_and_nothing_else():
    config = {
        "pretrained": "~/llava",
        "benchmark": {"data_dir": "$SCRATCH/data", "published_dir": "", "file": "~/x.tsv"},
        "folders": {"a": "~/a", "b": "b"},
        "system_prompt": "~/x costs $SCRATCH",
        "lora": {"targets": r"layers/\w+$"},
        "endpoints": {"gpt": {"url": "https://api/v1"}},
        "seed": 0,
        "limit_file": None,
    }
    assert expand_paths(config) == {
        "pretrained": "/homes/me/llava",
        "benchmark.data_dir": "/scratch/me/data",
        "benchmark.file": "/homes/me/x.tsv",
        "folders.a": "/homes/me/a",
    }
    assert expand_paths({"benchmark.data_dir": "~/d", "objective.name": "~/d"}) == {
        "benchmark.data_dir": "/homes/me/d"
    }
    for chat_format, path in {"~/mine.jinja": "/homes/me/mine.jinja", "llava": None}.items():
        found = expand_paths({"processor": {"chat_format": chat_format}})
        assert found.get("processor.chat_format") == path
    with pytest.raises(ValueError, match=r"config\.benchmark\.published_dir: gs://b: a bucket"):
        expand_paths({"benchmark": {"published_dir": "gs://b"}})
