"""A study of models so small that they learn nothing, on the smallest data."""

from configs.hear import tiny


def make_config(data_dir):
    config = tiny.get_config()
    config.benchmark.update(config="micro", data_dir=str(data_dir), seed=0)
    config.model.decoder.update(width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24)
    config.model.audio.update(frames=80, bins=16, width=16, layers=1, heads=2, mlp_width=16)
    config.rows.update(tokens=160, supervised=64, answers=8)
    few = dict(epochs=1, rows=32, row_tokens=0, row_supervised=0, warmup=2)
    config.language.lessons.update(dict.fromkeys(config.language.lessons, 0), named=1, kinds=1)
    for section in (config.language, config.project, config.listen, config.classify, config.tune):
        section.schedule.update(few)
    config.classify.schedule.epochs = 0
    for name in ("project", "listen"):
        config[name].lessons.update(captions=0, classes=1, questions=0)
    for method in config.methods.values():
        lessons = {name: int(bool(times)) for name, times in method.lessons.items()}
        method.lessons.update(lessons, captions=1, classes=0, questions=0)
    config.evaluation.update(clips=6, per_label=1, caption_tokens=4, representation=0)
    config.update(checkpoint_every=2, log_every=4)
    return config
