"""The paper protocol against the published script, transcribed onto transformers: the same weights,
the same parquet files, the same seed.
"""

import io
import itertools
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

import mllm
from mllm.benchmarks.mllmu import Benchmark, export_published
from mllm.benchmarks.mllmu.ask import paper_questions
from mllm.benchmarks.mllmu.paper import paper_items
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
from mllm.benchmarks.mllmu.published import read_published
from mllm.benchmarks.mllmu.scores import score_replies
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import ask

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from models import torch_twins  # noqa: E402
from published_script import PublishedScript, averages  # noqa: E402

pytestmark = pytest.mark.thorough

SIDE, PATCH = 32, 16
SCRIPT = {  # what the script does for each family
    "llava": {"choice_shots": 1, "cloze_shots": 2, "short": 50},
    "idefics2": {"choice_shots": 1, "cloze_shots": 1, "short": 5},
}
SET_OF_MODE = {
    "forget": "forget",
    "test": "test",
    "retain_shared": "retain",
    "retain_celebrity": "celebrity",
}
MODALITY_OF_KIND = {
    "Image_Textual": "image_text",
    "Image_Textual_Questions": "image_text",
    "Pure_Text": "text",
    "Pure_Text_Questions": "text",
}


class Few:
    """A benchmark of which only the first rows of the kept sets are there."""

    config, info = "few", {"licences": {}, "citation": ""}

    def __init__(self, benchmark, forget: int, rows: int):
        self.benchmark, self.fingerprint = benchmark, f"{rows} rows"
        self.rows = {f"retain_{100 - forget}": rows, "celebrity": rows}

    def profiles(self, split: str) -> list:
        return self.benchmark.profiles(split)[: self.rows.get(split)]


@pytest.fixture(scope="module")
def benchmark(data_dir):
    return Benchmark.open(data_dir, "small")


TEXT = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": PATCH,
}


def make_llava(tokenizer):
    """(model, processor) of LLaVA: an image takes 4 tokens."""
    model = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**VISION, image_size=SIDE),
            text_config=transformers.LlamaConfig(vocab_size=len(tokenizer), **TEXT),
            image_token_index=3,
            image_seq_length=(SIDE // PATCH) ** 2,
        )
    )
    square = {"height": SIDE, "width": SIDE}
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return model, processor


def make_idefics2(tokenizer):
    """(model, processor) of Idefics2, pictures split as its published processor does: 5 tiles of 4
    tokens.
    """
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<fake_token_around_image>", "<end_of_utterance>"]}
    )
    perceiver = {"hidden_size": 48, "resampler_n_latents": 4, "resampler_depth": 1}
    perceiver |= {"resampler_n_heads": 4, "resampler_head_dim": 12, "num_key_value_heads": 2}
    model = transformers.Idefics2ForConditionalGeneration(
        transformers.Idefics2Config(
            vision_config={**VISION, "image_size": 2 * SIDE},
            text_config={"model_type": "mistral", "vocab_size": len(tokenizer), **TEXT},
            perceiver_config={**perceiver, "rms_norm_eps": 1e-5},
            image_token_id=3,
        )
    )
    edges = {"longest_edge": 2 * SIDE, "shortest_edge": SIDE}
    images = transformers.Idefics2ImageProcessorPil(size=edges, do_image_splitting=True)
    return model, transformers.Idefics2Processor(images, tokenizer, image_seq_len=4)


@pytest.fixture(scope="module")
def twins(benchmark, tmp_path_factory):
    """A function of a family: a model of transformers with its processor, and ours, loaded from the
    folder that they write.

    Weights are random, but some tokens are favoured: letters, the end, parts of names. So replies
    are short, some hold an answer, and hardly any two tokens are equally likely.
    """

    @cache
    def make(family: str) -> tuple:
        tokenizer = Tokenizer.from_file(str(benchmark.tokenizer_path))
        favoured = [tokenizer.token_to_id(letter) for letter in "ABCD"]
        favoured += tokenizer.encode(" A B C D born lives 1 This person in Boise Manila $").ids
        tokenizer.post_processor = TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            eos_token="</s>",
            pad_token="<pad>",
            model_input_names=["input_ids", "attention_mask"],  # as the published tokenizers have
        )
        twin, processor = {"llava": make_llava, "idefics2": make_idefics2}[family](fast)
        torch_twins.randomise(twin, seed=1)
        with torch.no_grad():
            twin.lm_head.weight[favoured] *= 4
            twin.lm_head.weight[2] *= 4
        twin.generation_config.update(eos_token_id=2, pad_token_id=0, bos_token_id=1)
        folder = tmp_path_factory.mktemp(family)
        twin.save_pretrained(folder)
        processor.save_pretrained(folder)
        return twin, processor, mllm.load(folder).loaded

    return make


