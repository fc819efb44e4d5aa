"""Tables and folders as they are published become clips with tags, or errors that help."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from mllm.benchmarks.hear.benchmark import Benchmark, prepare
from mllm.benchmarks.hear.importers import IMPORTERS
from mllm.benchmarks.hear.importers.edansa import TAGS, parent_code, taxonomy
from mllm.benchmarks.hear.importers.found import Flaws, clips, narrowest, split_of
from mllm.benchmarks.hear.importers.options import FLAWS, Options
from mllm.benchmarks.hear.row import validate
from mllm.data.audio import decode


def sound(number: int, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    samples = np.sin(np.arange(rate // 2) * (0.05 + 0.01 * number))
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def put(folder, *paths: str) -> None:
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(sound(number))


def read(folder, config, **options):
    options = Options(**options)
    found, flaws = IMPORTERS[config].read(folder, options), Flaws(options.leave_out)
    made = {split: list(rows) for split, rows in clips(found, options, flaws).items()}
    for rows in made.values():
        for clip in rows:
            validate(clip, found.ontology)
    return made, found, flaws.record()


ESC = """filename,fold,target,category,esc10,src_file,take
1-100-A-0.wav,1,0,dog,True,100,A
1-100-B-0.wav,1,0,dog,True,100,B
4-200-A-10.wav,4,10,rain,True,200,A
5-300-A-20.wav,5,20,crying_baby,True,300,A
"""


@pytest.fixture
def esc50(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(ESC)
    put(tmp_path, *(f"audio/{line.split(',')[0]}" for line in ESC.splitlines()[1:]))
    return tmp_path


def test_esc50(esc50):
    made, found, flaws = read(esc50, "esc50")
    assert {s: [c.id for c in rows] for s, rows in made.items()} == {
        "train": ["1-100-A-0", "1-100-B-0"],
        "validation": ["4-200-A-10"],
        "test": ["5-300-A-20"],
    }
    (baby,) = made["test"]
    assert baby.tags == ("crying baby",) and baby.group == "300" and baby.seconds == 0.5
    assert found.ontology.ancestors("crying baby") == ("human sounds without speech",)
    assert found.ontology.parents("dog") == ("animals",) and not flaws
    assert "CC BY-NC" in baby.licence
    assert read(esc50, "esc50", licence="mine")[0]["test"][0].licence == "mine"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("4-200-A-10.wav,4,10", "4-200-A-10.wav,6,10", "line 4, 'fold': found '6', expected 1 to"),
        (",10,rain", ",ten,rain", "'target': found 'ten', expected 0 to 49"),
        (",10,rain", ",10,dog", "'dog' is of 'natural soundscapes"),
        ("fold", "Fold", "line 1: found columns .*expected \\['fold'\\] among them"),
        (",rain,True", ",rain", "line 4: found 6 cells, expected 7"),
        ("4-200-A-10.wav,4", "4-200-A-11.wav,4", "no file .*4-200-A-11.wav; mend it, or add 'miss"),
        ("1-100-B-0.wav,1", "1-100-B-0.wav,5", "'100' is in test, expected train"),
        ("1-100-B-0.wav", "1-100-A-0.wav", "id '1-100-A-0' was there before"),
    ],
)
def test_flaws_of_tables_are_named(esc50, old, new, message):
    table = esc50 / "meta" / "esc50.csv"
    assert ESC.count(old) >= 1
    table.write_text(ESC.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        read(esc50, "esc50")
    assert "esc50.csv" in str(caught.value)


def test_flaws_may_be_left_out_and_are_counted(esc50):
    (esc50 / "audio" / "1-100-A-0.wav").write_bytes(b"no sound")
    (esc50 / "audio" / "4-200-A-10.wav").unlink()
    with pytest.raises(ValueError, match=r"line 2: .*1-100-A-0.wav: cannot be decoded"):
        read(esc50, "esc50", leave_out=("missing_sound",))
    made, _, flaws = read(esc50, "esc50", leave_out=tuple(FLAWS))
    assert [clip.id for clip in made["train"]] == ["1-100-B-0"] and "validation" not in made
    assert {flaw: one["count"] for flaw, one in flaws.items()} == {
        "missing_sound": 1,
        "unreadable_sound": 1,
    }
    with pytest.raises(ValueError, match="did you mean 'missing_sound'"):
        Options(leave_out=("missing_sounds",))
    with pytest.raises(ValueError, match="expected shares"):
        Options(test=0.6, validation=0.5)


EDANSA = """set,region,Site ID,Date,Start/End Time,Length,Clip Path,Anth,Bio,Bird,Grous,Wind,Sil
train,prudhoe,11,2019-06-01,05:00:00,10,a/one.wav,0,1,1,1,1,0
valid,anwr,31,2019-06-02,05:00:00,10,a/two.wav,0,1,1,0,0,0
test,anwr,32,2019-06-03,05:00:00,10,b/three.wav,1,0,0,0,,0
"""


@pytest.fixture
def edansa(tmp_path):
    (tmp_path / "labels.csv").write_text(EDANSA, encoding="utf-8-sig", newline="\r\n")
    put(tmp_path, "data/a/one.wav", "data/a/two.wav", "data/b/three.wav")
    return tmp_path


def test_edansa(edansa):
    made, found, flaws = read(edansa, "edansa")
    assert {split: rows[0].tags for split, rows in made.items()} == {
        "train": ("grouse", "wind"),  # not bird and biophony, which a grouse is
        "validation": ("bird",),
        "test": ("anthrophony",),
    }
    assert made["train"][0].group == "prudhoe/11/2019-06-01" and not flaws
    assert made["train"][0].record["Start/End Time"] == "05:00:00"
    assert "Grous" not in made["train"][0].record
    grouse = found.ontology["grouse"]
    assert grouse.code == "1.1.8" and grouse.synonyms == ("ptarmigan",)


def test_the_taxonomy_of_edansa_follows_from_its_codes():
    graph = taxonomy()
    assert graph.ancestors("grouse") == ("bird", "biophony")
    assert graph.ancestors("jet") == ("aircraft", "anthrophony")
    assert graph.ancestors("rain") == ("geophony",) and graph.parents("silence") == ()
    assert graph.roots == ("anthrophony", "biophony", "geophony", "silence")
    assert len(graph) == len(TAGS) and "songbird" in graph.siblings("grouse")
    codes = [code for code, _, _ in TAGS.values()]
    assert len(set(codes)) == len(codes)
    for code in codes:  # a parent has fewer parts that are not 0, and starts alike
        above = parent_code(code)
        assert above == "" or above in codes
        assert above.rstrip("0.") == code.rstrip("0.").rpartition(".")[0].rstrip("0.")


@pytest.mark.parametrize(
    "old, new, message",
    [
        (",1,1,1,1,0\n", ",1,1,yes,1,0\n", "line 2, 'Grous': found 'yes', expected 0 or 1"),
        ("valid", "dev", "'set': found 'dev', expected train, valid"),
        (",1,0,0,0,,0", ",0,0,0,0,,0", "line 4: found no tag"),
    ],
)
def test_flaws_of_edansa_are_named(edansa, old, new, message):
    (edansa / "labels.csv").write_text(EDANSA.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read(edansa, "edansa")


ONTOLOGY = [
    {"id": "/m/a", "name": "Animal", "child_ids": ["/m/d", "/m/b"], "description": "Of animals."},
    {"id": "/m/d", "name": "Dog, hound", "child_ids": ["/m/k"]},
    {"id": "/m/k", "name": "Bark (short, rough)", "child_ids": []},
    {"id": "/m/b", "name": "Bird, fowl, etc.", "child_ids": ["/m/c"]},
    {"id": "/m/c", "name": "Call, bird", "child_ids": []},
    {"id": "/m/s", "name": "Signal", "child_ids": ["/m/c", "/m/t"]},
    {"id": "/m/t", "name": "Call, telephone", "child_ids": []},
]
SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2
# YTID, start_seconds, end_seconds, positive_labels
--PJHx, 30.000, 40.000, "/m/k,/m/a"
_abc12, 0.000, 10.000, "/m/c"
"""


