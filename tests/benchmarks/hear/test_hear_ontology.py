"""Relations of an ontology against what a graph library and plain loops find."""

import json

import pytest

from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.benchmarks.hear.tree import RARE, tree


def ontology(**parents: str) -> Ontology:
    """Concepts by name with their parents, as words."""
    return Ontology(Concept(name, tuple(above.split())) for name, above in parents.items())


# A bat is a mammal and a flier; a plane is a flier and a machine.
GRAPH = ontology(
    animal="", machine="", flier="", mammal="animal", bat="mammal flier", dog="mammal",
    plane="machine flier", car="machine", gull="flier animal",
)  # fmt: skip


def reached(graph: Ontology, name: str) -> set[str]:
    """All that a concept is a kind of, by following every path."""
    found = set()
    for parent in graph[name].parents:
        found |= {parent} | reached(graph, parent)
    return found


@pytest.mark.parametrize("graph", [GRAPH, tree()], ids=["graph", "tree"])
def test_relations_agree_with_following_every_path(graph):
    names = list(graph)
    leaves = [one for one in names if not any(one in graph[other].parents for other in names)]
    assert list(graph.leaves) == leaves
    above = {name: reached(graph, name) for name in names}
    for name in names:
        assert set(graph.ancestors(name)) == above[name]
        assert len(graph.ancestors(name)) == len(above[name])
        assert graph.children(name) == tuple(n for n in names if name in graph[n].parents)
        parents = set(graph[name].parents)
        second = {two for one in parents for two in graph[one].parents}
        assert set(graph.grandparents(name)) == second - parents
        assert set(graph.siblings(name)) == {
            leaf for leaf in leaves if leaf != name and parents & set(graph[leaf].parents)
        }
        assert set(graph.unrelated(name)) == {
            leaf for leaf in leaves if not ({leaf} | above[leaf]) & ({name} | above[name])
        }
        for other in names:
            assert graph.kind_of(name, other) == (other in {name} | above[name])


def test_nearer_ancestors_come_first():
    assert GRAPH.ancestors("bat") == ("mammal", "flier", "animal")
    assert tree().ancestors("owl") == ("bird", "animal")
    deep = ontology(a="", b="a", c="b a")
    assert deep.ancestors("c") == ("b", "a") and deep.grandparents("c") == ()


def test_a_root_of_everything_relates_nothing():
    rooted = ontology(sound="", animal="sound", dog="animal", cat="animal", rain="sound")
    assert rooted.unrelated("dog") == ("rain",) and rooted.unrelated("animal") == ("rain",)
    assert rooted.siblings("dog") == ("cat",) and rooted.roots == ("sound",)
    assert ontology(dog="").unrelated("dog") == ()


@pytest.mark.parametrize(
    "parents, message",
    [
        ({"a": "b", "b": "a"}, r"kinds of themselves: (a → b → a|b → a → b)"),
        ({"a": "a"}, "kinds of themselves: a → a"),
        ({"bird": "", "owl": "brid"}, "parent of concept 'owl' 'brid'; did you mean 'bird'"),
        ({" ": ""}, "name is empty"),
    ],
)
def test_graphs_that_are_none_are_named(parents, message):
    with pytest.raises(ValueError, match=message):
        ontology(**parents)


def test_a_word_stands_for_one_concept():
    with pytest.raises(ValueError, match="'dog' is there twice"):
        Ontology([Concept("dog"), Concept("dog")])
    with pytest.raises(ValueError, match="synonym 'Dog' is empty or also means 'dog'"):
        Ontology([Concept("dog"), Concept("wolf", synonyms=("Dog",))])
    with pytest.raises(ValueError, match="synonym 'hound' is empty or also means 'dog'"):
        Ontology([Concept("dog", synonyms=("hound",)), Concept("wolf", synonyms=("hound",))])
    with pytest.raises(ValueError, match="synonym 'wolf'"):
        Ontology([Concept("dog", synonyms=("wolf",)), Concept("wolf")])


def test_every_method_names_the_nearest_concept():
    for ask in (GRAPH.parents, GRAPH.children, GRAPH.ancestors, GRAPH.siblings, GRAPH.synonyms):
        with pytest.raises(ValueError, match="did you mean 'plane'"):
            ask("plain")
    with pytest.raises(ValueError, match="did you mean 'plane'"):
        GRAPH.kind_of("bat", "plain")


def test_json_round_trip(tmp_path):
    tree().write(tmp_path / "tree.json")
    assert Ontology.read(tmp_path / "tree.json") == tree() != GRAPH
    assert Ontology.from_json(json.loads(json.dumps(GRAPH.to_json()))) == GRAPH


@pytest.mark.parametrize(
    "text, message",
    [
        ("{}", "found dict, expected a list"),
        ("[", "not JSON"),
        ('[{"parents": []}]', "entry 1: found .* expected an object with a name"),
        ('[{"name": "a", "parent": []}]', "key of concept 'a' 'parent'; did you mean 'parents'"),
        ('[{"name": "a", "parents": "b"}]', "'parents': found 'b', expected a list of texts"),
        ('[{"name": "a", "code": 7}]', "'code': found 7, expected a text"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, text, message):
    (tmp_path / "tree.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        Ontology.read(tmp_path / "tree.json")
    assert str(tmp_path / "tree.json") in str(caught.value)


def test_the_tree_is_complete():
    graph = tree()
    assert len(graph.leaves) >= 24 and set(graph.leaves) == set(VOICES)
    assert set(RARE) < set(graph.leaves)
    for name in graph:
        assert graph.synonyms(name) and name == name.lower()
    for leaf in graph.leaves:
        assert len(graph.parents(leaf)) == len(graph.grandparents(leaf)) == 1  # three levels
        assert len(graph.siblings(leaf)) >= 2
        assert graph[leaf].sounds_like.endswith(".") and graph[leaf].habitat.endswith(".")
        assert graph[leaf].code.startswith(graph[graph.parents(leaf)[0]].code + ".")


def test_no_word_of_the_tree_gives_another_away():
    graph = tree()
    words = {
        name: {part for text in (name, *graph.synonyms(name)) for part in text.split()}
        for name in graph
    }
    for leaf in graph.leaves:
        for above in graph.ancestors(leaf):
            assert not words[leaf] & words[above], (leaf, above)
        for other in graph.leaves:
            assert other == leaf or leaf not in words[other], (leaf, other)
        said = (graph[leaf].sounds_like + graph[leaf].habitat).lower()
        assert leaf not in said
