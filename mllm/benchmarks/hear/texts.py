"""The texts that the tokenizer of the benchmark is trained on."""

from collections.abc import Iterator

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import (
    CAPTION,
    CAPTIONS,
    CLASSIFY,
    LABEL_EVIDENCE,
    NO,
    YES,
    caption_of,
    kind_question,
    label_text,
    question_of,
    relation_turns,
)
from mllm.benchmarks.tokenizer import SPECIAL_TOKENS
from mllm.data.conversation import AUDIO_MARK

VOCABULARY = 2048
SPECIAL = (*SPECIAL_TOKENS, AUDIO_MARK)


def texts(ontology: Ontology) -> Iterator[str]:
    """Yield all that is asked and said of sounds with tags of an ontology.

    Every word of it becomes one token where the ontology has a few hundred words.
    """
    for name in ontology:
        concept = ontology[name]
        for word in (name, *concept.synonyms):
            yield from (word, f" {word}", label_text(word), question_of(word))
            yield kind_question(name, word)
            yield LABEL_EVIDENCE.format(word)
            yield from (caption_of([word], number) for number in range(len(CAPTIONS)))
        yield from (kind_question(name, above) for above in ontology.ancestors(name))
        yield from filter(None, (concept.sounds_like, concept.habitat))
    tags = ontology.leaves[:3]
    for turn in relation_turns("C", tags[0], caption=caption_of(tags)):
        yield f"USER: {turn.text}\nASSISTANT: "
    yield from (CAPTION, CLASSIFY, f" {YES}", f" {NO}", YES, NO)
