"""Importers on folders in the published layouts, whole and flawed."""

import gzip
import io
import json

import pytest
from PIL import Image

from mllm.benchmarks.msr.benchmark import Benchmark, prepare
from mllm.benchmarks.msr.importers import amazon, csv_tables, microlens
from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.benchmarks.msr.importers.times import time_of
from mllm.benchmarks.msr.options import Options
from mllm.benchmarks.msr.rows import SPLITS, Interaction
from mllm.benchmarks.msr.summary import summary

USERS, ITEMS = 24, 30
SMALL = Options(core_user=6, core_item=2, test_negatives=12)


def jpeg(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 5, 40, 90)).save(stream, "JPEG")
    return stream.getvalue()


def taken(user: int) -> list[str]:
    """Items of a user, oldest first: eight of thirty, all different."""
    return [str(1 + (user * 7 + step * (1 + user % 3)) % ITEMS) for step in range(8)]


@pytest.fixture
def lens(tmp_path):
    """A folder in the layout of MicroLens."""
    folder = tmp_path / "lens"
    covers = folder / "MicroLens-50k_covers"
    covers.mkdir(parents=True)
    rows = [f"{user}\t{' '.join(taken(user))}" for user in range(1, USERS + 1)]
    (folder / "MicroLens-50k_pairs.tsv").write_text("\n".join(rows) + "\n")
    titles = ["item,title", *(f'{n},"Video {n}, a title"' for n in range(1, ITEMS + 1))]
    (folder / "MicroLens-50k_titles.csv").write_text("\n".join(titles) + "\n")
    for number in range(1, ITEMS + 1):
        (covers / f"{number}.jpg").write_bytes(jpeg(number))
    return folder


@pytest.fixture
def tables(tmp_path):
    """A folder with a table of interactions and one of items."""
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = ["user,item,time,rating"]
    for user in range(1, USERS + 1):
        rows += [f"u{user},{item},{100 + n},{n % 5 + 1}" for n, item in enumerate(taken(user))]
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n")
    items = ["item,title,description,picture,shop"]
    for number in range(1, ITEMS + 1):
        (folder / f"{number}.png").write_bytes(jpeg(number))
        items.append(f"{number},Thing {number},,{number}.png,Corner")
    (folder / "items.csv").write_text("\n".join(items) + "\n")
    return folder