@pytest.fixture
def audioset(tmp_path):
    (tmp_path / "ontology.json").write_text(json.dumps(ONTOLOGY))
    (tmp_path / "balanced_train_segments.csv").write_text(SEGMENTS)
    (tmp_path / "eval_segments.csv").write_text('# x\nzz9, 5.000, 15.000, "/m/t"\n')
    put(tmp_path, "audio/--PJHx_30000.wav", "audio/Y_abc12.wav", "audio/more/zz9_5.wav")
    return tmp_path


def test_audioset(audioset):
    made, found, _ = read(audioset, "audioset", validation=0.0)
    bark, call = made["train"]
    assert bark.tags == ("bark (short, rough)",) and bark.group == "--PJHx"
    assert bark.record == {"start": 30.0, "end": 40.0, "labels": "/m/k,/m/a"}
    assert call.tags == ("call, bird",) and made["test"][0].tags == ("call, telephone",)
    graph = found.ontology
    assert graph["dog"].synonyms == ("hound",) and graph["bird"].synonyms == ("fowl",)
    assert graph["animal"].code == "/m/a" and graph["animal"].sounds_like == "Of animals."
    assert graph.parents("call, bird") == ("bird", "signal")
    assert graph.ancestors("call, bird") == ("bird", "signal", "animal")
    assert set(graph.siblings("call, bird")) == {"call, telephone"}


