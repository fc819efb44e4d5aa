"""A study of models so small that they learn nothing, on the smallest data."""

from configs.msr import tiny


def make_config(data_dir):
    config = tiny.get_config()
    config.benchmark.update(config="micro", data_dir=str(data_dir), seed=0)
    config.processor.image_size = 16
    config.model.decoder.update(width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24)
    config.model.vision.update(
        image_size=16, patch_size=16, width=16, layers=1, heads=2, mlp_width=16
    )
    config.model.projector.update(mlp_width=16, width=16)
    config.rows.update(tokens=192, supervised=96, answers=8)
    config.summaries.tokens = 4
    config.preferences.tokens = 6
    config.captioner.update(epochs=1, rows=16, warmup=2)
    config.summariser.update(blocks=24, comparisons=24)
    config.summariser.schedule.update(epochs=1, rows=16, warmup=2)
    config.recommender.schedule.update(epochs=1, rows=16, warmup=2)
    config.tallrec.schedule.update(epochs=1, rows=16, warmup=2)
    config.update(checkpoint_every=1000, log_every=8)
    return config
