"""Which measures the generated and the published rows allow."""

from dataclasses import replace

from mllm.benchmarks.mllmu.allowed import allowed


def test_generated_rows_allow_every_measure(full_splits):
    people = full_splits["full"][:6]
    compared, membership = allowed(people, full_splits)
    assert compared == (
        "questions with wrong answers, for truth ratios: classification 60 of 60, generation 24 of "
        "24, cloze 24 of 24; with a paraphrase: generation 24 of 24"
    )
    assert membership == "membership: measured"


def test_rows_that_name_no_attribute_allow_multiple_choice_alone(full_splits):
    """As published rows are; a question without a truth is not asked and does not count."""
    people = []
    for person in full_splits["full"][:6]:
        questions = tuple(replace(q, attribute="") for q in person.questions)
        pairs = tuple(replace(pair, attribute="") for pair in person.training)
        people.append(replace(person, questions=questions, training=pairs))
    first = people[0]
    cloze = next(n for n, q in enumerate(first.questions) if q.task == "cloze")
    faulty = replace(first.questions[cloze], answer=" ")
    questions = (*first.questions[:cloze], faulty, *first.questions[cloze + 1 :])
    people[0] = replace(first, questions=questions)
    compared, membership = allowed(people, ("full", "test"))
    assert "classification 60 of 60, generation 0 of 24, cloze 0 of 23" in compared
    assert compared.endswith("generation 0 of 24")
    assert membership == "membership: not measured: there are no strangers"
