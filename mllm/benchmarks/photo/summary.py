"""What a data set holds, in lines for a person."""

from collections import Counter
from typing import Any

from mllm.benchmarks.photo.prompts import LETTERS


def summary(benchmark: Any) -> list[str]:
    """Return a line about each split, then the questions of the test split by topic and by letter.

    Args:
      benchmark: a `benchmark.Benchmark`.
    """
    lines, topics, keys = [], Counter(), Counter()
    for split in benchmark.splits:
        photos = benchmark.photos(split)
        sources, questions, described = set(), 0, 0
        for photo in photos:
            sources.add(photo.source)
            questions += len(photo.questions)
            described += photo.critique is not None
            if split == "test":
                topics.update(question.topic for question in photo.questions)
                keys.update(LETTERS[question.key] for question in photo.questions)
        lines.append(
            f"{split:<11} {len(photos):5} photographs of {len(sources)} sources, "
            f"{questions} questions, {described} critiques"
        )
    lines += [f"  {topic:<25} {count:5} questions" for topic, count in sorted(topics.items())]
    return [*lines, "  keys: " + ", ".join(f"{key} {keys[key]}" for key in LETTERS)]
