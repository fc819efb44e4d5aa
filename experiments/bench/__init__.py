"""How fast training, decoding and evaluation are: ``python -m experiments.bench``."""
