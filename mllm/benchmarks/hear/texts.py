"""The texts that the tokenizer of the benchmark is trained on."""

from collections.abc import Iterator

from mllm.benchmarks.hear.ontology import Ontology

VOCABULARY = 2048


def texts(ontology: Ontology) -> Iterator[str]:
    """Yield the words of an ontology as they stand in questions, captions and facts."""
    for name in ontology:
        concept = ontology[name]
        for word in (name, *concept.synonyms):
            yield from (word, f" {word}", f"sound of {word}", f"Is this the sound of a {word}?")
            yield f"A {word} is another word for a {name}."
        for above in ontology.ancestors(name):
            yield f"Is a {name} a kind of {above}? Answer yes or no."
        yield from filter(None, (concept.sounds_like, concept.habitat))
    yield from (" yes", " no", "Write an audio caption describing the sound.")
