"""Folders of tiny random models of text, as transformers writes them."""

import published_folders as published
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

KINDS = {
    "llama": (LlamaConfig, LlamaForCausalLM, {}),
    "mistral": (MistralConfig, MistralForCausalLM, dict(sliding_window=None)),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(tie_word_embeddings=True)),
    "phi3": (Phi3Config, Phi3ForCausalLM, {}),
}


def write_text_model(folder, kind: str = "llama", seed: int = 0):
    """Write a model of random weights, with a tokenizer, and return it in torch."""
    torch.manual_seed(seed)
    configuration, model, options = KINDS[kind]
    made = model(
        configuration(
            vocab_size=published.VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=128,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            **options,
        )
    ).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
    made.save_pretrained(folder)
    published.make_tokenizer().save_pretrained(folder)
    return made
