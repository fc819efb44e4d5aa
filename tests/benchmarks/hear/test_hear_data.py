"""The generated data set on disk: what it promises of splits, tags, records and files."""

import io
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from tokenizers import Tokenizer

from mllm.benchmarks.digests import sound_digest
from mllm.benchmarks.hear.benchmark import Benchmark, prepare
from mllm.benchmarks.hear.builder import Hear
from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.generate import RENDERING, encode, make_clip, render, signal_of
from mllm.benchmarks.hear.plan import SIZES, plan_split
from mllm.benchmarks.hear.row import (
    SPLITS,
    digest,
    fingerprint,
    from_row,
    to_row,
    validate,
)
from mllm.benchmarks.hear.sheet import contact_sheet, spectrogram
from mllm.benchmarks.hear.texts import SPECIAL
from mllm.benchmarks.hear.tree import RARE, tree
from mllm.data.audio import RATE, decode
from mllm.data.conversation import audio


def everything(benchmark):
    return [clip for split in SPLITS for clip in benchmark.clips(split)]


def test_no_clip_and_no_base_signal_is_in_two_splits(hear_micro):
    splits = defaultdict(set)
    for clip in everything(hear_micro):
        for base in clip.record["bases"]:
            samples = signal_of(base, 0.5)
            splits[samples.tobytes()].add(clip.split)
            splits[clip.group].add(clip.split)
        splits[decode(clip.sound.data).tobytes()].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    assert len({clip.id for clip in everything(hear_micro)}) == len(everything(hear_micro))


def test_a_base_signal_is_heard_in_several_scenes(hear_micro):
    heard = defaultdict(list)
    for clip in hear_micro.clips("train"):
        heard[clip.group].append(clip)
    twice = [clips for clips in heard.values() if len(clips) > 1]
    assert len(twice) == len(VOICES) - len(RARE)
    for one, other in twice:
        assert one.record["bases"] == other.record["bases"] and one.tags == other.tags
        assert one.record["scene"] != other.record["scene"]
        assert one.sound != other.sound


@pytest.mark.parametrize("config", ["micro", "tiny"])
def test_leaves_are_dealt_evenly_and_rare_ones_are_rare(config):
    sizes = SIZES[config]
    for split in SPLITS:
        plans = plan_split(sizes, 0, split)
        alone = Counter(plan.bases[0][0] for plan in plans if len(plan.bases) == 1)
        assert set(alone) == set(VOICES)
        usual = getattr(sizes, split)
        for leaf, count in alone.items():
            assert count == (sizes.rare if leaf in RARE and split == "train" else usual)
        mixed = [plan.bases for plan in plans if len(plan.bases) == 2]
        assert len(mixed) == round(sizes.mixed * alone.total())
        assert all(first[0] != second[0] for first, second in mixed)
        if split == "train":
            assert not set(RARE) & {leaf for bases in mixed for leaf, _ in bases}
        used = Counter(base for bases in mixed for base in bases)
        used.update({base for plan in plans if len(plan.bases) == 1 for base in plan.bases})
        assert set(used.values()) == {1}  # mixtures have base signals of their own


def test_the_record_gives_the_same_samples(hear_micro):
    for clip in [*hear_micro.clips("test")][:12]:
        stored, rate = soundfile.read(io.BytesIO(clip.sound.data), dtype="int16")
        assert rate == RATE and len(stored) == round(clip.seconds * RATE)
        again, _ = soundfile.read(io.BytesIO(encode(render(clip.record))), dtype="int16")
        np.testing.assert_array_equal(stored, again)
        peak = 20 * np.log10(np.abs(stored).max() / 32768)
        assert abs(peak - clip.record["scene"]["peak_db"]) < 0.05
        assert clip.tags == tuple(base["leaf"] for base in clip.record["bases"])


def test_the_same_seed_gives_the_same_clips_and_another_one_others(hear_micro):
    plan = plan_split(SIZES["micro"], 0, "test")[3]
    seconds = SIZES["micro"].seconds
    assert digest(make_clip(plan, seconds, 0)) == digest(hear_micro.clips("test")[3])
    assert make_clip(plan, seconds, 1).sound != make_clip(plan, seconds, 0).sound
    assert plan_split(SIZES["micro"], 1, "test") != plan_split(SIZES["micro"], 0, "test")


