"""Captions of the oracle, compared with labels by a real sentence encoder."""

import pytest
from toy_clips import asked, toy_benchmark, toy_clip

from mllm.benchmarks.hear.brackets import oracle
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.benchmarks.hear.scores import AXES, scores_of
from mllm.benchmarks.hear.tree import RARE, tree
from mllm.evaluation.embedding import TextSimilarity

pytestmark = pytest.mark.slow  # reads weights of requirements-smol.txt


def test_captions_of_the_oracle_find_their_class_and_those_of_other_clips_do_not():
    try:
        embedder = TextSimilarity.read()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    leaves = tree().leaves
    clips = [toy_clip("test", n, (leaves[n % len(leaves)],)) for n in range(3 * len(leaves))]
    benchmark = toy_benchmark(rare=RARE, test=clips)
    benchmark.ontology = tree()
    protocol = Protocol(conditions=(), two_step=False)
    pairs = asked(rounds(benchmark, protocol), oracle(benchmark))
    records = records_of(pairs, tree(), RARE, embedder.similarities)
    found = {tuple(s[name] for name in (*AXES, "metric")): s for s in scores_of(records)}
    assert found["caption_embedding", "all", "plain", "accuracy"]["value"] == 1
    shuffled = found["caption_embedding", "all", "shuffled", "accuracy"]
    assert shuffled["ci95"][0] <= 1 / len(leaves) <= shuffled["ci95"][1] < 0.2
    low, high = found["caption_embedding", "all", "shuffled", "auc"]["ci95"]
    assert low < 0.5 < high
