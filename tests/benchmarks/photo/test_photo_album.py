"""The wrong photograph of each photograph, and what covers a record."""

import random

import pytest
from toy_photos import toy_photo

from mllm.benchmarks.photo.album import Album, deranged
from mllm.benchmarks.photo.brackets import grey
from mllm.benchmarks.photo.coverage import content_words, coverage, covered, says


@pytest.mark.parametrize("seed", range(20))
def test_every_photograph_gets_one_of_another_source_and_each_is_given_once(seed):
    rng = random.Random(seed)
    sources = [str(rng.randrange(6)) for _ in range(rng.randrange(2, 40))]
    most = max(sources.count(source) for source in sources)
    if 2 * most > len(sources):
        with pytest.raises(ValueError, match=f"{most} of {len(sources)} photographs"):
            deranged(sources, seed)
        return
    found = deranged(sources, seed)
    assert sorted(found) == list(range(len(sources)))
    assert all(sources[place] != sources[other] for place, other in enumerate(found))
    assert found == deranged(sources, seed)


def test_other_photographs_depend_on_the_seed_alone():
    photos = [toy_photo(number) for number in range(12)]
    albums = [Album(photos, seed) for seed in (0, 0, 1)]
    first, again, other = ([album.other(p.id).id for p in photos] for album in albums)
    assert first == again != other
    right, wrong = albums[0].critiques("test/3")
    assert right == photos[3].critique and wrong == albums[0].other("test/3").critique
    with pytest.raises(ValueError, match="photograph"):
        albums[0].photo("test/99")


def test_a_blank_has_the_size_of_its_picture():
    import io

    from PIL import Image

    blank = Image.open(io.BytesIO(grey(toy_photo(0).picture)))
    assert blank.size == (24, 16)
    assert blank.getextrema() == ((128, 128),) * 3


def test_a_statement_is_found_in_any_order_of_its_words_within_one_sentence():
    assert content_words("The exposure of this photo is +1 EV.") == {"exposure", "+1", "ev"}
    statement = "The horizon is tilted to the left."
    assert says("Tilted left: the whole horizon! Otherwise fine.", statement)
    assert not says("The horizon is level. The tree is tilted to the left.", statement)
    assert not says("The horizon is tilted to the right.", statement)
    assert not says("", statement)
    with pytest.raises(ValueError, match="no content words"):
        says("anything", "It is the.")


def test_coverage_is_the_share_of_topics_of_which_any_statement_is_made():
    statements = {"Color": ("It is red.", "It is warm."), "Exposure": ("It is dark.",), "Lens": ()}
    assert covered("Warm, I would say: it is a warm one.", statements) == {
        "Color": True, "Exposure": False,
    }  # fmt: skip
    assert coverage({"Color": True, "Exposure": False}) == 0.5
    with pytest.raises(ValueError, match="nothing of any topic"):
        coverage({})


def test_the_text_of_a_critique_covers_its_record():
    photo = toy_photo(3)
    assert all(covered(photo.critique.description, photo.critique.statements).values())
