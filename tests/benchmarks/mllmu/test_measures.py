"""Measures of answers: wrong answers, rows of a question, models beside each other, the report."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import gmean, ks_2samp
from sklearn.metrics import roc_auc_score
from toy import make_model

from mllm.benchmarks.mllmu import likelihood, measured
from mllm.benchmarks.mllmu.measures import (
    MEMBERSHIP,
    NAME,
    answers_request,
    measure,
    measured_row,
    measures,
)
from mllm.benchmarks.mllmu.paraphrases import paraphrased
from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.measures import TABLES, measure_blocks, measures_by_run
from mllm.benchmarks.mllmu.report.sections import sections
from mllm.benchmarks.mllmu.resampled import DRAWS, People
from mllm.benchmarks.mllmu.schema import Profile, Question, TrainingPair
from mllm.benchmarks.mllmu.strict import Item
from mllm.benchmarks.mllmu.wrong_answers import known_values, wrong_answers
from mllm.evaluation.inspection import write_inspection
from mllm.evaluation.request import Choices, Reply, Request
from mllm.evaluation.runner import LocalModel
from mllm.reporting import collect

OPTIONS = {"A": "Rome", "B": "Paris", "C": "Oslo", "D": "Bonn"}
CHOICE = Question("p1", "classification", "text", 0, "Where?", OPTIONS, "B", "city")
CLOZE = Question("p1", "cloze", "text", 0, "In __.", None, "Lima", "city")
SENTENCE = Question(
    "p1", "generation", "text", 0, "Say.", None, "Paris Ray lives in Paris.", "city"
)


CITIES = ("Bonn", "Lima", "Oslo", "Paris", "Rome")


def make_profile(attribute: str = "city") -> Profile:
    """A person whose pairs name five cities, and a street in a sentence."""
    taught = [TrainingPair("Where?", city, "text", attribute, "plain") for city in CITIES]
    taught.append(TrainingPair("Say.", "In Main Street.", "text", attribute, "sentence"))
    asked = (CHOICE, CLOZE, SENTENCE)
    return Profile("p1", "Ray", "fictitious", (b"",), {}, {}, asked, tuple(taught))


def test_wrong_answers_have_the_form_of_the_right_one():
    values = known_values([make_profile()])
    assert values == {"city": CITIES}
    assert wrong_answers(CHOICE, values) == ("Rome", "Oslo", "Bonn")
    blank, sentence = wrong_answers(CLOZE, values), wrong_answers(SENTENCE, values)
    assert len(set(blank)) == 3 and set(blank) < {"Bonn", "Oslo", "Paris", "Rome"}
    # The value is replaced, not the name that holds the same word.
    assert len(set(sentence)) == 3
    places = {"Bonn", "Lima", "Oslo", "Rome"}
    assert set(sentence) < {f"Paris Ray lives in {city}." for city in places}
    assert wrong_answers(SENTENCE, values) == sentence


def test_published_open_questions_have_no_wrong_answers():
    """They do not say what they ask about; multiple choice still has its options."""
    unnamed = [Question(**{**vars(one), "attribute": ""}) for one in (CHOICE, CLOZE, SENTENCE)]
    values = known_values([make_profile("")])
    assert values == {}
    assert [len(wrong_answers(one, values)) for one in unnamed] == [3, 0, 0]


def test_every_generated_question_has_three_wrong_answers(full_splits):
    names = ("full", "test", "celebrity")
    profiles = [profile for name in names for profile in full_splits[name][:60]]
    asked = [question for profile in profiles for question in profile.questions]
    values = known_values(profiles)
    for question in asked:
        wrong = wrong_answers(question, values)
        assert len({*wrong, question.answer_text}) == 4, question


def test_a_row_holds_the_measures_of_its_tokens():
    tokens = np.array([[-0.1, 1, -0.5, 0.2], [-2.0, 0, -1.0, 0.4], [-0.3, 1, -0.4, 0.1]])
    tags = {"set": "forget", "wrong": 2}
    request = Request("k", "p1", tags, (), Choices(("Paris", "Rome", "Oslo"), by_token=True))
    extra = {"by_token": [tokens.tolist(), [[-3.0, 0, 0, 1]] * 3, [[-5.0, 0, 0, 1]] * 2]}
    reply = Reply("k", logprobs=(-2.4, -9.0, -10.0), tokens=(3, 3, 2), extra=extra)
    row = measured_row(Item("forget", CHOICE, None), request, reply)
    right, wrong = np.exp(-0.8), np.exp([-3.0, -5.0])
    assert row["probability"] == pytest.approx(right)
    assert row["among"] == pytest.approx(right / (right + wrong.sum()))
    assert row["truth_ratio"] == pytest.approx(gmean(wrong) / right)
    assert (row["exact_memorisation"], row["extraction_strength"]) == (0.5, 0)  # without the end
    assert (row["loss"], row["min_k"]) == (pytest.approx(0.8), pytest.approx(2.0))
    assert row["min_k_plus_plus"] == pytest.approx(1 / np.sqrt(0.4))
    assert (row["profile"], row["set"], row["task"]) == ("p1", "forget", "classification")


def test_a_row_compares_paraphrases_with_each_other():
    texts = ("Ann lives in Rome.", "Ann lives in Oslo.", "Ann resides in Rome.", "… Oslo.")
    request = Request("k", "p1", {"wrong": 1}, (), Choices(texts, by_token=True))
    reply = Reply(
        "k",
        logprobs=(-2.0, -6.0, -4.0, -9.0),
        tokens=(2, 2, 4, 3),
        extra={"by_token": [[[-1.0, 1, -1, 1]] * 2]},
    )
    row = measured_row(Item("forget", SENTENCE, None), request, reply)
    assert row["truth_ratio"] == pytest.approx(np.exp(-3 + 1))
    assert row["truth_ratio_paraphrase"] == pytest.approx(np.exp(-3 + 1))
    assert row["among"] == pytest.approx(np.exp(-1) / (np.exp(-1) + np.exp(-3)))
    assert row["gradient"] is None


@pytest.mark.parametrize(
    ("attribute", "answer", "other"),
    [
        ("residence", "Ann Lee lives in Rome.", "Ann Lee resides in Rome."),
        ("residence", "This person lives in New Rome.", "This person resides in New Rome."),
        ("employment", "The profession of this person is cook.", "The job of this person is cook."),
        ("nationality", "Bach was German by nationality.", "By nationality, Bach was German."),
        ("residence", "Ann Lee dwells in Rome.", None),
        ("", "Ann Lee lives in Rome.", None),
    ],
)
def test_paraphrases_say_the_same_of_the_same_person(attribute, answer, other):
    question = Question("p1", "generation", "text", 0, "Say.", None, answer, attribute)
    assert paraphrased(question) == other
    blank = Question("p1", "cloze", "text", 0, "__", None, answer, attribute)
    assert paraphrased(blank) is None


@pytest.mark.thorough
def test_every_generated_sentence_has_a_paraphrase_that_teaches_nothing(full_splits):
    people = [one for name in ("full", "test", "celebrity") for one in full_splits[name][:40]]
    taught = {pair.answer for one in people for pair in one.training}
    values = known_values(people)
    for question in (q for one in people for q in one.questions if q.task == "generation"):
        other = paraphrased(question)
        assert other and other not in taught and other != question.answer
        request = answers_request(Item("forget", question, None), values)
        count = request.tags["wrong"]
        assert count == 3 and len(request.ask.texts) == 8 and request.ask.texts[4] == other


def make_rows(seed: int, shift: float = 0.0, questions: int = 40) -> list[dict]:
    """Rows of invented measures; a higher shift knows the forget set less."""
    generator = np.random.default_rng(seed)
    rows = []
    for name in ("forget", "retain", "celebrity", "unseen"):
        for index in range(questions):
            loss = generator.gamma(2.0) + shift * (name == "forget")
            row = {
                "set": name,
                "profile": f"{name}{index // 4}",
                "task": "cloze",
                "modality": "text",
                "index": index % 4,
                "question": "Where?",
                "probability": float(np.exp(-loss)),
                "among": float(generator.uniform()),
                "truth_ratio": float(generator.gamma(1.0)) if index % 5 else None,
                "truth_ratio_paraphrase": float(generator.gamma(1.0)) if index % 2 else None,
                "exact_memorisation": float(generator.uniform()),
                "extraction_strength": float(generator.uniform()),
            }
            rows.append(row | {score: loss + generator.normal() for score in MEMBERSHIP})
    return rows


def of(rows, name, key):
    return np.array([row[key] for row in rows if row["set"] == name and row[key] is not None])


def firsts(found: dict) -> dict:
    """Measures of the rows as they are."""
    return {name: None if draws is None else draws[0] for name, draws in found.items()}


def test_measures_of_a_model_beside_another():
    rows, reference = make_rows(0, 0.3), make_rows(1)
    ratios, theirs = (of(some, "forget", "truth_ratio") for some in (rows, reference))
    known = firsts(measured.known(rows))
    assert known["truth_ratio"] == pytest.approx(np.minimum(ratios, 1 / ratios).mean())
    strength = of(rows, "forget", "extraction_strength").mean()
    assert known["extraction_strength"] == pytest.approx(strength)
    beside = firsts(measured.beside(rows, reference))
    apart = of(rows, "forget", "probability") - of(reference, "forget", "probability")
    assert beside["distance"] == pytest.approx(np.abs(apart).mean())
    test = ks_2samp(ratios, theirs)
    assert beside["statistic"] == pytest.approx(test.statistic)
    assert beside["log10_p"] == pytest.approx(np.log10(test.pvalue))
    counts = [np.histogram(1 / (1 + some), 50, (0, 1))[0] for some in (ratios, theirs)]
    assert beside["divergence"] == pytest.approx(jensenshannon(*counts, base=2) ** 2)
    same = firsts(measured.beside(reference, reference))
    assert (same["distance"], same["statistic"], same["log10_p"]) == (0, 0, 0)
    assert set(measured.beside(rows, ()).values()) == {None}


def auc(rows, score) -> float:
    sides = [of(rows, name, score) for name in ("forget", "unseen")]
    labels = np.repeat([0, 1], [len(side) for side in sides])
    return roc_auc_score(labels, np.concatenate(sides))


def test_membership_of_people_to_forget_against_strangers():
    rows, reference = make_rows(2, 1.0), make_rows(3)
    found = firsts(measured.learned(rows, reference))
    for score in MEMBERSHIP:
        assert found[score] == pytest.approx(auc(rows, score))
    pairs = zip(rows, reference, strict=True)
    relative = [one | {"loss": one["loss"] - other["loss"]} for one, other in pairs]
    assert found["reference"] == pytest.approx(auc(relative, "loss"))
    ours, base = auc(rows, "min_k"), auc(reference, "min_k")
    assert found["privacy_leak"] == pytest.approx(100 * (base - ours) / (1 - base))
    less = firsts(measured.learned(make_rows(2, -2.0), reference))
    assert found["privacy_leak"] > 0 > less["privacy_leak"]
    without = [row for row in rows if row["set"] != "unseen"]
    assert set(measured.learned(without, reference).values()) == {None}
    assert measured.learned(rows, ())["privacy_leak"] is None


def sentences(**values: tuple[float, ...]) -> list[dict]:
    """ROUGE-L of replies about the first person of each set, in two modalities."""
    return [
        {"set": name, "profile": f"{name}0", "modality": ("text", "image_text")[n % 2], "value": v}
        for name, found in values.items()
        for n, v in enumerate(found)
    ]


def test_utility_is_a_harmonic_mean_that_one_zero_makes_zero():
    rows = make_rows(4)
    parts = [
        of(rows, "retain", "probability").mean(),
        0.7,  # of 0.9 and 0.5, whose modalities count equally
        of(rows, "celebrity", "among").mean(),
        0.4,
    ]
    for name in ("retain", "celebrity"):
        parts.append(np.maximum(0, 1 - of(rows, name, "truth_ratio")).mean())
    found = measured.utility(rows, sentences(retain=(1.0, 0.5, 0.8), celebrity=(0.4, 0.4)))
    assert found[0] == pytest.approx(6 / sum(1 / part for part in parts))
    zero = measured.utility(rows, sentences(retain=(0.0, 0.0), celebrity=(0.4, 0.4)))
    assert zero[0] == 0
    assert measured.utility(rows, sentences(retain=(0.7,))) is None


def test_intervals_are_those_of_people_drawn_again():
    """Each draw is made for real, by as many copies of a person's rows as it counts."""
    rows, reference = make_rows(5, 0.5), make_rows(6)
    people = People(rows)
    found = {
        **measured.known(rows), **measured.beside(rows, reference), **measured.learned(rows, ())
    }  # fmt: skip
    assert len(found["distance"]) == len(found["loss"]) == 1 + DRAWS
    counts = people.weights(rows)
    for draw in (1, 2, DRAWS):
        copies = np.repeat(np.arange(len(rows)), counts[draw].astype(int))
        ours, theirs = ([some[place] for place in copies] for some in (rows, reference))
        assert len(ours) == len(rows)
        ratios = [of(some, "forget", "truth_ratio") for some in (ours, theirs)]
        probability = of(ours, "forget", "probability")
        assert found["probability"][draw] == pytest.approx(probability.mean())
        statistic = ks_2samp(*ratios).statistic
        assert found["statistic"][draw] == pytest.approx(statistic)
        histograms = [np.histogram(1 / (1 + some), 50, (0, 1))[0] for some in ratios]
        divergence = jensenshannon(*histograms, base=2) ** 2
        assert found["divergence"][draw] == pytest.approx(divergence)
        assert found["loss"][draw] == pytest.approx(auc(ours, "loss"))


