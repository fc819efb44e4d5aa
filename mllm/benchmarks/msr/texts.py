"""The texts that the tokenizer of the generated data is trained on."""

from collections.abc import Iterable, Iterator

from mllm.benchmarks.msr.catalogue import VALUES
from mllm.benchmarks.msr.rows import Item
from mllm.benchmarks.msr.summaries import template
from mllm.benchmarks.msr.wording import texts as prompt_texts

VOCABULARY = 1024


def texts(items: Iterable[Item]) -> Iterator[str]:
    """Yield titles, descriptions, the words for what items show, prompts, and the answers."""
    for item in items:
        yield from (item.title, item.description, template(item))
    for values in VALUES.values():
        for value in values:
            yield from (f" {value}", f" {value},")
    yield from prompt_texts()
    yield from (" yes", "yes", "Yes", " no", "no", "No")
    yield from (str(number) for number in range(10))
