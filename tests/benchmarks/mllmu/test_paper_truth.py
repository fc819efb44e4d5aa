"""The paper protocol against the published script, transcribed onto transformers: the same weights,
the same parquet files, the same seed.
"""

from functools import cache

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

import mllm
from mllm.benchmarks.mllmu import Benchmark, export_published
from mllm.benchmarks.mllmu.ask import paper_questions
from mllm.benchmarks.mllmu.paper import paper_items
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
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
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
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


def run_both(twins, benchmark, forget: int, rows: int, seed: int, folder, family="llava") -> tuple:
    """(sheets of the script, our records and scores)."""
    few = Few(benchmark, forget, rows)
    twin, processor, loaded = twins(family)
    exported = export_published(few, folder / "export")
    script = PublishedScript(exported, forget, twin, processor, **SCRIPT[family])
    sheets = script.run(seed)
    sets = {name: few.profiles(name) for name in ("celebrity",)}
    sets |= {"forget": few.profiles(f"forget_{forget}")}
    sets |= {"retain": few.profiles(f"retain_{100 - forget}")}
    ids = {profile.id for profile in sets["forget"]}
    sets["test"] = [profile for profile in few.profiles("test") if profile.id in ids]
    protocol = PaperProtocol(seed=seed).for_family(loaded.family)
    items = paper_items(sets, few.profiles("full"), protocol)
    pool = few.profiles("full")
    questions = paper_questions(sets, pool, protocol)
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
    sheets, items, records, scores = run_both(twins, benchmark, 5, 3, 0, tmp_path)
    assert_equal(sheets, items, records, scores)
    rights = [sheet["right"] for sheet in sheets if "right" in sheet]
    assert 0 < sum(rights) < len(rights)
    assert len({sheet["answer"] for sheet in sheets}) > len(sheets) / 3


@pytest.mark.slow
@pytest.mark.parametrize("forget, seed", [(15, 1), (10, 2)])
def test_larger_sets_and_other_seeds(twins, benchmark, tmp_path, forget, seed):
    assert_equal(*run_both(twins, benchmark, forget, 18, seed, tmp_path))


@pytest.mark.slow
def test_idefics2_with_split_pictures(twins, benchmark, tmp_path):
    sheets, items, records, scores = run_both(twins, benchmark, 5, 3, 0, tmp_path, "idefics2")
    assert_equal(sheets, items, records, scores)
    assert len({sheet["answer"] for sheet in sheets}) > len(sheets) / 3
