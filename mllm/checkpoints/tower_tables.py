"""The tables (see ``mllm.checkpoints.tables``) of encoders alone, of pictures and of texts."""

from mllm.checkpoints.tables import VISION, Part, Table, layers, linear, norm

_TOWER = (Part("", ("vision_model.", ""), VISION),)
_LINEAR_TOWER = (
    Part(
        "",
        ("vision_model.", ""),
        {**VISION, "embeddings.patch_embedding.weight": ("patch/w", "transposed")},
    ),
)
_DINOV2 = (
    Part(
        "",
        ("", "dinov2.", "dinov2_with_registers."),
        {
            "embeddings.cls_token": ("class_token", "cell"),
            "embeddings.register_tokens": ("registers", "row"),
            "embeddings.position_embeddings": ("position", "row"),
            "embeddings.patch_embeddings.projection.weight": ("patch/w", "patch"),
            "embeddings.patch_embeddings.projection.bias": ("patch/b", "same"),
            **layers(
                "encoder.layer",
                {
                    **norm("norm1", "attention_norm"),
                    **linear("attention.attention.query", "q"),
                    **linear("attention.attention.key", "k"),
                    **linear("attention.attention.value", "v"),
                    **linear("attention.output.dense", "o"),
                    "layer_scale1.lambda1": ("attention_scale/scale", "same"),
                    **norm("norm2", "mlp_norm"),
                    **linear("mlp.fc1", "fc1"),
                    **linear("mlp.fc2", "fc2"),
                    "mlp.weights_in.weight": ("{gate,up}/w", "transposed"),
                    "mlp.weights_in.bias": ("{gate,up}/b", "same"),
                    **linear("mlp.weights_out", "down"),
                    "layer_scale2.lambda1": ("mlp_scale/scale", "same"),
                },
            ),
            **norm("layernorm", "post_norm"),
        },
    ),
)
_SAM = (
    Part(
        "",
        ("vision_encoder.", ""),
        {
            "pos_embed": ("position", "row"),
            "patch_embed.projection.weight": ("patch/w", "patch"),
            "patch_embed.projection.bias": ("patch/b", "same"),
            **layers(
                "layers",
                {
                    **norm("layer_norm1", "attention_norm"),
                    "attn.qkv.weight": ("{q,k,v}/w", "transposed"),
                    "attn.qkv.bias": ("{q,k,v}/b", "same"),
                    **linear("attn.proj", "o"),
                    **norm("layer_norm2", "mlp_norm"),
                    **linear("mlp.lin1", "fc1"),
                    **linear("mlp.lin2", "fc2"),
                },
            ),
            "neck.conv1.weight": ("neck/project/w", "1x1"),
            **norm("neck.layer_norm1", "neck/project_norm"),
            "neck.conv2.weight": ("neck/mix/w", "3x3"),
            **norm("neck.layer_norm2", "neck/mix_norm"),
        },
    ),
)
# By the ``model_type`` of their configuration.
TOWERS: dict[str, Table] = {
    "clip_vision_model": _TOWER,
    "siglip_vision_model": _TOWER,
    "siglip2_vision_model": _LINEAR_TOWER,
    "dinov2": _DINOV2,
    "dinov2_with_registers": _DINOV2,
    "sam_vision_model": _SAM,
}
BERT: Table = (
    Part(
        "",
        ("", "bert."),
        {
            "embeddings.word_embeddings.weight": ("embed", "same"),
            "embeddings.position_embeddings.weight": ("position", "same"),
            "embeddings.token_type_embeddings.weight": ("kinds", "same"),
            **norm("embeddings.LayerNorm", "norm"),
            **layers(
                "encoder.layer",
                {
                    **linear("attention.self.query", "q"),
                    **linear("attention.self.key", "k"),
                    **linear("attention.self.value", "v"),
                    **linear("attention.output.dense", "o"),
                    **norm("attention.output.LayerNorm", "attention_norm"),
                    **linear("intermediate.dense", "fc1"),
                    **linear("output.dense", "fc2"),
                    **norm("output.LayerNorm", "mlp_norm"),
                },
            ),
        },
    ),
)