def test_flaws_of_audioset_are_named(audioset):
    path = audioset / "eval_segments.csv"
    path.write_text('zz9, 5.000, 15.000, "/m/zz"\n')
    with pytest.raises(ValueError, match=r"eval_segments.csv, line 1: found tags \['/m/zz'\]"):
        read(audioset, "audioset")
    path.write_text('zz9, 5.000, soon, "/m/t"\n')
    with pytest.raises(ValueError, match="'end': found 'soon', expected seconds"):
        read(audioset, "audioset")
    path.write_text('zz9, 5.000, 15.000, "/m/t\n')
    with pytest.raises(ValueError, match=r"eval_segments.csv, line 1: .*mend the quotes"):
        read(audioset, "audioset")
    path.unlink()
    for change, message in (
        ({"child_ids": ["/m/none"]}, "child '/m/none' is not in the file"),
        ({"child_ids": ["/m/s"]}, "kinds of themselves"),
        ({"name": ""}, "entry 7, 'name': found '', expected a text"),
    ):
        (audioset / "ontology.json").write_text(json.dumps([*ONTOLOGY[:-1], ONTOLOGY[-1] | change]))
        with pytest.raises(ValueError, match=message):
            read(audioset, "audioset")


def test_folders_are_classes(tmp_path):
    put(
        tmp_path, "animal/sea_bird/one.wav", "animal/sea_bird/one-2.wav", "rain/a.wav", "rain/b.ogg"
    )
    made, found, _ = read(tmp_path, "folders", validation=0.0, test=0.0)
    assert [(clip.tags, clip.group) for clip in made["train"]] == [
        (("sea bird",), "animal/sea bird/one"),
        (("sea bird",), "animal/sea bird/one"),
        (("rain",), "rain/a"),
        (("rain",), "rain/b"),
    ]
    assert found.ontology.parents("sea bird") == ("animal",)
    found.ontology.write(tmp_path / "ontology.json")
    assert read(tmp_path, "folders")[1].ontology == found.ontology
    put(tmp_path, "machine/rain/c.wav")
    (tmp_path / "ontology.json").unlink()
    with pytest.raises(ValueError, match="folder 'rain': is in"):
        read(tmp_path, "folders")
    with pytest.raises(FileNotFoundError, match="holds no sound"):
        read(tmp_path / "nowhere", "folders")


def test_folders_of_splits(tmp_path):
    put(tmp_path, "train/dog/a.wav", "test/dog/b.wav", "validation/cat/a.wav")
    made, found, _ = read(tmp_path, "folders")
    assert {split: rows[0].tags for split, rows in made.items()} == {
        "train": ("dog",),
        "validation": ("cat",),
        "test": ("dog",),
    }
    assert found.ontology.leaves == ("cat", "dog")
    put(tmp_path, "test/dog/a-2.wav")
    with pytest.raises(ValueError, match="'dog/a' is in train, expected test"):
        read(tmp_path, "folders")