def test_one_person_has_no_interval():
    rows = [row for row in make_rows(7) if row["profile"] == "forget0"]
    draws = measured.known(rows)["probability"]
    assert draws[0] == pytest.approx(of(rows, "forget", "probability").mean())
    assert np.isnan(draws[1:]).all()


@pytest.mark.thorough
def test_a_model_is_measured_on_every_question():
    profile = make_profile()
    model = LocalModel(make_model(4))
    found = measure({"forget": [profile]}, model)
    assert found["errors"] == 0 and len(found["questions"]) == 3
    values = known_values([profile])
    for row, question in zip(found["questions"], profile.questions, strict=True):
        request = answers_request(Item("forget", question, None), values)
        plain = Request("plain", "p1", {}, request.turns, Choices(request.ask.texts))
        (reply,) = next(iter(model.answer([plain], set())))
        right, *wrong = np.array(reply.logprobs) / reply.tokens
        assert row["probability"] == pytest.approx(np.exp(right), rel=1e-4)
        assert row["truth_ratio"] == pytest.approx(np.exp(np.mean(wrong) - right), rel=1e-4)


@pytest.mark.thorough
def test_gradients_are_measured_of_people_to_forget_and_strangers():
    sets = {name: [make_profile()] for name in ("forget", "retain", "unseen")}
    found = measure(sets, LocalModel(make_model(4)), gradients=True)["questions"]
    assert len(found) == 9
    for row in found:
        assert (row["gradient"] is None) == (row["set"] == "retain")
    assert all(row["gradient"] > 0 for row in found if row["gradient"] is not None)


