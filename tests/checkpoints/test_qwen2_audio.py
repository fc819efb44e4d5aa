"""Qwen2-Audio from folders that transformers wrote: the same inputs, logits and replies, and the
same folder again.
"""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import transformers
from safetensors import numpy as safetensors
from tiny_listener import POSITIONS, RATE, as_file, logits, make_processor, sound, write_folder

import mllm
from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import assistant, audio, system, user
from mllm.data.processor import Processor

QUESTION = "What do you hear?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("qwen2_audio") / "model"


@pytest.fixture(scope="module")
def theirs(folder):
    return write_folder(folder)


@pytest.fixture(scope="module")
def ours(folder, theirs):
    return mllm.load(folder)


def clips(seconds) -> list[np.ndarray]:
    return [sound(length, seed, 300 + 200 * seed) for seed, length in enumerate(seconds)]


def asked(seconds, generate=True):
    """Return (turns, the messages that transformers takes)."""
    shown = [audio(as_file(clip)) for clip in clips(seconds)]
    content = [{"type": "audio", "audio_url": ""}] * len(shown)
    return [user(*shown, QUESTION)], [
        {"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]}
    ]


def inputs(processor, messages, seconds):
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    heard = {"audio": clips(seconds), "sampling_rate": RATE} if seconds else {}
    return text, processor(text=text, return_tensors="pt", **heard)


@pytest.mark.parametrize("seconds", [(), (0.5,), (2.0,), (2.9, 0.04)])
def test_ids_and_logits_are_those_of_transformers(ours, theirs, seconds):
    turns, messages = asked(seconds)
    text, published = inputs(make_processor(), messages, seconds)
    encoded = ours.loaded.processor.encode(turns, generate=True)
    assert ours.loaded.processor.text(turns) == text
    assert list(encoded.ids) == published["input_ids"][0].tolist()
    expected = logits(theirs, **published)
    arrays = {name: value.numpy() for name, value in published.items()}
    np.testing.assert_allclose(ours.logits(**arrays), expected, atol=1e-4, rtol=0)


def test_logits_of_rows_of_several_lengths(ours, theirs):
    """Left padding, rows with two sounds, one and none."""
    processor = make_processor()
    processor.tokenizer.padding_side = "left"
    lengths = [(0.3, 1.7), (0.9,), ()]
    texts = [
        processor.apply_chat_template(asked(own)[1], add_generation_prompt=True, tokenize=False)
        for own in lengths
    ]
    heard = [clip for own in lengths for clip in clips(own)]
    published = processor(
        text=texts, audio=heard, sampling_rate=RATE, padding=True, return_tensors="pt"
    )
    found = ours.logits(**{name: value.numpy() for name, value in published.items()})
    real = published["attention_mask"].numpy() > 0
    np.testing.assert_allclose(found[real], logits(theirs, **published)[real], atol=1e-4, rtol=0)


def test_replies_and_scores_are_those_of_transformers(ours, theirs):
    """The samples go through the model's own spectrogram, rooms and packing of prompts."""
    processor = make_processor()
    prompts, heard, expected, scores = [], [], [], []
    for seconds in ((0.5,), (0.3, 1.7), (1.1,), ()):
        text, published = inputs(processor, asked(seconds)[1], seconds)
        made = theirs.generate(**published, max_new_tokens=6, do_sample=False)
        reply = made[0, published["input_ids"].shape[1] :]
        expected.append(processor.tokenizer.decode(reply, skip_special_tokens=True).strip())
        prompts.append(text.replace("<|audio_bos|><|AUDIO|><|audio_eos|>", "<audio>"))
        heard.append([as_file(clip) for clip in clips(seconds)])
        last = logits(theirs, **published)[0, -1].astype(np.float64)
        ids = [processor.tokenizer(word)["input_ids"][0] for word in ("yes", "no")]
        scores.append(last[ids] - np.log(np.exp(last).sum()))
    assert ours.generate(prompts, audio=heard, max_new_tokens=6) == expected
    assert ours.generate(prompts[:1], audio=[heard[0][0]], max_new_tokens=6) == expected[:1]
    words = [[processor.tokenizer.decode(i) for i in ids]] * len(prompts)
    found = ours.score(prompts, None, words, audio=heard)
    np.testing.assert_allclose(found, scores, atol=1e-4)


def test_sounds_of_a_raw_prompt(ours):
    """What stands around a sound is written unless it stands there already."""
    clip = [as_file(sound(0.5))]
    bare = ours.generate(["<audio>Hm?"], audio=[clip], max_new_tokens=4)
    around = "<|audio_bos|><audio><|audio_eos|>Hm?"
    assert ours.generate([around], audio=[clip], max_new_tokens=4) == bare
    with pytest.raises(ValueError, match="put the sound between two texts"):
        ours.generate(["<|AUDIO|>Hm?"], max_new_tokens=1)


def test_what_does_not_fit_is_an_error(ours):
    clip = as_file(sound(0.5))
    with pytest.raises(ValueError, match="prompt 0: 1 times <audio>, but 2 sounds"):
        ours.generate(["<audio>?"], audio=[[clip, clip]], max_new_tokens=1)
    with pytest.raises(ValueError, match="<audio> is written in the text of a raw turn, but no so"):
        ours.generate(["<audio>?"], max_new_tokens=1)
    with pytest.raises(ValueError, match="audio 0: cannot be decoded"):
        ours.generate(["<audio>?"], audio=[b"no"], max_new_tokens=1)
    with pytest.raises(ValueError, match="1 images, but the model takes text only"):
        ours.generate(["<image>?"], [b""], max_new_tokens=1)
    with pytest.raises(ValueError, match="audio 0: expected the bytes of an audio file, found str"):
        ours.generate(["<audio>?"], audio=["a.wav"], max_new_tokens=1)
    rows = np.array([[3, 3, 3, 7]])
    mel, mask = np.zeros((1, 16, 200)), np.arange(200)[None] < 12
    assert ours.logits(rows, input_features=mel, feature_attention_mask=mask).shape == (1, 4, 340)
    with pytest.raises(ValueError, match="row 0: 3 more audio tokens, a run of 5"):
        ours.logits(rows, input_features=mel, feature_attention_mask=np.arange(200)[None] < 20)
    with pytest.raises(ValueError, match="row 0: 3 more audio tokens, no sound is left"):
        ours.logits(rows)
    with pytest.raises(ValueError, match="audio tokens for 1 sounds in the rows, but 2"):
        both = np.repeat(mel, 2, 0), np.repeat(mask, 2, 0)
        ours.logits(rows, input_features=both[0], feature_attention_mask=both[1])
    with pytest.raises(ValueError, match=r"input_features: expected .N, 16, F., found"):
        ours.logits(rows, input_features=np.zeros((1, 80, 200)))


def test_a_conversation_of_several_turns_is_written_as_published(ours):
    first, second = (audio(as_file(sound(0.5, seed))) for seed in range(2))
    turns = [system("Be brief."), user("Hm: ", first, "this?"), assistant("A bird."), user(second)]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Hm: "},
            {"type": "audio", "audio_url": ""},
            {"type": "text", "text": "this?"},
        ]},
        {"role": "assistant", "content": "A bird."},
        {"role": "user", "content": [{"type": "audio", "audio_url": ""}]},
    ]  # fmt: skip
    text = make_processor().apply_chat_template(messages, add_generation_prompt=True)
    processor = ours.loaded.processor
    assert processor.text(turns) == text
    assert processor.config.chat_format == "qwen2_audio"  # found equal to the folder's template
    typed = processor.encode([user(first, "<|AUDIO|> <|im_end|>")], generate=True)
    special = [processor.token_id(name) for name in ("<|AUDIO|>", "<|im_end|>")]
    assert [typed.ids.count(i) for i in special] == [12, 2]  # what is typed stays text