def test_groups_are_divided_by_their_shares():
    options = Options(validation=0.2, test=0.1)
    found = [split_of(f"group {number}", options) for number in range(4000)]
    assert abs(found.count("test") / 4000 - 0.1) < 0.02
    assert abs(found.count("validation") / 4000 - 0.2) < 0.03
    wider = replace(options, test=0.2)
    kept = [split_of(f"group {number}", wider) for number in range(4000)]
    assert all(b == "test" for a, b in zip(found, kept, strict=True) if a == "test")


def test_tags_keep_their_order_and_lose_what_others_are():
    graph = taxonomy()
    assert narrowest(["bird", "wind", "grouse", "wind"], graph) == ("wind", "grouse")
    assert narrowest(["bird", "biophony"], graph) == ("bird",)


def test_an_import_is_a_data_set(esc50, tmp_path_factory):
    data, options = tmp_path_factory.mktemp("data"), Options(rare=("rain",))
    lines = []
    made = prepare(data, "esc50", source=esc50, options=options, progress=lines.append)
    assert any("4 clips are listed" in line for line in lines)
    again = Benchmark.open(data, "esc50", source=esc50, options=options)
    assert again.fingerprint == made.fingerprint and again.rare == ("rain",)
    assert again.info["counts"] == {"train": 2, "validation": 1, "test": 1}
    assert "crying baby" in again.ontology
    (clip,) = again.clips("test")
    assert clip.sound.data == (esc50 / "audio" / "5-300-A-20.wav").read_bytes()
    assert len(decode(clip.sound.data)) == 8000
    with pytest.raises(FileNotFoundError, match="not imported yet"):
        Benchmark.open(data, "esc50", source=esc50)
    (esc50 / "audio" / "5-300-A-20.wav").write_bytes(sound(9))
    with pytest.raises(FileNotFoundError, match="or changed since"):
        Benchmark.open(data, "esc50", source=esc50, options=options)
    with pytest.raises(ValueError, match="needs source"):
        prepare(data, "esc50")
    with pytest.raises(ValueError, match="did you mean 'rain'"):
        prepare(data, "esc50", source=esc50, options=Options(rare=("rian",)))


def test_sounds_may_lie_elsewhere(esc50, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "sounds"
    (esc50 / "audio").rename(elsewhere)
    options = Options(sounds=str(elsewhere))
    made = prepare(tmp_path_factory.mktemp("data"), "esc50", source=esc50, options=options)
    assert [clip.id for clip in made.clips("test")] == ["5-300-A-20"]


def test_sounds_of_packages(tmp_path):
    put(tmp_path, "sonic-pi/samples/bd_808.flac", "sonic-pi/samples/drum_snare_hard.flac")
    put(tmp_path, "sonic-pi/samples/vinyl_hiss.flac", "sonic-pi/samples/misc_crow.flac")
    animals = "tuxpaint/stamps/animals"
    put(tmp_path, f"{animals}/mammals/bovines/cow_white.ogg", f"{animals}/birds/owl.ogg")
    put(tmp_path, f"{animals}/birds/owl_desc_fr.ogg", f"{animals}/lizards/iguana.ogg")
    made, found, _ = read(tmp_path, "packages", validation=0.0, test=0.0)
    assert [clip.tags for clip in made["train"]] == [
        ("bass drum",),
        ("snare drum",),
        ("crow",),
        ("owl",),
        ("cow",),
    ]
    assert found.ontology.ancestors("cow") == ("mammal", "animal")
    assert set(found.ontology.siblings("owl")) == {"crow"}
    licences = [clip.record["licence"] for clip in made["train"]]
    assert licences == ["CC0 1.0"] * 3 + ["GPL-2.0-or-later"] * 2
    with pytest.raises(FileNotFoundError, match="install sonic-pi-samples or"):
        read(tmp_path / "sonic-pi", "packages")
