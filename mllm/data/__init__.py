"""Examples become batches: images, text, packing. Nothing here knows a model; a batch is a dict of
arrays.
"""