def export_few(benchmark, forget: int, rows: int, folder, change=None):
    """The folder of an export, whose tables ``change`` has edited."""
    exported = export_published(Few(benchmark, forget, rows), folder / "export")
    if change is None:
        return exported
    tables = {path.parent.name: [] for path in sorted(exported.glob("*/*.parquet"))}
    for name, found in tables.items():
        for path in sorted((exported / name).glob("*.parquet")):
            found += pq.read_table(path).to_pylist()
            path.unlink()
    change(tables)
    for name, found in tables.items():
        written = exported / name / "train-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(found), written)
    return exported


def run_both(twins, exported, forget: int, seed: int, folder, family="llava") -> tuple:
    """(sheets of the script, our items, records and scores)."""
    twin, processor, loaded = twins(family)
    script = PublishedScript(exported, forget, twin, processor, **SCRIPT[family])
    sheets = script.run(seed)
    splits, _ = read_published(exported)
    sets = {"forget": splits[f"forget_{forget}"], "retain": splits[f"retain_{100 - forget}"]}
    ids = {profile.id for profile in sets["forget"]}
    sets["test"] = [profile for profile in splits["test"] if profile.id in ids]
    sets["celebrity"] = splits["celebrity"]
    protocol = PaperProtocol(seed=seed).for_family(loaded.family)
    items = paper_items(sets, splits["full"], protocol)
    questions = paper_questions(sets, splits["full"], protocol)
    model = LocalModel(loaded, rows=16, refuse_long=questions.refuse_long)
    records = ask(questions, {"subject": model}, folder / "eval", {})
    return sheets, items, records, score_replies(records, protocol="paper")


