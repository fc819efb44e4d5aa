"""Folders of tiny random CLIPs, as transformers writes them."""

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
)

SIDE, PATCH, POSITIONS = 12, 4, 40
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


def write_clip(folder, *, legacy=False, activation="quick_gelu", seed=0):
    """Write a folder with random weights, norms and biases too, and return the model in torch.

    Args:
      legacy: whether eos_token_id is 2, as in the first files.
    """
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>", BEGIN, END]
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = CLIPTokenizer(vocabulary, [("c", "a"), ("ca", "t</w>")], model_max_length=POSITIONS)
    shape = dict(num_hidden_layers=2, num_attention_heads=2, hidden_act=activation)
    torch.manual_seed(seed)
    model = CLIPModel(
        CLIPConfig(
            text_config=dict(
                vocab_size=len(words),
                hidden_size=16,
                intermediate_size=24,
                max_position_embeddings=POSITIONS,
                bos_token_id=vocabulary[BEGIN],
                eos_token_id=2 if legacy else vocabulary[END],
                **shape,
            ),
            vision_config=dict(
                hidden_size=24, intermediate_size=32, image_size=SIDE, patch_size=PATCH, **shape
            ),
            projection_dim=8,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
        model.logit_scale.fill_(2.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pictures = CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    pictures.save_pretrained(folder)
    return model
