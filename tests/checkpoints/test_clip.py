"""CLIP from a Hugging Face folder equals transformers' in torch, and says what it cannot read."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from tiny_clip import POSITIONS, SIDE, write_clip
from transformers import AutoTokenizer, CLIPImageProcessorPil

from mllm.checkpoints.clip import is_clip_folder, read_clip
from mllm.data.images import make_picture
from mllm.models.clip import image_embeddings, similarity, text_embeddings

TEXTS = ["a cat", "A  Cat!", "an apple on a beach, in 3 rows", "x", "ca t"]
CLOSE = dict(rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=[(False, "quick_gelu"), (True, "gelu")], ids=str)
def both(request, tmp_path_factory):
    """A folder, transformers' model of it and ours."""
    legacy, activation = request.param
    folder = tmp_path_factory.mktemp("clip")
    model = write_clip(folder, legacy=legacy, activation=activation)
    return folder, model, read_clip(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


def pictures():
    draws = np.random.default_rng(0)
    sizes = [(30, 20), (SIDE, SIDE), (13, 40)]
    return [Image.fromarray(draws.integers(0, 256, (h, w, 3), np.uint8)) for w, h in sizes]


def test_embeddings_and_similarities_are_those_of_transformers(both):
    folder, model, ours = both
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    words = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    pixels = processor(pictures(), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        found = model(**words, pixel_values=pixels)
    tiles = np.stack([make_picture(one, ours.images).tiles[0] for one in pictures()])
    seen = image_embeddings(ours.config, ours.variables, tiles)
    read = text_embeddings(ours.config, ours.variables, words["input_ids"].numpy())
    np.testing.assert_allclose(seen, found.image_embeds.numpy(), **CLOSE)
    np.testing.assert_allclose(read, found.text_embeds.numpy(), **CLOSE)
    fits = similarity(seen, read, ours.scale)
    np.testing.assert_allclose(fits, found.logits_per_image.numpy(), **CLOSE)


def test_pixels_and_token_ids_are_those_of_transformers(both):
    folder, _, ours = both
    statistics = ours.config.vision.mean, ours.config.vision.std
    mean, std = (np.asarray(x, np.float32) for x in statistics)
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    for picture in pictures():
        theirs = processor(picture, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
        tile = make_picture(picture, ours.images).tiles[0]
        np.testing.assert_allclose((tile / 255 - mean) / std, theirs, atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert [ours.tokenizer.encode(t).ids for t in TEXTS] == tokenizer(TEXTS)["input_ids"]


def test_a_text_means_the_same_whatever_follows_its_end(both):
    _, _, ours = both
    ids = ours.tokenizer.encode("a cat").ids
    alone = text_embeddings(ours.config, ours.variables, np.asarray([ids]))
    fills = [ids + [fill] * (POSITIONS - len(ids)) for fill in (ids[-1], 0, 7)]
    padded = text_embeddings(ours.config, ours.variables, np.asarray(fills))
    np.testing.assert_allclose(padded, np.repeat(alone, len(fills), axis=0), atol=1e-6)


def edit(folder, name, change):
    path = folder / name
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def without(tensor):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        del tensors[tensor]
        save_file(tensors, folder / "model.safetensors")

    return change


def config(**values):
    def change(folder):
        for key, value in values.items():
            section, _, name = key.rpartition("__")
            edit(
                folder,
                "config.json",
                lambda x, s=section, n=name, v=value: (x[s] if s else x).update({n: v}),
            )

    return change


CROP = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}


@pytest.mark.parametrize(
    "damage, message",
    [
        (config(model_type="siglip"), r"config.json: key 'model_type': expected one of clip"),
        (config(text_config__eos_token_id=5), r"ends with token 515, expected 5 \(eos_token_id"),
        (config(text_config__vocab_size=500, text_config__eos_token_id=5),
         r"highest token has ID 515.*below vocab_size 500"),
        (config(text_config__hidden_act="tanh"), r"key 'text_config.hidden_act'"),
        (config(text_config__num_attention_heads=3), r"a divisor of hidden_size 16, found 3"),
        (config(text_config__num_hidden_layers=1), r"layers.1.* is unexpected"),
        (config(vision_config__image_size=16), r"square images of 12 pixels, expected 16"),
        (config(projection_dim=9), r"expected shape \(9, \d+\), found \(8, \d+\)"),
        (without("logit_scale"), r"model.safetensors: tensor 'logit_scale' is missing"),
        (without("text_projection.weight"), r"tensor 'text_projection.weight' is missing"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer.json: no such file; write it"),
        (lambda f: edit(f, "preprocessor_config.json", lambda x: x.update(CROP)),
         r"square images of 16 pixels, expected 12"),
        (lambda f: edit(f, "preprocessor_config.json", lambda x: x.update(do_center_crop=False)),
         r"do_center_crop is False, expected True"),
    ],
)  # fmt: skip
def test_what_is_missing_or_different_is_named(written, tmp_path, damage, message):
    folder = shutil.copytree(written, tmp_path / "clip")
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_clip(folder)


def test_a_clip_folder_is_known_by_its_config(written, tmp_path):
    assert is_clip_folder(written)
    assert not is_clip_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    assert not is_clip_folder(tmp_path)


def test_sections_that_old_files_hold_twice_are_read_as_transformers_does(written, tmp_path):
    folder = shutil.copytree(written, tmp_path / "clip")
    right = json.loads((folder / "config.json").read_text())["text_config"]
    config(text_config_dict=right, text_config__num_hidden_layers=5)(folder)
    assert read_clip(folder).config == read_clip(written).config
