"""Weights in and out: published files read into the tree of our models, and our checkpoints."""