def change(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flaws(benchmark) -> dict[str, int]:
    return {name: one["count"] for name, one in benchmark.info["flaws"].items()}


def load(folder, config, tmp_path, **options):
    chosen = Options(**{**dict(core_user=6, core_item=2, test_negatives=12), **options})
    said = []
    made = prepare(tmp_path / "data", config, source=folder, options=chosen, progress=said.append)
    told, numbers, steps = "\n".join(said), made.info["numbers"], made.info["steps"]
    gone = sum(flaws(made).get(name, 0) for name in ("repeated", "unknown_item"))
    gone += sum(
        numbers[f"interactions_{why}"]
        for why in ("of_items_left_out", "below_the_core", "of_short_users")
    )
    rows = made._logs.values()
    kept = sum(len(log.items) + len(log.left_out) for log in rows)
    assert steps["as found"]["interactions"] == kept + gone
    for name, count in flaws(made).items():  # what is counted is printed, and stands in the record
        assert f"{name}: {count}" in told and f"{name}: {count}" in "\n".join(summary(made))
    return made


@pytest.mark.slow
def test_microlens_becomes_items_and_users(lens, tmp_path):
    made = load(lens, "microlens", tmp_path, length=5)
    assert len(made.items) == ITEMS and flaws(made) == {}
    item = made.item("7")
    assert item.title == "Video 7, a title" and item.picture == jpeg(7)
    assert [len(made.users(split)) for split in SPLITS] == [19, 2, 3]
    for split in SPLITS:
        for user in made.users(split):
            *history, target = taken(int(user.id))
            assert list(user.history) == history[-5:] and user.target == target
            assert user.times == (2, 3, 4, 5, 6) and user.target_time == 7
            assert len(user.negatives) == (12 if split == "test" else 1)
            more = made.negatives_of(user, 9, seed=1)
            assert not {*user.negatives, *more} & set(taken(int(user.id)))
            expected = taken(int(user.id)) if split == "train" else history
            assert list(made.sequence(user.id)) == expected
    assert made.info["steps"]["6,2-core"]["interactions"] == 8 * USERS
    again = Benchmark.open(tmp_path / "data", "microlens", seed=0, source=lens, options=SMALL)
    assert again.fingerprint == made.fingerprint
    with pytest.raises(ValueError, match="imported data have no truth"):
        made.truth(made.users("test")[0])
    with pytest.raises(FileNotFoundError, match="not imported yet, or changed"):
        Benchmark.open(tmp_path / "data", "microlens", seed=0, source=lens, options=Options())
    with pytest.raises(ValueError, match="config 'microlens' needs source"):
        prepare(tmp_path, "microlens")


def test_leave_one_out_gives_each_user_a_row_in_each_split(lens, tmp_path):
    made = load(lens, "microlens", tmp_path, split="leave_one_out", negatives="popularity")
    for place, split in enumerate(SPLITS):
        assert len(made.users(split)) == USERS
        for user in made.users(split):
            seen = taken(int(user.id))[: 6 + place]
            assert (*user.history, user.target) == tuple(seen[-6:])
            assert list(made.sequence(user.id)) == taken(int(user.id))[:6]
            later = set(taken(int(user.id))) - set(seen)
            assert not later & set(made.negatives_of(user, 12, seed=2))


def test_the_published_history_is_of_popular_items(lens, tmp_path):
    made = load(lens, "microlens", tmp_path, history="popular_n", length=3)
    counts = {}
    for user in range(1, USERS + 1):
        for item in taken(user):
            counts[item] = counts.get(item, 0) + 1
    for user in made.users("test"):
        whole = taken(int(user.id))
        popular = sorted(whole, key=lambda item: -counts[item])[:4]
        assert [*user.history, user.target] == [item for item in whole if item in popular]
        end = whole.index(user.target)
        assert list(made.sequence(user.id)) == whole[:end]


def test_crlf_quotes_and_a_byte_order_mark_change_nothing_but_are_counted(lens, tmp_path):
    plain = load(lens, "microlens", tmp_path)
    pairs = lens / "MicroLens-50k_pairs.tsv"
    lines = pairs.read_text().splitlines()
    first, items = lines[0].split("\t")
    lines[0] = f'"{first}"\t"{items}"'
    pairs.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    changed = load(lens, "microlens", tmp_path)
    assert changed.fingerprint == plain.fingerprint and changed.folder != plain.folder
    assert flaws(changed) == {"repaired_text": USERS + 1}
    change(lens / "MicroLens-50k_titles.csv", '5,"Video 5, a title"', '5,"Video 5')
    again = load(lens, "microlens", tmp_path)
    assert again.item("5").title == '"Video 5' and again.item("6").title == "Video 6, a title"
    with pytest.raises(ValueError, match=r"stray quote in '5,.*set the action for repaired_text"):
        load(lens, "microlens", tmp_path, actions={"repaired_text": "error"})


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("3\t", "3 ", r"pairs.tsv, line 3: expected a user, a tab, and items"),
        ("3\t", "2\t", r"line 3: user '2' is on line 2 too; join the lines"),
        ("3\t", "\t", r"line 3: user: expected an ID, found ''"),
        ("1\t", "\ud800", r"line 1: not UTF-8 text"),
    ],
)
def test_pairs_that_cannot_be_read_are_named(lens, old, new, message):
    path = lens / "MicroLens-50k_pairs.tsv"
    text = path.read_text()
    start = text.index(f"\n{old}") + 1 if not text.startswith(old) else 0
    data = (text[:start] + new + text[start + len(old) :]).encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        microlens.read(lens, Ledger())


