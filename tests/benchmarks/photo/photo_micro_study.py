"""A study of models so small that they learn nothing, on the smallest data."""

from configs.photo import tiny

SIDE = 48
TOWER = dict(image_size=SIDE, patch_size=24, width=16, layers=1, heads=2, mlp_width=16)


def make_config(data_dir):
    config = tiny.get_config()
    config.benchmark.update(config="micro", data_dir=str(data_dir), seed=0)
    config.processor.image_size = SIDE
    config.model.decoder.update(width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24)
    config.model.vision.image_size = SIDE
    # Small ViTs in place of fixed statistics, which take longer to compile than all else.
    pixels = tiny.tower("vit")
    for encoder in config.model.vision.encoders.values():
        encoder.update(kind="vit", tower={**pixels, **TOWER})
    config.model.fusion.update(queries=4, bank=2, layers=1, width=16, heads=2, mlp_width=16)
    config.model.projector.update(mlp_width=16, width=16)
    config.rows.update(tokens=192, supervised=96)
    small = dict(epochs=1, rows=16, row_tokens=0, warmup=2)
    config.encoders.update(repeats=1, each=0)
    for lessons in (config.align.lessons, config.tune.lessons):
        lessons.update(text=6, letter=6, critiques=2, conversations=2)
    for schedule in (config.encoders.schedule, config.align.schedule, config.tune.schedule):
        schedule.update(small)
    config.evaluation.update(photos=6, letters=2, critiques=2, critique_tokens=4, looks=3)
    config.update(checkpoint_every=4, log_every=4)
    return config
