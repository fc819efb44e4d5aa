"""A study of models so small that they learn nothing, on pictures that cost nothing."""

from configs.cobsat import tiny

DECODER = dict(width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24)


def make_config(data_dir):
    config = tiny.get_config()
    config.benchmark.update(config="micro", data_dir=str(data_dir), seed=3)
    config.processor.image_size = 16
    config.model.codec.update(
        image_size=16, patch_size=8, width=16, mlp_width=16, features=4, codes=24, slots=4
    )
    config.model.decoder.update(**DECODER, vocab_size=tiny.TEXT + 26)
    config.judge.model.decoder.update(**DECODER)
    config.judge.model.vision.update(
        image_size=16, patch_size=16, width=16, layers=1, heads=2, mlp_width=16
    )
    config.judge.model.projector.update(mlp_width=16, width=16)
    config.rows.update(tokens=512, supervised=128, answers=8)
    config.tokeniser.update(epochs=1, rows=64, warmup=2)
    config.sequences.update(size=48, group=4)
    config.named.update(size=4, pictures=3)
    config.drawer.update(rows=4, warmup=2)
    config.judge.schedule.update(epochs=1, rows=64, warmup=2)
    config.finetuning.schedule.update(epochs=1, accumulation=1)
    config.evaluation.update(
        tasks=(1, 8), shots=(2,), prompts=3, fewer=2, reply_tokens=4, analysis_tokens=4
    )
    config.evaluation.types = ("default", "cot")
    config.update(checkpoint_every=4, log_every=4)
    return config
