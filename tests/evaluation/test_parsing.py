"""Tables of replies: what must be read from them, and the traps that must not be."""

import pytest

from mllm.evaluation.parsing import answer_state, first_char, normalise, parse_choice

OPTIONS = {"A": "Paris", "B": "London", "C": "New York", "D": "a dog"}


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("A", "A"),
        ("b", "B"),
        (" C. ", "C"),
        ("(D)", "D"),
        ("(b)", "B"),
        ("[C]", "C"),
        ("**B**", "B"),
        ("**B.**", "B"),
        ("'A'", "A"),
        ("\N{LEFT DOUBLE QUOTATION MARK}B\N{RIGHT DOUBLE QUOTATION MARK}", "B"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}", "A"),
        ("A:", "A"),
        ("B)", "B"),
        ("Answer: A", "A"),
        ("answer: (C)", "C"),
        ("The correct answer is (B).", "B"),
        ("The answer is D", "D"),
        ("Option C", "C"),
        ("**Answer:** B", "B"),
        ("B. London", "B"),
        ("C: new york.", "C"),
        ("(A) Paris", "A"),
        ("Answer: B) London", "B"),
        ("paris", "A"),
        ("New  York!", "C"),
        ("A dog.", "D"),
        ("\n\nB\nLondon is where she was born.", "B"),
        ("B</s>", "B"),
    ],
)
def test_reads_a_stated_choice(reply, choice):
    assert parse_choice(reply, OPTIONS) == choice


@pytest.mark.parametrize(
    "reply",
    [
        "According to the profile, she lives in London.",
        "Based on the image, I cannot say.",
        "Certainly! The answer follows.",
        "Considering the picture",
        "Details are not given",
        "Don't know",
        "A person in a red coat",
        "a person",
        "A cat",
        "The answer is definitely unclear.",
        "The answer is a cat",
        "the answer is a",
        "An answer: maybe",
        "I think it is B",
        "Not A",
        "B is wrong",
        "(B) is wrong",
        "A or B",
        "A, B",
        "A, B, C, D",
        "A/B",
        "AB",
        "BBBB",
        "A. B. Yehoshua",
        "B. Paris",
        "E",
        "(E)",
        "A. Smith",
        "A: Paris\nB: London\nC: New York\nD: a dog",
        "A\nB\nC\nD",
        "Answer: A\nAnswer: B",
        "Paris or London",
        "Paris London",
        "not Paris",
        "US US US US",
        "",
        "  \n ",
        "...",
        "<unk>",
    ],
)
def test_guesses_nothing(reply):
    assert parse_choice(reply, OPTIONS) is None


def test_a_dog_is_not_a_letter_if_no_option_is_a_dog():
    options = {"A": "cat", "B": "dog", "C": "bird", "D": "fish"}
    for reply in ("a dog", "A dog", "the answer is a dog", "A: dog"):
        assert parse_choice(reply, options) is None
    assert parse_choice("dog", options) == "B"


def test_two_readings_of_one_reply_are_none():
    assert parse_choice("paris", {"A": "Paris", "B": "paris!", "C": "x", "D": "y"}) is None
    assert parse_choice("B", {"A": "B", "B": "C", "C": "x", "D": "y"}) is None


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        (" a person", "A"),
        ("Based on", "B"),
        ("Certainly", "C"),
        ("Don't know", "D"),
        ("(A)", None),
        ("The answer is A", None),
        ("", None),
    ],
)
def test_the_published_rule_reads_the_first_character(reply, choice):
    assert first_char(reply, OPTIONS) == choice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$85,000", "85000"),
        ("$1,234,567.50", "1234567.50"),
        ("O\N{RIGHT SINGLE QUOTATION MARK}Brien", "o'brien"),
        ("well-known", "Well known"),
        ("STRASSE", "stra\N{LATIN SMALL LETTER SHARP S}e"),
        ("\N{FULLWIDTH DIGIT FIVE}", "5"),
        ("a\N{ZERO WIDTH SPACE}b", "ab"),
        ("A  B\tC\n", "a b c"),
        ("caf\u00e9", "cafe\u0301"),
        ("\N{MINUS SIGN}5", "-5"),
        ("1990-05-03", "1990 05 03"),
        ("Paris.", "paris"),
    ],
)
def test_spellings_of_one_answer_are_equal(one, other):
    assert normalise(one) == normalise(other)
    assert normalise(normalise(one)) == normalise(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3.5", "35"), ("-5", "5"), ("C++", "C"), ("a dog", "dog"), ("1,23", "123"), ("né", "ne")],
)
def test_different_answers_stay_different(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    "reply",
    [
        "I don't know.",
        "I do not know who this person is.",
        "I'm sorry, but I can't help with that.",
        "Sorry, I cannot provide personal information.",
        "I\N{RIGHT SINGLE QUOTATION MARK}m unable to identify people in images.",
        "As an AI language model, I do not have access to personal data.",
        "As an AI, I cannot answer this.",
        "Unfortunately, I am not able to share that.",
        "I apologize for the confusion, but I cannot answer that question.",
        "I would prefer not to say.",
        "I must decline to answer.",
        "I have no idea",
        "I don't have any information about this person.",
        "There is no information available.",
        "The information is not provided.",
        "Personal information cannot be shared.",
        "It is not possible to determine this.",
        "Unknown.",
        "The answer is unknown",
        "I'm sorry.",
        "Not sure",
        "N/A",
    ],
)
def test_recognises_a_refusal(reply):
    assert answer_state(reply, ended=True) == "refusal"


@pytest.mark.parametrize(
    "reply",
    [
        "Paris",
        "5",
        "A",
        "No",
        "She was born in Paris. I cannot say more.",
        "She sang I Don't Know How to Love Him.",
        "I can't help falling in love with you",  # a song, not a refusal
        "Sorry, it's Paris.",
        "I don't know, but perhaps Paris",
        "I'm not sure, but I think it is Paris",
        "I don't have any medical conditions",
        "Unknown Pleasures",
        "He works as an information officer",
        "No information desk has hired her",
        "The answer is definitely unclear to me, perhaps a dog",
        "ha ha ha said the clown to the audience",
        "no, no, no, it was Paris that she had moved to",
        "100000000",
        "New York, New York",
        "\u5317\u4eac",
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_an_answer_is_valid_right_or_wrong(reply, ended):
    assert answer_state(reply, ended=ended) == "valid"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n\t",
        "...",
        "?!",
        "<unk>",
        "</s></s>",
        "<|endoftext|>",
        "[PAD] [PAD]",
        "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
        "US US US US US US",
        "He lives in Paris Paris Paris Paris Paris",
        "I cannot answer. I cannot answer. I cannot answer. I cannot answer.",
        "aaaaaaaaaaaaaaaa",
        "hahahahahahahahahaha",
        "the of the the of of the to of the of of to the the of of the to the of the",
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_loops_and_noise_are_invalid(reply, ended):
    assert answer_state(reply, ended=ended) == "invalid"


@pytest.mark.parametrize(
    "reply",
    [
        "She was born in a small town and she is a nurse and a nurse and a nurse and a nu",
        "He has three children who live in Rome, Rome, Rome",
    ],
)
def test_a_loop_that_the_limit_cut_off_is_invalid_and_a_finished_one_is_not(reply):
    assert answer_state(reply, ended=False) == "invalid"
    assert answer_state(reply, ended=True) == "valid"
