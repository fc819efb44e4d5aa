"""The texts that the tokenizer of the benchmark is trained on."""

from collections.abc import Iterator

from mllm.benchmarks.cobsat import prompts
from mllm.benchmarks.cobsat.analysis import analysis
from mllm.benchmarks.cobsat.captions import WORDINGS, caption
from mllm.benchmarks.cobsat.judge import SIDES, question
from mllm.benchmarks.cobsat.tasks import KINDS, TASKS, WORDS, display, pairs

VOCABULARY = 1024


def texts() -> Iterator[str]:
    """Yield what prompts, answers and the judge's questions say: words, captions, instructions."""
    for words in WORDS.values():
        for word in words:
            yield from (f"{display(word)}: ", f" {display(word)}")
    yield "[INST] a [/INST]\n"
    for pair in pairs():
        yield from (caption(pair, wording) for wording in range(len(WORDINGS)))
    for mode, styles in prompts.DEFAULT.items():
        yield from (text for strings in styles.values() for text in strings)
        yield from (prompts.CAPTION[mode], prompts.COT_SECOND[mode], *prompts.COT)
        yield from (prompts.instruction(task, mode) for task in TASKS)
    for task in TASKS.values():
        for word in WORDS[task.theta]:
            yield analysis({"x": task.x, "theta": task.theta, "hidden": word})
    for theme in KINDS:
        for side in SIDES:
            yield from (question(theme, side), question(theme, side, "A word"))
    yield from (str(number) for number in range(1, 11))