def test_titles_that_cannot_be_read_are_named(lens):
    path = lens / "MicroLens-50k_titles.csv"
    text = path.read_text()
    for old, new, message in (
        ('5,"Video 5, a title"', "5,Video 5, a title", "line 6: expected 2 columns .*, found 3"),
        ('5,"Video 5', '4,"Video 5', "line 6: item '4' is there before with title 'Video 4"),
        ('5,"Video 5', ',"Video 5', "line 6: item: expected an ID"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message):
            microlens.read(lens, Ledger())
    path.write_text(text.removeprefix("item,title\n"))  # the line of names may be missing
    assert len(microlens.read(lens, Ledger()).items) == ITEMS
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file of titles; expected \*_titles.csv"):
        microlens.files(lens)


def test_what_items_lack_is_dropped_kept_or_refused(lens, tmp_path):
    covers = lens / "MicroLens-50k_covers"
    (covers / "3.jpg").unlink()
    change(lens / "MicroLens-50k_titles.csv", '4,"Video 4, a title"', "4,")
    dropped = load(lens, "microlens", tmp_path)
    assert flaws(dropped) == {"without_picture": 1, "without_title": 1}
    assert {"3", "4"}.isdisjoint(dropped.item_ids)
    lost = sum(item in ("3", "4") for user in range(1, USERS + 1) for item in taken(user))
    assert dropped.info["numbers"]["interactions_of_items_left_out"] == lost
    assert dropped.info["steps"]["usable"]["interactions"] == 8 * USERS - lost
    keep = {"without_picture": "keep", "without_title": "keep"}
    kept = load(lens, "microlens", tmp_path, actions=keep)
    assert kept.item("3").picture is None and kept.item("4").title == ""
    with pytest.raises(ValueError, match=r"item 3 .without_picture.; mend the file, or set"):
        load(lens, "microlens", tmp_path, actions={"without_picture": "error"})
    (covers / "3.jpg").write_bytes(jpeg(3)[:150])
    with pytest.raises(ValueError, match=r"3\.jpg.*unreadable_picture"):
        load(lens, "microlens", tmp_path)
    torn = load(lens, "microlens", tmp_path, actions={"unreadable_picture": "drop"})
    assert flaws(torn) == {"unreadable_picture": 1, "without_title": 1}
    (covers / "3.png").write_bytes(jpeg(3))
    with pytest.raises(ValueError, match="is the picture of the same item; remove one"):
        microlens.files(lens)


def test_repeats_and_unknown_items_are_counted(lens, tmp_path):
    plain = load(lens, "microlens", tmp_path)
    path = lens / "MicroLens-50k_pairs.tsv"
    change(path, "\n2\t", f"\n2\t{taken(2)[0]} 999 ")
    made = load(lens, "microlens", tmp_path)
    assert flaws(made) == {"repeated": 1, "unknown_item": 1}
    assert [made.sequence(str(n)) for n in range(1, 9)] == [
        plain.sequence(str(n)) for n in range(1, 9)
    ]
    with pytest.raises(ValueError, match=r"user 2 takes item .* again"):
        load(lens, "microlens", tmp_path, actions={"repeated": "error"})
    with pytest.raises(ValueError, match=r"user 2 takes item 999, not in MicroLens-50k_titles.csv"):
        load(lens, "microlens", tmp_path, actions={"unknown_item": "error"})
    path.write_text(path.read_text().replace(" ", " v").replace("\t", "\tv"))
    with pytest.raises(ValueError, match=r"of \d+ interactions have items .* Do the two files"):
        load(lens, "microlens", tmp_path)


def test_the_core_and_short_users_are_counted(lens, tmp_path):
    path = lens / "MicroLens-50k_pairs.tsv"
    path.write_text(path.read_text() + "77\t1 2 3\n78\t4\n")
    made = load(lens, "microlens", tmp_path)
    numbers = made.info["numbers"]
    assert numbers["users_below_the_core"] == 2 and numbers["interactions_below_the_core"] == 4
    assert "users below the core: 2" in summary(made)
    short = load(lens, "microlens", tmp_path, core_user=1, core_item=1)
    assert flaws(short) == {"short_user": 1}
    with pytest.raises(ValueError, match="user 78 has 1 interactions, not 2"):
        load(lens, "microlens", tmp_path, core_user=1, actions={"short_user": "error"})
    with pytest.raises(ValueError, match=r"no user is left .*; lower core_user"):
        load(lens, "microlens", tmp_path, core_user=60)


def test_tables_are_read_with_times_ratings_and_attributes(tables, tmp_path):
    made = load(tables, "table", tmp_path)
    item = made.item("9")
    assert (item.title, item.attributes) == ("Thing 9", {"shop": "Corner"})
    assert made.log[0] == Interaction("u1", taken(1)[0], 100)
    liked = load(tables, "table", tmp_path, least_rating=2, core_user=4)
    assert liked.info["numbers"]["interactions_rated_lower"] == 2 * USERS
    path = tables / "interactions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    back = load(tables, "table", tmp_path)
    assert flaws(back) == {"unsorted": USERS}
    assert back.sequence("u3") == made.sequence("u3")
    with pytest.raises(ValueError, match="user u24: times are not in order"):
        load(tables, "table", tmp_path, actions={"unsorted": "error"})


def test_tables_that_cannot_be_read_are_named(tables):
    def refused(name: str, old: str, new: str, message: str) -> None:
        path = tables / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            csv_tables.read(tables, Ledger(), 2)
        path.write_text(before)

    log, items = "interactions.csv", "items.csv"
    refused(log, "user,item,time", "user,item,when", "line 1: columns time are missing")
    refused(log, "user,item,time", "user,user,time", "line 1: columns item are missing")
    refused(log, ",100,", ",soon,", "line 2: time: expected a number or a date .* found 'soon'")
    refused(log, ",101,2", ",101,good", "line 3: rating: expected a number, found 'good'")
    refused(log, ",101,2", ",101", "line 3: expected 4 columns .*, found 3")
    refused(items, "1.png", "../1.png", "line 2: picture: '../1.png' leaves")
    refused(items, "1.png", "1\0.png", "line 2: picture: expected the path of a file")
    refused(items, "Thing 1,", "Thing 1\n,", "line 2: expected 5 columns .* on one line")
    (tables / "interactions.tsv").write_text("user\titem\ttime\n")
    assert csv_tables.files(tables)[0].name == "interactions.csv"
    (tables / log).write_text("")
    with pytest.raises(ValueError, match="is empty, expected columns user, item, time"):
        csv_tables.read(tables, Ledger())


@pytest.mark.parametrize(
    "value, expected",
    [
        (12, 12),
        ("12", 12),
        ("12.9", 12),
        (-3.5, -4),
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00+01:00", 0),
        ("1970-01-01 00:01:00.5", 60),
    ],
)
def test_times_are_numbers_or_dates(value, expected):
    assert time_of("here", "time", value) == expected


@pytest.mark.parametrize("value", (None, "", "nan", float("inf"), True, [3], "2024-13-01"))
def test_other_times_are_refused(value):
    with pytest.raises(ValueError, match="here: time: expected a number or a date"):
        time_of("here", "time", value)


@pytest.fixture
def reviews(tmp_path):
    """A folder in the layout of Amazon Reviews 2023, items packed."""
    folder = tmp_path / "amazon"
    (folder / "images").mkdir(parents=True)
    lines = [
        {"user_id": f"U{user}", "parent_asin": f"B{item}", "timestamp": 10**12 + n, "rating": 5.0}
        for user in range(1, USERS + 1)
        for n, item in enumerate(taken(user))
    ]
    (folder / "Toys.jsonl").write_text("\n".join(map(json.dumps, lines)))
    meta = []
    for number in range(1, ITEMS + 1):
        address = f"https://shop.example/{number}.jpg"
        as_list = [{"thumb": "t", "large": address}]
        as_lists = {"hi_res": [None], "large": [address], "thumb": ["t"]}
        meta.append(
            {
                "parent_asin": f"B{number}",
                "title": f"Toy {number}",
                "description": ["Soft.", "Blue."] if number % 2 else [],
                "images": as_list if number % 2 else as_lists,
                "store": "Corner",
            }
        )
        if number != 8:
            (folder / "images" / f"B{number}.jpg").write_bytes(jpeg(number))
    packed = gzip.compress("\n".join(map(json.dumps, meta)).encode())
    (folder / "meta_Toys.jsonl.gz").write_bytes(packed)
    return folder


def test_amazon_reviews_keep_addresses_and_never_ask_them(reviews, tmp_path):
    made = load(reviews, "amazon", tmp_path, actions={"without_picture": "keep"})
    item = made.item("B7")
    assert (item.title, item.description) == ("Toy 7", "Soft. Blue.") and item.picture == jpeg(7)
    assert item.attributes == {"store": "Corner", "image_url": "https://shop.example/7.jpg"}
    other = made.item("B8")
    assert other.picture is None and other.attributes["image_url"].endswith("/8.jpg")
    assert flaws(made) == {"without_picture": 1}
    assert made.info["numbers"]["addresses_of_pictures_not_asked"] == 1
    assert made.users("test")[0].target_time == 10**12 + 7


def test_reviews_that_cannot_be_read_are_named(reviews):
    path = reviews / "Toys.jsonl"
    text = path.read_text()
    for old, new, message in (
        ("{", "[", "line 1: not JSON"),
        ('"user_id": "U1"', '"user": "U1"', "line 1: user_id: expected an ID, found None"),
        ('"parent_asin": "B8"', '"parent_asin": ""', "line 1: parent_asin: expected an ID"),
        ('"timestamp": 1', '"timestamp": "x1', "line 1: not JSON"),
        ('"timestamp": 1000000000000', '"timestamp": null', "line 1: timestamp: expected a number"),
        ('"rating": 5.0', '"rating": "*"', "line 1: rating: expected a number of stars"),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            amazon.read(reviews, Ledger(), 3)
    packed = reviews / "meta_Toys.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be unpacked"):
        amazon.read(reviews, Ledger())
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file of reviews; expected Toys.jsonl"):
        amazon.files(reviews)


def test_options_are_checked():
    for wrong, message in (
        (dict(split="by_item"), "unknown split 'by_item'"),
        (dict(history="last"), "did you mean 'last_n'"),
        (dict(actions={"repeat": "drop"}), "did you mean 'repeated'"),
        (dict(actions={"repeated": "keep"}), "unknown action for repeated"),
        (dict(length=0), "length: expected 1 or more"),
        (dict(split="leave_one_out", history="popular_n"), "same target in two splits"),
    ):
        with pytest.raises(ValueError, match=message):
            Options(**wrong)