def test_the_record_on_disk_says_what_the_data_are(hear_micro_dir, hear_micro):
    digests = {split: map(digest, hear_micro.clips(split)) for split in SPLITS}
    assert hear_micro.fingerprint == fingerprint(digests, hear_micro.ontology)
    assert hear_micro.ontology == tree() and hear_micro.rare == RARE
    info = hear_micro.info
    assert info["counts"] == {s: len(hear_micro.clips(s)) for s in SPLITS}
    assert info["seed"] == 0 and "2024" in info["citation"] and "CC0" in str(info["licences"])
    with pytest.raises(ValueError, match="did you mean 'train'"):
        hear_micro.clips("trian")
    with pytest.raises(ValueError, match="made with seed 0, not 5"):
        Benchmark.open(hear_micro_dir, "micro", seed=5)
    with pytest.raises(ValueError, match="did you mean 'micro'"):
        prepare(hear_micro_dir, "mirco")
    with pytest.raises(FileNotFoundError, match=r"experiments\.prepare"):
        Benchmark.open(hear_micro_dir, "tiny")


def test_another_rendering_is_not_mistaken_for_this_one(hear_micro_dir, monkeypatch):
    monkeypatch.setitem(Benchmark.generator, "rendering", RENDERING + 1)
    with pytest.raises(ValueError, match="rendering"):
        Benchmark.open(hear_micro_dir, "micro")


def test_rows_of_tfds_are_read_back(hear_micro):
    for clip in [*hear_micro.clips("validation")][:5]:
        validate(clip, tree())
        row = to_row(clip)
        assert from_row({"fields": row["fields"].encode(), "sound": row["sound"]}) == clip


@pytest.mark.parametrize(
    "change, message",
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"tags": ()}, "tags are \\(\\), expected at least one"),
        ({"tags": ("owl", "owl")}, "each once"),
        ({"tags": ("owll",)}, "did you mean 'owl'"),
        ({"sound": audio(b"")}, "sound is empty"),
        ({"seconds": 0.0}, "seconds 0.0, expected"),
        ({"group": ""}, "group is ''"),
    ],
)
def test_rows_that_break_the_schema_are_named(hear_micro, change, message):
    clip = replace(hear_micro.clips("test")[0], **change)
    with pytest.raises(ValueError, match=f"clip 'test-00000'.*{message}"):
        Hear(config="micro", data_dir="unused").features_of(clip)


def test_every_word_of_the_tree_is_one_token(hear_micro):
    tokenizer = Tokenizer.from_file(str(hear_micro.tokenizer_path))
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == list(range(len(SPECIAL)))
    for name in tree():
        for phrase in (name, *tree().synonyms(name)):
            for word in phrase.replace("-", " - ").split():
                assert len(tokenizer.encode(f" {word}", add_special_tokens=False).ids) <= 2, word


def test_digests_of_sounds_know_samples_not_files():
    samples = np.linspace(-0.5, 0.5, 4000)
    flac = encode(samples)
    tagged = flac[:42] + b"\x01\x00\x00\x04" + b"\x00" * 4 + flac[42:]  # four bytes of padding
    assert tagged != flac
    np.testing.assert_array_equal(decode(tagged), decode(flac))
    assert sound_digest(tagged) == sound_digest(flac)
    assert sound_digest(encode(samples[::-1])) != sound_digest(flac)
    assert sound_digest(b"no sound") != sound_digest(b"no sounds")


def test_spectrograms_show_high_tones_above_low_ones(tmp_path, hear_micro):
    time = np.arange(RATE) / RATE
    rows = []
    for frequency in (500, 2000, 6000):
        shown = spectrogram(encode(0.5 * np.sin(2 * np.pi * frequency * time)), height=80)
        assert shown.size == (100, 80)
        rows.append(np.asarray(shown, int).sum(axis=(1, 2)).argmax())
    assert rows == sorted(rows, reverse=True) and len(set(rows)) == 3
    sheet = contact_sheet(hear_micro.clips("test"), tree(), tmp_path / "sheet.png")
    assert sheet.stat().st_size > 10_000