def test_the_folder_is_written_again_to_the_bit(folder, ours, tmp_path):
    ours.save(tmp_path / "orbax")
    mllm.load(tmp_path / "orbax").save(tmp_path / "again", format="hf")
    before = safetensors.load_file(folder / "model.safetensors")
    after = safetensors.load_file(tmp_path / "again" / "model.safetensors")
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert values.dtype == after[name].dtype and values.tobytes() == after[name].tobytes(), name
    for name in ("config.json", "processor_config.json", "chat_template.jinja", "tokenizer.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_model_of_ours_becomes_a_folder_that_transformers_reads(ours, theirs, tmp_path):
    loaded = ours.loaded
    processor = Processor(loaded.processor.config, loaded.processor.tokenizer)
    mllm.api.Model(Loaded("listener", loaded.config, loaded.variables, processor)).save(
        tmp_path / "new", format="hf"
    )
    read = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "new").eval()
    published = transformers.AutoProcessor.from_pretrained(tmp_path / "new")
    _, found = inputs(published, asked((0.7,))[1], (0.7,))
    _, expected = inputs(make_processor(), asked((0.7,))[1], (0.7,))
    assert found["input_ids"].tolist() == expected["input_ids"].tolist()
    np.testing.assert_array_equal(logits(read, **found), logits(theirs, **expected))
    again = mllm.load(tmp_path / "new").loaded
    assert again.config == loaded.config and again.processor.config == loaded.processor.config