def assert_equal(sheets, items, records, scores) -> None:
    assert len(sheets) == len(items) == len(records)
    for sheet, item, record in zip(sheets, items, records, strict=True):
        assert (SET_OF_MODE[sheet["mode"]], sheet["task"]) == (record["set"], record["task"])
        assert MODALITY_OF_KIND[sheet["kind"]] == record["modality"]
        assert (sheet["id"], sheet["question"]) == (record["profile"], record["question"])
        assert sheet["prompt"] == record["prompt"]
        assert sheet["pictures"] == list(item.pictures)
        assert sheet["decoded"] == record["decoded"], sheet["prompt"]
        assert sheet["answer"] == record["reply"]
    found = {}
    for score in scores:
        place = score["set"], score["task"], score["modality"], score["metric"]
        found[place] = score["value"], score["n"]
    name_of = {"classification": "accuracy_parsed", "cloze": "substring"}
    expected = averages(sheets)
    for (mode, task, kind, counted), value in expected.items():
        metric = name_of[task] if counted == "right" else counted
        place = SET_OF_MODE[mode], task, MODALITY_OF_KIND[kind], metric
        assert found.pop(place) == pytest.approx(value), place
    assert {place[-1] for place in found} == {"exact"}  # what the script does not count


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One width of prompts, so that less is compiled; threads do not help a model of this size."""
    monkeypatch.setattr("mllm.evaluation.branching.BUCKET", 512)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_prompt_picture_reply_and_score_is_the_scripts(twins, benchmark, tmp_path):
    exported = export_few(benchmark, 5, 2, tmp_path)
    sheets, items, records, scores = run_both(twins, exported, 5, 0, tmp_path)
    assert_equal(sheets, items, records, scores)
    rights = [sheet["right"] for sheet in sheets if "right" in sheet]
    assert 0 < sum(rights) < len(rights)
    assert len({sheet["answer"] for sheet in sheets}) > len(sheets) / 3


def make_odd(tables: dict[str, list[dict]]) -> None:
    """Rows and pictures with which the script goes on. The test set has one picture and no list."""
    odd = odd_pictures()
    for name, rows in tables.items():
        for number, row in enumerate(rows):
            if "images" in row:
                row["image"] = row.pop("images")[0]
            row["image"] = {"bytes": odd[(number + len(name)) % len(odd)], "path": None}
            if "biography" in row:
                row["biography"] = ("{no json", None, "[]", "{}")[number % 4]
    forgotten = {row["ID"] for row in tables["forget_5"]}
    for name in ("forget_5", "retain_95", "Test_Set", "Retain_Set", "Full_Set"):
        rows = [row for row in tables[name] if name != "Test_Set" or row["ID"] in forgotten]
        golds = itertools.cycle(("E", None, "B.", "Rome", "b", "B ", ""))
        for row in rows:
            shown, told = row["Classification_Task"].values()
            for item in (*shown[:2], *told[:2]):
                item["Correct_Answer"] = next(golds)
        first, second = (rows[n]["Classification_Task"]["Pure_Text_Questions"] for n in (0, 1))
        first[2]["Options"]["C"] = None
        first[3]["Options"]["E"] = "None of these"
        second[2]["Question"] = None
        second[3]["Question"] += " <image> <image>"
        rows[0]["Mask_Task"][0]["Ground_Truth"] = ""
        rows[1]["Mask_Task"][3]["Question"] += " <image>"
        rows[1]["Mask_Task"][2]["Type"] = "Audio"
        rows[0]["Generation_Task"][0]["Ground_Truth"] = ""
        rows[0]["Generation_Task"][1]["Type"] = None
        rows[1]["Generation_Task"][3]["Question"] = "<image>"
    for row in tables["retain_95"]:  # letters in another order
        for item in row["Classification_Task"]["Image_Textual_Questions"]:
            item["Options"] = dict(reversed(item["Options"].items()))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def odd_pictures() -> list[bytes]:
    """Files that show something else upright, or without what they hide.

    None has a single transparent colour: ``convert`` keeps it as a remark, which the installed
    transformers heeds and the pinned one does not. ``test_answerable`` compares such pixels.
    """
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (20, 28, 4), np.uint8), "RGBA")
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = noise.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    grey = Image.fromarray(rng.integers(0, 900, (20, 28)).astype(np.uint16))
    plain = noise.convert("RGB")
    return [
        encoded(noise, "PNG"),
        encoded(plain, "JPEG", exif=turned),
        encoded(palette, "PNG", transparency=bytes([0, 99, *[255] * 14])),
        encoded(noise.convert("LA"), "PNG"),
        encoded(grey, "PNG"),
        encoded(noise, "WEBP", lossless=True, exif=turned),
        encoded(plain, "PNG"),
    ]


@pytest.mark.slow
def test_odd_rows_and_pictures_are_asked_and_scored_as_the_script_does(twins, benchmark, tmp_path):
    exported = export_few(benchmark, 5, 3, tmp_path, make_odd)
    sheets, items, records, scores = run_both(twins, exported, 5, 3, tmp_path)
    assert_equal(sheets, items, records, scores)
    seen = {(record["gold"], record["question"]) for record in records}
    assert {None, "", "E", "B.", "b", "B "} <= {gold for gold, _ in seen}
    assert any("E: None of these" in record["prompt"] for record in records)
    asked = [record["prompt"].rpartition("USER: <image>")[2] for record in records]
    assert any("\nD: " in prompt.partition("\nC: ")[0] for prompt in asked)
    assert any(question and "<image>" in question for _, question in seen)


@pytest.mark.slow
@pytest.mark.parametrize("forget, seed", [(15, 1), (10, 2)])
def test_larger_sets_and_other_seeds(twins, benchmark, tmp_path, forget, seed):
    exported = export_few(benchmark, forget, 18, tmp_path)
    assert_equal(*run_both(twins, exported, forget, seed, tmp_path))


@pytest.mark.slow
def test_idefics2_with_split_pictures(twins, benchmark, tmp_path):
    exported = export_few(benchmark, 5, 3, tmp_path)
    sheets, items, records, scores = run_both(twins, exported, 5, 0, tmp_path, "idefics2")
    assert_equal(sheets, items, records, scores)
    assert len({sheet["answer"] for sheet in sheets}) > len(sheets) / 3
