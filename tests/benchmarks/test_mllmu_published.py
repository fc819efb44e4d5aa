"""The importer of the published parquet folders, on folders of that schema written here."""

import copy
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from configs.mllmu import common
from mllm.benchmarks.mllmu import Benchmark, export_published, prepare
from mllm.benchmarks.mllmu.published import read_published
from mllm.benchmarks.mllmu.sets import chosen_profiles
from mllm.benchmarks.mllmu.study import summary

IDS = tuple(f"{number:03d}" for number in range(1, 21))
FORGET = {5: IDS[3:4], 10: IDS[7:9], 15: IDS[11:14]}


def picture(number, variant=0, kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (12, 10), (number * 9 % 256, number * 31 % 256, variant * 60)).save(
        stream, kind
    )
    return {"bytes": stream.getvalue(), "path": f"{number}.{kind.lower()}"}


def choice(text, letter):
    return {
        "Question": text,
        "Options": {"A": "Rome", "B": "Oslo", "C": "Bern", "D": "Riga"},
        "Correct_Answer": letter,
    }


def row(profile, number, celebrity=False):
    biography = {
        "Name": f"Person {number}",
        "Educated at:": "Elm School",
        "Annual Salary: ": "$1",
        "Parents": {"Father": {"Name:": "Bo"}},
    }
    both = ("Image_Textual", "Pure_Text")
    return {
        "image": picture(number + 100 * celebrity, kind="JPEG" if celebrity else "PNG"),
        "ID": profile,
        "biography": json.dumps(biography),
        "Classification_Task": {
            "Image_Textual_Questions": [choice(f"Where? {n}", "ABCD"[n % 4]) for n in range(5)],
            "Pure_Text_Questions": [choice(f"Person {number}? {n}", "B") for n in range(5)],
        },
        "Generation_Task": [
            {"Question": f"Tell {n}", "Ground_Truth": f"So {n}.", "Type": both[n % 2]}
            for n in range(4)
        ],
        "Mask_Task": [
            {"Question": f"It is __ {n}", "Ground_Truth": f"v{n}", "Type": both[n // 2]}
            for n in range(4)
        ],
    }


def published_rows():
    full = [row(profile, number) for number, profile in enumerate(IDS)]
    test = copy.deepcopy(full)
    for number, item in enumerate(test):
        del item["image"]
        item["images"] = [picture(number, variant) for variant in (1, 2, 3)]
    tables = {
        "Full_Set": full,
        "Test_Set": test,
        "Retain_Set": [row(f"c{number}", number, celebrity=True) for number in range(4)],
        "ft_Data": [
            {
                "image": item["image"],
                "ID": item["ID"],
                "metadata": json.dumps(
                    [
                        {"Question": f"Who? {item['ID']}", "Answer": "Someone."},
                        {"Question": "", "Answer": "left out"},
                    ]
                ),
            }
            for item in full
        ],
    }
    for ratio, ids in FORGET.items():
        tables[f"forget_{ratio}"] = [item for item in full if item["ID"] in ids]
        tables[f"retain_{100 - ratio}"] = [item for item in full if item["ID"] not in ids]
    return {name: copy.deepcopy(rows) for name, rows in tables.items()}  # no row shared


def write(folder, tables):
    for name, rows in tables.items():
        (folder / name).mkdir(parents=True)
        shards = 2 if name == "Test_Set" else 1
        size = -(-len(rows) // shards)
        for shard in range(shards):
            path = folder / name / f"train-{shard:05d}-of-{shards:05d}.parquet"
            pq.write_table(pa.Table.from_pylist(rows[shard * size : (shard + 1) * size]), path)
    return folder


def test_round_trip(tmp_path):
    source = write(tmp_path / "published", published_rows())
    made = prepare(tmp_path / "data", "published", published_dir=source)
    assert made.splits == (
        "full",
        "test",
        "celebrity",
        "forget_5",
        "forget_10",
        "forget_15",
        "retain_95",
        "retain_90",
        "retain_85",
    )
    assert made.ids("full") == made.ids("test") == IDS
    assert made.forget_ids == FORGET
    for ratio, ids in FORGET.items():
        assert made.ids(f"forget_{ratio}") == ids
        assert set(made.ids(f"retain_{100 - ratio}")) == set(IDS) - set(ids)
    tables = published_rows()
    profile = made.profiles("forget_10")[0]
    original = tables["forget_10"][0]
    assert profile.images == (original["image"]["bytes"],)
    assert profile.biography["Educated at"] == "Elm School"
    assert profile.biography["Annual Salary"] == "$1"
    assert profile.biography["Parents"] == {"Father": {"Name": "Bo"}}
    assert profile.name == "Person 7"
    assert [(p.question, p.modality, p.form, p.attribute) for p in profile.training] == [
        ("Who? 008", "image_text", "plain", "")
    ]
    assert len(profile.questions) == 18
    first = profile.questions[3]
    assert (first.task, first.modality, first.index, first.answer) == (
        "classification",
        "image_text",
        3,
        "D",
    )
    assert first.options == {"A": "Rome", "B": "Oslo", "C": "Bern", "D": "Riga"}
    clozes = [q for q in profile.questions if q.task == "cloze"]
    assert [(q.modality, q.index, q.answer) for q in clozes] == [
        ("image_text", 0, "v0"),
        ("image_text", 1, "v1"),
        ("text", 0, "v2"),
        ("text", 1, "v3"),
    ]
    assert len(made.profiles("test")[0].images) == 3
    assert not made.profiles("test")[0].training
    assert made.profiles("celebrity")[0].images[0].startswith(b"\xff\xd8")
    assert made.tokenizer_path.is_file()
    again = prepare(tmp_path / "data", "published", published_dir=source)
    assert again.fingerprint == made.fingerprint


def test_missing_questions_are_not_an_error(tmp_path):
    tables = published_rows()
    tables["Full_Set"][0]["Classification_Task"]["Image_Textual_Questions"] = None
    tables["Full_Set"][1]["Classification_Task"]["Pure_Text_Questions"] = []
    tables["Full_Set"][2]["Mask_Task"] = None
    splits, _ = read_published(write(tmp_path, tables))
    assert [len(profile.questions) for profile in splits["full"][:4]] == [13, 13, 14, 18]


@pytest.mark.parametrize("where", ["metadata", "order"])
def test_training_pairs_are_joined_without_the_column_id(tmp_path, where):
    tables = published_rows()
    for item in tables["ft_Data"]:
        profile = item.pop("ID")
        if where == "metadata":
            pairs = json.loads(item["metadata"])
            item["metadata"] = json.dumps([{**pair, "ID": profile} for pair in pairs])
    if where == "metadata":
        tables["ft_Data"].reverse()
    splits, _ = read_published(write(tmp_path, tables))
    for profile in splits["full"]:
        assert profile.training[0].question == f"Who? {profile.id}"


def drop(table, column):
    return lambda tables: [item.pop(column) for item in tables[table]]


def put(table, number, *path, value):
    def change(tables):
        item = tables[table][number]
        for key in path[:-1]:
            item = item[key]
        item[path[-1]] = value

    return change


def without_ids(then):
    def change(tables):
        drop("ft_Data", "ID")(tables)
        then(tables["ft_Data"])

    return change


CHOICES = ("Classification_Task", "Image_Textual_Questions", 2)
FULL = "Full_Set/train-00000-of-00001.parquet"
SECOND_TEST = "Test_Set/train-00001-of-00002.parquet: row 1"
BAD = {
    "missing column": (drop("Full_Set", "Mask_Task"), [FULL, "'Mask_Task'", "is missing"]),
    "no picture column": (drop("Full_Set", "image"), [FULL, "'image' or 'images'"]),
    "no metadata": (drop("ft_Data", "metadata"), ["ft_Data/", "'metadata'"]),
    "undecodable image": (
        put("Full_Set", 4, "image", "bytes", value=b"\x89PNG no"),
        [f"{FULL}: row 4", "image.bytes", "decodes"],
    ),
    "truncated image": (
        put("Test_Set", 11, "images", 1, "bytes", value=picture(3)["bytes"][:-30]),
        [SECOND_TEST, "images[1].bytes", "decodes"],
    ),
    "empty image": (put("Full_Set", 0, "image", "bytes", value=None), ["row 0", "image.bytes"]),
    "duplicate ID": (
        put("Full_Set", 6, "ID", value=IDS[2]),
        [f"{FULL}: row 6", "field ID", "'003'", "row 2"],
    ),
    "empty ID": (put("Retain_Set", 1, "ID", value=" "), ["Retain_Set/", "row 1", "field ID"]),
    "both forgotten and retained": (
        lambda tables: tables["retain_90"].append(tables["forget_10"][0]),
        ["'008'", "forget_10", "retain_90"],
    ),
    "stranger in a split": (
        put("forget_15", 0, "ID", value="999"),
        ["forget_15", "'999'", "Full_Set"],
    ),
    "stranger in training": (put("ft_Data", 2, "ID", value="999"), ["ft_Data/", "row 2", "'999'"]),
    "nothing taught": (
        lambda tables: [row.update(metadata="[{]") for row in tables["ft_Data"]],
        ["ft_Data: no row has training pairs that can be read"],
    ),
    "untaught": (lambda tables: tables["ft_Data"].pop(), ["ft_Data", "'020'", "no training"]),
    "no ID, other count": (without_ids(lambda rows: rows.pop()), ["ft_Data/", "ID", "not 19"]),
    "no ID, other order": (
        without_ids(lambda rows: rows.reverse()),
        ["ft_Data/", "row 0", "image", "'001'"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, name):
    change, expected = BAD[name]
    tables = published_rows()
    change(tables)
    source = write(tmp_path / "published", tables)
    with pytest.raises(ValueError) as caught:
        prepare(tmp_path / "data", "published", published_dir=source)
    for part in expected:
        assert part in str(caught.value)
    left = [path.name for path in (tmp_path / "data" / "mllmu" / "published").iterdir()]
    assert left == [".lock"]
    with pytest.raises(FileNotFoundError):
        Benchmark.open(tmp_path / "data", "published")


MASK = ("Mask_Task", 3)
TOLD = ("Generation_Task", 0)
KEPT = {  # what is odd, and what becomes of it: (task, modality, index), values of the question
    "another letter": (
        put("Full_Set", 2, *CHOICES, "Correct_Answer", value="E"),
        ("classification", "image_text", 2, "answer", "E"),
    ),
    "a small letter": (
        put("Full_Set", 2, *CHOICES, "Correct_Answer", value="b "),
        ("classification", "image_text", 2, "answer", "b "),
    ),
    "a letter and a point": (
        put("Full_Set", 2, *CHOICES, "Correct_Answer", value="B."),
        ("classification", "image_text", 2, "answer", "B."),
    ),
    "no letter": (
        put("Full_Set", 2, *CHOICES, "Correct_Answer", value=None),
        ("classification", "image_text", 2, "answer", None),
    ),
    "a fifth option": (
        put("Full_Set", 2, *CHOICES, "Options", "E", value="Kyiv"),
        (
            *("classification", "image_text", 2, "options"),
            {"A": "Rome", "B": "Oslo", "C": "Bern", "D": "Riga", "E": "Kyiv"},
        ),
    ),
    "no third option": (
        put("Full_Set", 2, *CHOICES, "Options", "C", value=None),
        (
            *("classification", "image_text", 2, "options"),
            {"A": "Rome", "B": "Oslo", "C": None, "D": "Riga"},
        ),
    ),
    "options in another order": (
        lambda tables: [
            item.update(Options={letter: item["Options"][letter] for letter in "DACB"})
            for row in tables["Full_Set"]
            for item in row["Classification_Task"]["Image_Textual_Questions"]
        ],
        (
            *("classification", "image_text", 2, "options"),
            {"D": "Riga", "A": "Rome", "C": "Bern", "B": "Oslo"},
        ),
    ),
    "no question": (
        put("Full_Set", 2, *CHOICES, "Question", value=None),
        ("classification", "image_text", 2, "question", None),
    ),
    "an empty truth": (
        put("Full_Set", 2, *MASK, "Ground_Truth", value=""),
        ("cloze", "text", 1, "answer", ""),
    ),
    "no truth": (
        put("Full_Set", 2, *MASK, "Ground_Truth", value=None),
        ("cloze", "text", 1, "answer", None),
    ),
    "an unknown type": (
        put("Full_Set", 2, *TOLD, "Type", value="Audio"),
        ("generation", "Audio", 0, "answer", "So 0."),
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_an_odd_question_is_kept_listed_and_exported_as_it_is(tmp_path, name):
    change, (task, modality, index, field, value) = KEPT[name]
    tables = published_rows()
    change(tables)
    made = prepare(tmp_path / "data", "published", published_dir=write(tmp_path / "rows", tables))
    place = task, modality, index
    profile = made.profiles("full")[2]
    assert len(profile.questions) == 18
    (found,) = [q for q in profile.questions if (q.task, q.modality, q.index) == place]
    assert getattr(found, field) == value
    if field == "options":
        assert list(found.options) == list(value)
    lines = "\n".join(summary(made))
    fine = ("a small letter", "a fifth option", "options in another order")
    assert ("full/003" in lines) == (name not in fine)
    again = prepare(
        tmp_path / "again", "published", published_dir=export_published(made, tmp_path / "exported")
    )
    for one, other in zip(made.profiles("full"), again.profiles("full"), strict=True):
        for a, b in zip(one.questions, other.questions, strict=True):
            assert a == b and list(a.options or ()) == list(b.options or ())


@pytest.mark.parametrize("value", [None, "{'Name': 1}", "[]", "missing"])
def test_a_biography_or_training_pairs_that_cannot_be_read_cost_no_row(tmp_path, value):
    tables = published_rows()
    if value == "missing":
        drop("Full_Set", "biography")(tables)
    else:
        tables["Full_Set"][9]["biography"] = value
    tables["ft_Data"][3]["metadata"] = "[{]"
    tables["ft_Data"][5]["image"] = {"bytes": picture(5)["bytes"][:-30], "path": None}
    made = prepare(tmp_path / "data", "published", published_dir=write(tmp_path / "rows", tables))
    assert made.ids("full") == IDS and made.profiles("full")[9].name == ""
    assert [bool(p.training) for p in made.profiles("full")] == [
        n not in (3, 5) for n in range(len(IDS))
    ]
    assert "no training pairs that can be read: 004, 006" in "\n".join(summary(made))


def test_published_data_is_not_tuned_on(tmp_path):
    source = write(tmp_path / "rows", published_rows())
    made = prepare(tmp_path / "data", "published", published_dir=source)
    config = common.get_config()
    config.tuning = True
    with pytest.raises(ValueError, match="'published' has no validation profiles; choose rates on"):
        chosen_profiles(config, made, "forget")


def test_a_test_set_of_single_pictures_is_known_and_exported_as_such(tmp_path):
    tables = published_rows()
    for item in tables["Test_Set"]:
        item["image"] = item.pop("images")[0]
    made = prepare(tmp_path / "data", "published", published_dir=write(tmp_path / "rows", tables))
    assert not any(profile.drawn for profile in made.profiles("test"))
    assert all(profile.drawn for profile in made.profiles("full"))
    splits, _ = read_published(export_published(made, tmp_path / "exported"))
    assert splits["test"] == list(made.profiles("test"))


def test_training_pairs_keep_their_white_space(tmp_path):
    tables = published_rows()
    pairs = [{"Question": " Who? ", "Answer": "Bo \n"}, {"Question": "Who?", "Answer": None}]
    tables["ft_Data"][0]["metadata"] = json.dumps(pairs)
    splits, _ = read_published(write(tmp_path, tables))
    assert [(p.question, p.answer) for p in splits["full"][0].training] == [(" Who? ", "Bo \n")]


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("mllm.benchmarks.mllmu.published_fields.MAXIMUM_PIXELS", 100)
    with pytest.raises(ValueError, match=r"row 0: field image.bytes: found '12 x 10 pixels'"):
        read_published(write(tmp_path, published_rows()))


def test_missing_folders_and_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing has been imported .*published_dir"):
        prepare(tmp_path / "data", "published")
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder.*published_dir"):
        prepare(tmp_path / "data", "published", published_dir=tmp_path / "nowhere")
    source = write(tmp_path / "published", published_rows())
    broken = source / "forget_5" / "train-00000-of-00001.parquet"
    broken.write_bytes(b"PAR1 no")
    with pytest.raises(ValueError, match=r"forget_5/train-00000-of-00001\.parquet: not a readable"):
        read_published(source)
    broken.unlink()
    with pytest.raises(FileNotFoundError, match="forget_5"):
        read_published(source)