def test_older_rows_have_no_gradient_and_no_paraphrases():
    old = ("gradient", "truth_ratio_paraphrase")
    rows = [{name: row[name] for name in row if name not in old} for row in make_rows(8)]
    assert measured.learned(rows, rows)["gradient"] is None
    assert measured.known(rows)["truth_ratio_paraphrase"] is None


class Likes:
    """A base that finds every word likely, but for "zap"; nothing at all of "nan"."""

    def answer(self, requests, done):
        for request in requests:
            (text,) = request.ask.texts
            words = text.split()
            total = sum(-5.0 if word == "zap" else -1.0 for word in words)
            state = {"state": "error"} if "nan" in words else {"logprobs": (total,)}
            yield [Reply(request.key, tokens=(len(words),), **state)]


def test_sentences_are_read_by_base_once_each():
    asked = {"set": "forget", "task": "generation", "modality": "text", "profile": "p1"}
    texts = ("a b c", "zap zap", " ", "nan", "a b c")
    records = [
        {**asked, "key": str(number), "question": "Say.", "reply": text}
        for number, text in enumerate(texts)
    ]
    records.append({**records[0], "key": "blank", "task": "cloze"})
    found = likelihood.review(records, None, {"base": Likes()})
    assert [(row["key"], row["value"]) for row in found["replies"]] == [
        ("0", -1.0), ("1", -5.0), ("4", -1.0)
    ]  # fmt: skip
    assert found["errors"] == 1
    shown = firsts(measured.fluency(records, found["replies"], "forget"))
    assert shown["base_loss"] == pytest.approx(7 / 3)
    assert measured.fluency(records, [], "forget")["base_loss"] is None
    review = likelihood.base_likelihood()
    assert review.asks == ("base",)


