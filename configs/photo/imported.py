"""Questions or comments that somebody has, imported: :photobench, :aesbench or :comments.

python -m experiments.prepare --config configs/photo/imported.py:photobench \
    --config.benchmark.source=FOLDER

The options are those of ``mllm.benchmarks.photo.importers.options.Options``; "" is the usual value.
"""

from ml_collections import ConfigDict

from configs.photo import tiny

COLUMNS = ("question", "options", *"ABCD", "answer", "topic", "subtopic", "image", "id")
COMMENTS = ("image", "comments")
FLAWS = (
    "missing_picture",
    "unreadable_picture",
    "unusable_row",
    "unknown_topic",
    "other_number_of_options",
    "repeated_id",
    "repeated_question",
)


def get_config(kind: str = "photobench") -> ConfigDict:
    config = tiny.get_config()
    columns = COMMENTS if kind == "comments" else COLUMNS
    config.benchmark.config = kind
    config.benchmark.options = ConfigDict(
        dict(
            file="",
            pictures="images",
            columns=dict.fromkeys(columns, ""),
            topics=ConfigDict(),
            actions=dict.fromkeys(FLAWS, ""),
            split="test",
            validation=0.1,
            test=0.1,
            writer="rules",
            endpoint=dict(url="", model="", key_variable="OPENAI_API_KEY", concurrency=4),
            model="",
            licence="as stated by the owner of the files",
        )
    )
    return config
