"""What prompts share is found by content: units by their media, families by what comes first."""

from itertools import combinations

import numpy as np

from mllm.data.conversation import image
from mllm.data.encoded import Encoded, Span
from mllm.evaluation.request import Choices, Text
from mllm.evaluation.tree import LEAST, PAYS, Asked, Family, Prompt, Unit, common, grow

TOKENS = 3  # of a medium
KEYS = iter(range(10**6))
ASK = Text(4)


def prompt(*parts, asks=(ASK,)) -> Prompt:
    """A prompt of ids and media, in order."""
    ids, media, spans = [], [], []
    for part in parts:
        if isinstance(part, int):
            ids.append(part)
            continue
        spans.append(Span(len(ids), TOKENS, len(media)))
        media.append(part)
        ids += [0] * TOKENS
    asked = tuple(Asked(ask, (str(next(KEYS)),)) for ask in asks)
    return Prompt(Encoded(tuple(ids), tuple(media), tuple(spans), ()), asked)


def media(number: int):
    return image(str(number).encode())


def units_of(families: list[Family]) -> list[list[set]]:
    return [[{p.encoded.ids[-1] for p in unit.prompts} for unit in f.units] for f in families]


def test_prompts_about_the_same_media_are_a_unit():
    a, b = media(1), media(2)
    prompts = [prompt(1, a, 5), prompt(1, b, 6), prompt(1, a, 7), prompt(2, a, 8), prompt(1, 9)]
    assert units_of(grow(prompts)) == [[{5, 7}, {6}, {8}, {9}]]
    assert [unit.end for unit in grow(prompts)[0].units] == [4, 4, 4, 0]


def test_a_long_common_beginning_is_read_once_for_a_family():
    head, other = range(100, 100 + LEAST), range(300, 300 + 2 * LEAST)
    long = [prompt(*head, media(i), i) for i in range(3)]
    text = [prompt(*head, 7, 8, i) for i in (20, 21)]
    apart = [prompt(*other, i, i, i) for i in (30, 31)]
    alone = [prompt(1, media(9), 40), prompt(2, 3, 41)]
    families = grow([*alone, *long, *text, *apart])
    assert units_of(families) == [
        [{40}, {41}],
        [{0}, {1}, {2}, {20}, {21}],
        [{30}, {31}],
    ]
    assert [family.root for family in families] == [0, LEAST, 2 * LEAST]


def test_families_are_found_within_families():
    head = tuple(range(100, 100 + LEAST))
    shots = [(*head, media(i), *range(500 + 100 * i, 500 + 100 * i + LEAST)) for i in range(2)]
    prompts = [prompt(*shots[i % 2], media(10 + i), i) for i in range(4)]
    prompts += [prompt(*head, media(20 + i), 50 + i) for i in range(2)]
    families = grow(prompts)
    assert units_of(families) == [[{0}, {2}], [{1}, {3}], [{50}, {51}]]
    assert [family.root for family in families] == [2 * LEAST + TOKENS] * 2 + [LEAST]


def test_a_root_leaves_a_unit_its_last_medium_and_a_text_two_tokens():
    head, a = tuple(range(100, 100 + LEAST)), media(1)
    (family,) = grow([prompt(*head, a, 1, 2), prompt(*head, a, media(2), 3)])
    assert family.root == LEAST
    assert grow([prompt(*head), prompt(*head, 5)])[0].root == 0  # 62 tokens are not enough
    assert grow([prompt(*head, 5, 6), prompt(*head, 7, 8, 9)])[0].root == LEAST


def test_any_prompts_keep_the_rules():
    rng = np.random.default_rng(0)
    for _ in range(30):
        heads = [tuple(rng.integers(100, 103, LEAST).tolist()) for _ in range(2)]
        prompts, seen = [], set()
        for _ in range(40):
            parts = []
            for _ in range(rng.integers(1, 4)):
                choice = rng.integers(4)
                parts += (
                    [heads[choice]] if choice < 2 else [(media(rng.integers(2)),)] * (choice - 2)
                )
                parts += [tuple(rng.integers(1, 4, rng.integers(0, 3)).tolist())]
            made = prompt(*(x for part in parts for x in part), *rng.integers(1, 9, 2).tolist())
            if made.encoded.content not in seen:
                seen.add(made.encoded.content)
                prompts.append(made)
        families = grow(prompts)
        found = [p for f in families for unit in f.units for p in unit.prompts]
        assert sorted(map(id, found)) == sorted(map(id, prompts))
        for family in families:
            members = [p for unit in family.units for p in unit.prompts]
            for first, second in combinations(members, 2):
                assert common(first.encoded.content, second.encoded.content) >= family.root
            assert all(len(p.trunk) >= family.root for p in members)
            # No two units share so much more that they should have been a family of their own.
            for first, second in combinations(family.units, 2):
                assert common(first.first.trunk, second.first.trunk) - family.root < LEAST
        again = grow(prompts)
        assert units_of(again) == units_of(families)


def test_units_of_few_prompts_get_rows_of_their_own_where_that_pays():
    def family(large: int, small: int) -> Family:
        units = [Unit(tuple(prompt(media(i), n + 1) for n in range(8))) for i in range(large)]
        return Family(0, (*units, *(Unit((prompt(media(100 + i), 1),)) for i in range(small))))

    few = family(2, PAYS // 7)
    assert [len(units) for units in few.shown] == [2 + PAYS // 7]
    many = family(2, PAYS // 3 + 1)
    assert [len(units) for units in many.shown] == [PAYS // 3 + 1, 2]
    assert family(0, 0).shown == family(0, 0).plain == []


def test_plain_prompts_are_asked_by_kind_and_length():
    choices = Choices(("a", "b"))
    prompts = [
        prompt(1, 2, 3, 4),
        prompt(1, 5, asks=(choices,)),
        prompt(1, 6),
        prompt(1, 2, 7, asks=(choices,)),
        prompt(8, 9, asks=(Text(5),)),
        prompt(1, 7, asks=(Text(4, temperature=1.0),)),
    ]
    lengths = [[p.length for p in kind] for kind in grow(prompts)[0].plain]
    assert lengths == [[2, 4], [2, 3], [2], [2]]