METHODS = ("vanilla", "retain_only", "npo")


def test_the_report_shows_measures_where_they_are(tmp_path, sweep, small_profiles):
    sweep(tmp_path, methods=METHODS, seeds=(0, 1), profiles=small_profiles)
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    assert measure_blocks(comparison) == ()
    kept = {}
    for number, run in enumerate(run for runs in comparison.runs.values() for run in runs):
        if run.method != "vanilla":
            kept[run.method, run.seed] = rows = make_rows(number, run.method == "npo")
            found = {"questions": rows, "errors": 0}
            write_inspection(run.records_path.parent, measures({}), found, run.manifest)
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    grids = {block.title: block for block in measure_blocks(comparison) if block.kind == "grid"}
    assert list(grids) == list(TABLES)
    first = grids["Distance to retain-only"]
    assert [row[0] for row in first.rows] == ["Retain-only", "NPO"]
    assert first.rows[0][1:] == ("0.0", "0.0", "0.0", "0.0")
    apart = [
        of(kept["npo", s], "forget", "probability")
        - of(kept["retain_only", s], "forget", "probability")
        for s in (0, 1)
    ]
    value, _, interval = first.rows[1][1].partition(" (")
    assert value == f"{100 * np.abs(apart).mean():.1f}"
    low, high = (float(end) for end in interval.strip(")").split(" to "))
    assert low < float(value) < high
    plain = measures_by_run(comparison)
    assert [run.seed for run, _ in plain["npo", ""]] == [0, 1]
    each = [found["distance"] for _, found in plain["npo", ""]]
    np.testing.assert_allclose(each, [np.abs(one).mean() for one in apart])
    (shown,) = (one for one in sections(collect(tmp_path, REPORT.layout), None) if NAME in one.id)
    assert "were not measured for Vanilla" in shown.blocks[-1].text
