"""Topics, sub-topics, attributes and their table."""

from pathlib import Path

from mllm.benchmarks.photo.generate import SIZES
from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.plan import offers, plan_split
from mllm.benchmarks.photo.table import attributes_table, operations_table
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS, UNKEYED, attributes_of

# As the figures of the paper list them.
PAPER = """
Color: Balance, Theory, Adjustment, Composition, Contrast, Coordination, Correction, Grading, \
Manipulation, White Balance, Saturation, Tone, Hue
Composition: Frame Division, Balance, Negative Space, Detail, Directional Lines, Focal Point, \
Framing, Leading Lines, Symmetry, Perspective, Background Treatment, Composition and Cropping
Photography Techniques: Depth of Field, Long Exposure, Motion Blur, Shutter Speed, Use of Filter
Technical Aspects: Detail Enhancement/Rendering, Environmental Impact, HDR Impact, \
Technical Knowledge/Quality, Image Perception and Architecture
Lens: Choice, Distortion, Effect, Flaws, Type, Effect on Scale Perception
Camera/Equipment: Camera Settings, Flash Usage, Film Type, Lens Choice/Type, ISO Setting, \
ISO/Noise Management, Sharpness/Blur
Lighting: Direction, Effect, Techniques, Light and Shadow, Shadow Enhancement, Adjustment, \
Lighting and Color, Lighting and Contrast
Exposure: Adjustment, Settings, Long Exposure, Contrast, Recovery Attempts, ISO
Post-Processing: Editing, Effects, Enhancement, Color Manipulation, Retouching, Dehazing, \
Chromatic Aberration, Lens Correction, Dodging and Burning
Aperture and Focus: Aperture Setting, Focus, Depth of Field, Focus and Sharpness, \
Depth of Perception
Storytelling: Narrative, Thematic, Emotion, Expression
"""


def test_topics_are_those_of_the_paper_in_order():
    listed = dict(line.split(": ") for line in PAPER.replace("\\\n", "").strip().splitlines())
    assert {name: tuple(found.split(", ")) for name, found in listed.items()} == TOPICS
    assert list(listed) == list(TOPICS) and sum(map(len, TOPICS.values())) == 80


def test_each_subtopic_has_an_attribute_or_a_reason():
    for topic, subtopics in TOPICS.items():
        for subtopic in subtopics:
            assert bool(attributes_of(topic, subtopic)) != ((topic, subtopic) in UNKEYED)
    assert {topic for topic, _ in UNKEYED} == {"Storytelling"} and len(UNKEYED) == 4
    assert len(ATTRIBUTES) == 76


def test_attributes_are_worded_for_four_options():
    for one in ATTRIBUTES.values():
        assert len(one.values) == len(OPERATIONS[one.operation].settings) >= 4
        assert len(set(one.values)) == len(one.values)
        assert all(len(value.split()) <= 6 for value in one.values)
        assert 2 <= len(one.questions) <= 3
        assert all(len(question.split()) <= 14 for question in one.questions)
        assert one.statement.count("{}") == 1 and one.statement.endswith(".")
        assert set(one.advice) <= set(one.values)
    wordings = [question for one in ATTRIBUTES.values() for question in one.questions]
    assert len(set(wordings)) == len(wordings)  # a question says which attribute it asks
    assert {one.operation for one in ATTRIBUTES.values()} == set(OPERATIONS)


def test_operations_of_a_picture_fit_the_source_and_each_other():
    seen = set()
    for plan in plan_split("train", 600, 96, 3):
        touched = [aspect for name in plan.settings for aspect in OPERATIONS[name].touches]
        assert len(set(touched)) == len(touched)
        assert all(OPERATIONS[name].needs <= offers(plan.source) for name in plan.settings)
        seen |= set(plan.settings)
        asked = [one.attribute for one in plan.asked]
        assert {ATTRIBUTES[name].operation for name in asked} == set(plan.settings)
        assert len(set(asked)) == len(asked) <= 6
    assert seen == set(OPERATIONS)


def test_a_config_deals_all_operations_but_those_left_out():
    tiny = SIZES["tiny"]
    left_out = set(tiny.left_out)
    assert left_out < set(OPERATIONS) and len(left_out) == 25
    plans = plan_split("train", 400, 96, 0, left_out=tiny.left_out)
    assert {name for plan in plans for name in plan.settings} == set(OPERATIONS) - left_out
    kept = [one for one in ATTRIBUTES.values() if one.operation not in left_out]
    assert {one.topic for one in kept} == set(TOPICS) - {"Storytelling"} and len(kept) == 49


def test_the_page_has_the_tables():
    page = (Path(__file__).parents[3] / "docs" / "photo_data.md").read_text()
    assert attributes_table() in page and operations_table() in page