def test_a_format_without_a_place_for_sounds_is_not_written(ours, tmp_path):
    processor = ours.loaded.processor.with_chat_format("chatml")
    with pytest.raises(ValueError, match="the chat format is 'chatml', expected 'qwen2_audio'"):
        mllm.api.Model(replace(ours.loaded, processor=processor)).save(tmp_path / "new", "hf")
    assert not (tmp_path / "new").exists()


def edited(folder, to, name, **changes):
    """Return a copy of a folder with other values in one of its files."""
    shutil.copytree(folder, to)
    content = json.loads((to / name).read_text())
    for path, value in changes.items():
        *parents, key = path.split("__")
        section = content
        for parent in parents:
            section = section[parent]
        section[key] = value
    (to / name).write_text(json.dumps(content))
    return to


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("config.json", {"audio_token_index": 9000}, "audio_token_index.*below vocab_size 340"),
        (
            "config.json",
            {"audio_token_index": 4},
            "audio token, mel bins and.*3, 16, 32000",
        ),
        ("config.json", {"audio_config__encoder_attention_heads": 3}, "encoder_attention_heads"),
        ("config.json", {"audio_config__encoder_layers": 3}, "layers.2.*missing"),
        ("config.json", {"audio_config__model_type": "wav2vec2"}, "audio_config.model_type"),
        ("processor_config.json", {"feature_extractor__feature_size": 80}, "3, 80, 32000"),
        ("processor_config.json", {"feature_extractor__hop_length": 80}, "hop_length is 80"),
        ("processor_config.json", {"feature_extractor__chunk_length": 0}, "chunk_length is 0"),
    ],
)
def test_a_folder_that_does_not_fit_is_an_error(folder, theirs, tmp_path, name, changes, message):
    with pytest.raises(ValueError, match=message):
        mllm.load(edited(folder, tmp_path / "broken", name, **changes))


def test_only_logits_without_a_processor(folder, theirs, tmp_path):
    shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("processor*"))
    bare = mllm.load(tmp_path / "bare")
    _, published = inputs(make_processor(), asked((0.5,))[1], (0.5,))
    arrays = {name: value.numpy() for name, value in published.items()}
    np.testing.assert_allclose(bare.logits(**arrays), logits(theirs, **published), atol=1e-4)
    with pytest.raises(FileNotFoundError, match=r"preprocessor_config\.json"):
        bare.generate(["Hm?"], max_new_tokens=1)


def test_the_config_is_the_folders(ours):
    config = ours.loaded.config
    assert (config.audio.positions, config.audio.window) == (POSITIONS, 2 * RATE)
    assert config.decoder.qkv_bias and not config.decoder.o_bias and not config.decoder.tied
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(ours.loaded.variables))
