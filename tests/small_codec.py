"""The smallest autoencoder of pictures that tests share: four codes of a picture of 16 pixels."""

from mllm.models.vq import VQConfig

CODEC = VQConfig(
    image_size=16,
    patch_size=8,
    width=16,
    layers=1,
    generator_layers=1,
    heads=2,
    mlp_width=32,
    codes=24,
    code_width=4,
)
