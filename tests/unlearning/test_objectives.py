"""Every objective against float64 sums over a list of answers, however they are packed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from packed_rows import draw_answers, pack, token_mean

from mllm.ops.segments import segment_sums
from mllm.unlearning import OBJECTIVES, get_objective

ROWS = [[0, 1], [2, 3], [4, 5, 6]]


def npo_terms(forget, beta):
    margins = np.array([answer.logprobs.sum() - answer.reference for answer in forget])
    return 2 / beta * np.log1p(np.exp(beta * margins))


def npo_batch_mean(forget, beta):
    tokens = sum(len(answer.logprobs) for answer in forget)
    ce = -sum(answer.logprobs.sum() for answer in forget) / tokens
    ce_reference = -sum(answer.reference for answer in forget) / tokens
    return -2 / beta * np.log(1 / (1 + np.exp(-beta * (ce - ce_reference))))


def ce(answers):
    return -token_mean(answers, "logprobs")


def per_answer_kl(retain):
    return sum(answer.divergence.sum() for answer in retain) / max(len(retain), 1)


def simnpo_terms(forget, beta, offset):
    means = np.array([-answer.logprobs.mean() for answer in forget])
    return -2 / beta * scipy.special.log_expit(beta * means - offset)


def weighed(forget, weigh):
    """Weighed log-probabilities of each answer's tokens; the weights are numbers, not functions."""
    return [weigh(np.exp(answer.frozen)) * answer.logprobs for answer in forget]


def per_answer(several, reduce=np.sum):
    return np.mean([reduce(values) for values in several]) if len(several) else 0.0


def per_token(several):
    return np.concatenate(several).mean() if len(several) else 0.0


def satimp(p):
    return p**5 * (1 - p)


def values_of(answers):
    return [answer.divergence for answer in answers]


# name, options, closed form of (forget answers, retain answers)
CASES = [
    ("nll", {}, lambda f, r: ce(f + r)),
    ("ga", {}, lambda f, r: -ce(f)),
    ("grad_diff", {}, lambda f, r: -ce(f) + ce(r)),
    ("grad_diff", {"retain_weight": 2.5, "order": "sequential"}, lambda f, r: -ce(f) + 2.5 * ce(r)),
    ("kl_min", {}, lambda f, r: -ce(f) + ce(r) + token_mean(r, "divergence")),
    (
        "kl_min",
        {
            "retain_weight": 0.5,
            "kl_weight": 3.0,
            "kl_reduction": "per_answer",
            "order": "sequential",
        },
        lambda f, r: -ce(f) + 0.5 * ce(r) + 3 * per_answer_kl(r),
    ),
    ("npo", {"beta": 0.3}, lambda f, r: npo_terms(f, 0.3).mean()),
    ("npo", {"retain_weight": 2.0}, lambda f, r: npo_terms(f, 0.1).mean() + 2 * ce(r)),
    ("npo", {"beta": 0.4, "form": "batch_mean"}, lambda f, r: npo_batch_mean(f, 0.4)),
    (
        "npo",
        {"keep": "kl", "retain_weight": 2.0},
        lambda f, r: npo_terms(f, 0.1).mean() + 2 * token_mean(r, "divergence"),
    ),
    ("simnpo", {}, lambda f, r: simnpo_terms(f, 4.5, 0).mean()),
    (
        "simnpo",
        {"beta": 2.0, "margin": 0.5, "keep": "nll", "retain_weight": 0.5},
        lambda f, r: simnpo_terms(f, 2, 0.5).mean() + 0.5 * ce(r),
    ),
    (
        "simnpo",
        {"beta": 2.0, "margin": 0.5, "form": "released"},
        lambda f, r: simnpo_terms(f, 2, 1).mean(),
    ),
    ("wga", {}, lambda f, r: per_answer(weighed(f, lambda p: p))),
    (
        "wga",
        {"beta": 0.5, "form": "released", "keep": "kl", "retain_weight": 3.0},
        lambda f, r: per_token(weighed(f, np.sqrt)) + 3 * token_mean(r, "divergence"),
    ),
    ("satimp", {}, lambda f, r: per_answer(weighed(f, satimp))),
    (
        "satimp",
        {"form": "released", "keep": "nll"},
        lambda f, r: per_token(weighed(f, satimp)) + ce(r),
    ),
    ("undial", {}, lambda f, r: token_mean(f, "divergence")),
    ("undial", {"keep": "nll"}, lambda f, r: token_mean(f, "divergence") + ce(r)),
    ("ce_u", {}, lambda f, r: token_mean(f, "divergence")),
    ("ce_u", {"skip": 1}, lambda f, r: per_token([v[1:] for v in values_of(f)])),
    ("kl_uniform", {}, lambda f, r: per_answer(values_of(f), np.mean)),
    (
        "kl_uniform",
        {"keep": "nll", "retain_weight": 2.0},
        lambda f, r: per_answer(values_of(f), np.mean) + 2 * ce(r),
    ),
    (
        "scrub",
        {"kl_weight": 2.0, "retain_weight": 0.5, "order": "sequential"},
        lambda f, r: -token_mean(f, "divergence") + 2 * token_mean(r, "divergence") + 0.5 * ce(r),
    ),
    ("task_vector", {}, lambda f, r: ce(f)),
    (
        "pdu",
        {"limit": 0.5, "multiplier": 2.0},
        lambda f, r: token_mean(f, "divergence") + 2 * (ce(r) - 0.5),
    ),
    ("mmunlearner", {"retain_weight": 2.0}, lambda f, r: -ce(f) + 2 * ce(r)),
    ("idk", {}, lambda f, r: ce(f) + ce(r)),
    ("idk", {"keep": "none"}, lambda f, r: ce(f)),
    (
        "rmu",
        {"retain_weight": 0.5},
        lambda f, r: per_answer(values_of(f), np.mean) + 0.5 * per_answer(values_of(r), np.mean),
    ),
    (
        "rmu",
        {"keep": "nll"},
        lambda f, r: per_answer(values_of(f), np.mean) + ce(r),
    ),
]
# Of the methods that share ``with_retain`` and ``answer_sums``, a few are enough where the test is
# about rows, not about a formula.
ROWWISE = [case for case in CASES if case[0] in ("nll", "ga", "grad_diff", "kl_min", "npo")]
ROWWISE += [
    next(case for case in CASES if case[0] == name) for name in ("simnpo", "ce_u", "rmu", "scrub")
]
TRAINED = [(name, options) for name, options, _ in CASES]
IN_ROWS = [(name, options) for name, options, _ in ROWWISE]


def evaluate(name, options, logprobs, divergence, batch):
    objective = get_objective(name, **options)
    given = {"token_logprobs": logprobs, "divergence": divergence, "batch": batch}
    given |= dict.fromkeys(objective.values, divergence) | {"numbers": objective.numbers}
    return objective.loss(**{need: given[need] for need in objective.needs})


def gradients(name, options, logprobs, divergence, batch):
    def value(logprobs, divergence):
        return evaluate(name, options, logprobs, divergence, batch)[0]

    return jax.grad(value, argnums=(0, 1))(jnp.asarray(logprobs), jnp.asarray(divergence))


@pytest.mark.parametrize(("name", "options", "closed_form"), CASES)
def test_value_is_the_closed_form(name, options, closed_form):
    answers = draw_answers(0)
    loss, _ = evaluate(name, options, *pack(answers, ROWS))
    np.testing.assert_allclose(loss, closed_form(answers[:4], answers[4:]), rtol=1e-5)


@pytest.mark.parametrize(("name", "options", "closed_form"), CASES)
def test_gradient_is_that_of_the_closed_form(name, options, closed_form):
    """Central differences of the float64 formula, token by token, in both inputs."""
    answers = draw_answers(1)
    packed = pack(answers, ROWS)
    batch = packed[2]
    for field, gradient in zip(
        ("logprobs", "divergence"), gradients(name, options, *packed), strict=True
    ):
        gradient = np.asarray(gradient)
        assert not gradient[batch["loss_mask"] == 0].any()
        for b, row in enumerate(ROWS):
            for k, index in enumerate(row):
                here = (batch["segments"][b] == k + 1) & (batch["loss_mask"][b] == 1)
                values = getattr(answers[index], field)
                expected = np.zeros(len(values))
                for t in range(len(values)):
                    for step in (1e-5, -1e-5):
                        values[t] += step
                        expected[t] += closed_form(answers[:4], answers[4:]) / (2 * step)
                        values[t] -= step
                np.testing.assert_allclose(gradient[b][here], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), TRAINED)
def test_descent_lowers_what_is_to_be_forgotten_and_raises_what_is_to_be_retained(name, options):
    packed = pack(draw_answers(2), ROWS)
    batch = packed[2]
    by_logprob, by_divergence = gradients(name, options, *packed)
    objective = get_objective(name, **options)
    forget = batch["loss_mask"] * batch["role"][:, None] > 0
    retain = batch["loss_mask"] * (1 - batch["role"])[:, None] > 0
    kept = "divergence" in objective.needs or "retain_distance" in objective.needs
    if objective.values:  # what is to be forgotten is one of these, not a likelihood
        assert not by_logprob[forget].any() and (by_divergence[forget] >= 0).all()
        assert by_divergence[forget].any()
    elif name == "scrub":
        assert not by_logprob[forget].any() and (by_divergence[forget] < 0).all()
    else:
        taught = name == "nll" or objective.refuses or objective.edit is not None
        assert (by_logprob[forget] < 0 if taught else by_logprob[forget] > 0).all()
        assert not by_divergence[forget].any()
    if (
        name in ("nll", "grad_diff", "kl_min", "scrub", "pdu", "mmunlearner")
        or options.get("keep", "") == "nll"
    ):
        assert (by_logprob[retain] < 0).all()
    assert by_logprob[retain].any() or kept or objective.rows == "primary"
    assert (by_divergence[retain] > 0).all() if kept else not by_divergence[retain].any()


def test_npo_becomes_gradient_ascent_as_beta_vanishes():
    """Per answer, so the limit is ascent on the mean over answers of summed log-probabilities."""
    packed = pack(draw_answers(3), ROWS)
    batch = packed[2]
    gradient, _ = gradients("npo", {"beta": 1e-4}, *packed)
    ascent = batch["loss_mask"] * batch["role"][:, None] / 4  # four answers to forget
    np.testing.assert_allclose(gradient, ascent, atol=1e-3)
    # the distance is of first order in beta: ten times smaller beta, ten times closer
    far, near = (
        np.abs(gradients("npo", {"beta": beta}, *packed)[0] - ascent).max() for beta in (1e-2, 1e-3)
    )
    np.testing.assert_allclose(far / near, 10, rtol=0.05)


def test_batch_mean_npo_becomes_ga_as_beta_vanishes():
    packed = pack(draw_answers(3), ROWS)
    gradient, _ = gradients("npo", {"beta": 1e-4, "form": "batch_mean"}, *packed)
    ascent, _ = gradients("ga", {}, *packed)
    np.testing.assert_allclose(gradient, ascent, atol=1e-4)


@pytest.mark.parametrize("form", ["sequence", "batch_mean"])
def test_npo_at_the_reference_is_two_over_beta_log_two(form):
    answers = draw_answers(4)
    for answer in answers:
        answer.reference = float(answer.logprobs.sum())
    loss, metrics = evaluate("npo", {"beta": 0.25, "form": form}, *pack(answers, ROWS))
    np.testing.assert_allclose(loss, 8 * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(metrics["forget_margin"][0], 0, atol=1e-5)


def test_npo_stops_pushing_once_the_answers_are_forgotten():
    answers = draw_answers(5)
    for answer in answers:
        answer.logprobs -= 200
    gradient, _ = gradients("npo", {"beta": 1.0}, *pack(answers, ROWS))
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize(("name", "options"), IN_ROWS)
@pytest.mark.parametrize("rows", [[[1], [0], [6, 4], [3], [5], [2]], [[3, 1, 0, 2], [5], [4, 6]]])
def test_how_answers_are_packed_changes_nothing(name, options, rows):
    answers = draw_answers(6)
    loss, metrics = evaluate(name, options, *pack(answers, ROWS))
    again, metrics_again = evaluate(name, options, *pack(answers, rows, prefix=3, tokens=30))
    np.testing.assert_allclose(again, loss, rtol=1e-5)
    for key, total in metrics.items():
        np.testing.assert_allclose(metrics_again[key], total, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), IN_ROWS)
@pytest.mark.parametrize("junk", [-7.0, np.nan])
def test_padding_changes_neither_the_value_nor_the_gradient(name, options, junk):
    answers = draw_answers(7)
    packed = pack(answers, ROWS)
    logprobs, divergence, batch = pack(answers, [*ROWS, [], []], tokens=29)
    batch["reference_logprobs"][batch["answers"] < 0] = junk
    batch["reference_logprobs"][batch["role"] == 0] = junk  # no loss asks for these
    logprobs[batch["loss_mask"] == 0] = junk
    divergence[batch["loss_mask"] == 0] = junk
    padded = (logprobs, divergence, batch)
    loss, metrics = evaluate(name, options, *packed)
    loss_padded, metrics_padded = evaluate(name, options, *padded)
    np.testing.assert_allclose(loss_padded, loss, rtol=1e-6)
    for key, total in metrics.items():
        np.testing.assert_allclose(metrics_padded[key], total, rtol=1e-6)
    pairs = zip(gradients(name, options, *padded), gradients(name, options, *packed), strict=True)
    for with_padding, without in pairs:
        np.testing.assert_allclose(with_padding[:3, :24], without, rtol=1e-5, atol=1e-7)
        assert not np.asarray(with_padding)[3:].any() and not np.asarray(with_padding)[:, 24:].any()


@pytest.mark.parametrize(("name", "options"), IN_ROWS)
def test_a_padding_row_that_repeats_a_real_one_counts_for_nothing(name, options):
    answers = draw_answers(8)
    loss, _ = evaluate(name, options, *pack(answers, ROWS))
    logprobs, divergence, batch = pack(answers, [*ROWS, [0, 1], [4]])
    batch["weight"][3:] = 0
    again, _ = evaluate(name, options, logprobs, divergence, batch)
    np.testing.assert_allclose(again, loss, rtol=1e-6)


@pytest.mark.parametrize(("name", "options", "closed_form"), [c for c in ROWWISE if c[0] != "nll"])
@pytest.mark.parametrize("rows", [[[0, 1], [2, 3]], [[4, 5, 6]], [[], []]])
def test_an_absent_role_contributes_nothing(name, options, closed_form, rows):
    answers = draw_answers(9)
    packed = pack(answers, rows)
    loss, metrics = evaluate(name, options, *packed)
    here = [answers[index] for row in rows for index in row]
    forget, retain = [a for a in here if a.forget], [a for a in here if not a.forget]
    if not forget:
        retain_part = closed_form(answers[:4], answers[4:]) - closed_form(answers[:4], [])
        expected = retain_part if retain else 0.0
    else:
        expected = closed_form(forget, retain)
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-6)
    assert all(np.isfinite(total).all() for total in metrics.values())
    assert all(np.isfinite(g).all() for g in gradients(name, options, *packed))


def test_simnpo_becomes_ascent_on_the_mean_of_means_as_beta_vanishes():
    packed = pack(draw_answers(3), ROWS)
    gradient, _ = gradients("simnpo", {"beta": 1e-4}, *packed)
    expected = np.zeros_like(packed[0])
    for b, row in enumerate(ROWS[:2]):
        for k in range(len(row)):
            here = (packed[2]["segments"][b] == k + 1) * packed[2]["loss_mask"][b]
            expected[b] += here / here.sum() / 4  # four answers to forget
    np.testing.assert_allclose(gradient, expected, atol=1e-3)


def test_wga_without_weights_is_ga_and_satimp_without_saturation_is_wga():
    packed = pack(draw_answers(3), ROWS)
    for one, other in [
        (("wga", {"beta": 0.0, "form": "released"}), ("ga", {})),
        (("satimp", {"beta1": 2.0, "beta2": 0.0}), ("wga", {"beta": 2.0})),
        (("satimp", {"beta1": 0.0, "beta2": 0.0, "form": "released"}), ("ga", {})),
    ]:
        for found, expected in zip(
            gradients(*one, *packed), gradients(*other, *packed), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["simnpo", "wga", "satimp"])
def test_what_is_bounded_stops_pushing_once_the_answers_are_forgotten(name):
    answers = draw_answers(5)
    for answer in answers:
        answer.logprobs -= 50
    gradient, _ = gradients(name, {}, *pack(answers, ROWS))
    assert np.abs(gradient).max() < 1e-6


def test_satimp_leaves_certain_tokens_alone():
    answers = draw_answers(5)
    for answer in answers:
        answer.logprobs[:] = 0
    gradient, _ = gradients("satimp", {}, *pack(answers, ROWS))
    assert not np.asarray(gradient).any()


def test_metrics_are_sums_and_counts_that_add_up():
    answers = draw_answers(10)
    for name, options, keys in [
        ("nll", {}, {"nll"}),
        ("ga", {}, {"forget_nll"}),
        ("grad_diff", {}, {"forget_nll", "retain_nll"}),
        ("kl_min", {"kl_reduction": "per_answer"}, {"forget_nll", "retain_nll", "kl"}),
        ("npo", {}, {"forget_nll", "forget_margin"}),
        ("npo", {"retain_weight": 1.0}, {"forget_nll", "forget_margin", "retain_nll"}),
        ("simnpo", {"keep": "kl"}, {"forget_nll", "retain_nll", "kl"}),
        ("wga", {"keep": "nll"}, {"forget_nll", "forget_weight", "retain_nll"}),
        ("undial", {}, {"forget_nll", "adjusted_nll"}),
        ("ce_u", {"skip": 2}, {"forget_nll", "others_nll"}),
        ("kl_uniform", {}, {"forget_nll", "uniform_kl"}),
        ("pdu", {}, {"forget_nll", "spread", "retain_nll"}),
        ("rmu", {}, {"forget_nll", "forget_distance", "retain_distance", "retain_nll"}),
    ]:
        _, whole = evaluate(name, options, *pack(answers, ROWS))
        assert set(whole) == keys
        parts = [evaluate(name, options, *pack(answers, [row]))[1] for row in ROWS]
        for key in keys:
            added = np.sum([np.asarray(part[key]) for part in parts], axis=0)
            np.testing.assert_allclose(added, whole[key], rtol=1e-5)
    kl_sum, kl_count = evaluate("kl_min", {}, *pack(answers, ROWS))[1]["kl"]
    np.testing.assert_allclose(kl_sum / kl_count, token_mean(answers[4:], "divergence"), rtol=1e-5)


def test_a_loss_is_the_same_under_jit():
    packed = pack(draw_answers(11), ROWS)
    for name, options in IN_ROWS:
        expected, _ = evaluate(name, options, *packed)
        compiled = jax.jit(lambda *given, n=name, o=options: evaluate(n, o, *given)[0])
        np.testing.assert_allclose(compiled(*packed), expected, rtol=1e-6)


def test_segment_sums_equal_a_loop_and_have_its_gradient():
    rng = np.random.default_rng(12)
    values = rng.normal(size=(3, 17)).astype("float32")
    segments = rng.integers(-1, 6, size=(3, 17)).astype("int32")
    expected = np.zeros((3, 4))
    for b in range(3):
        for t in range(17):
            if 1 <= segments[b, t] <= 4:
                expected[b, segments[b, t] - 1] += values[b, t]
    np.testing.assert_allclose(segment_sums(values, segments, 4), expected, atol=1e-6)
    weights = rng.normal(size=(3, 4)).astype("float32")
    gradient = jax.grad(lambda x: (segment_sums(x, segments, 4) * weights).sum())(values)
    columns = np.clip(segments - 1, 0, 3)
    inside = (segments >= 1) & (segments <= 4)
    np.testing.assert_allclose(gradient, np.take_along_axis(weights, columns, 1) * inside)


def test_what_each_objective_asks_for():
    asked = {
        ("nll", ()): (("token_logprobs", "batch"), "all", None),
        ("ga", ()): (("token_logprobs", "batch"), "primary", None),
        ("grad_diff", ()): (("token_logprobs", "batch"), "joint", None),
        ("grad_diff", (("order", "sequential"),)): (
            ("token_logprobs", "batch"),
            "sequential",
            None,
        ),
        ("kl_min", ()): (("token_logprobs", "divergence", "batch"), "joint", None),
        ("npo", ()): (("token_logprobs", "batch"), "primary", "parent"),
        ("npo", (("retain_weight", 1.0),)): (("token_logprobs", "batch"), "joint", "parent"),
        ("npo", (("form", "batch_mean"),)): (("token_logprobs", "batch"), "primary", "retain_only"),
        ("npo", (("keep", "kl"), ("retain_weight", 1.0))): (
            ("token_logprobs", "batch", "divergence"),
            "joint",
            "parent",
        ),
        ("prompting", ()): ((), "none", None),
        ("simnpo", ()): (("token_logprobs", "batch"), "primary", None),
        ("simnpo", (("keep", "kl"),)): (
            ("token_logprobs", "batch", "divergence"),
            "joint",
            None,
        ),
        ("simnpo", (("keep", "kl"), ("retain_weight", 0))): (
            ("token_logprobs", "batch"),
            "primary",
            None,
        ),
        ("wga", ()): (("token_logprobs", "batch"), "primary", None),
        ("satimp", ()): (("token_logprobs", "batch"), "primary", None),
        ("undial", ()): (("token_logprobs", "adjusted_nll", "batch"), "primary", None),
        ("ce_u", ()): (("token_logprobs", "others_nll", "batch"), "primary", None),
        ("kl_uniform", ()): (("token_logprobs", "uniform_kl", "batch"), "primary", None),
        ("rmu", ()): (
            ("token_logprobs", "forget_distance", "retain_distance", "batch"),
            "joint",
            None,
        ),
        ("rmu", (("keep", "none"),)): (
            ("token_logprobs", "forget_distance", "batch"),
            "primary",
            None,
        ),
        ("idk", ()): (("token_logprobs", "batch"), "joint", None),
        ("dpo", ()): (("token_logprobs", "batch"), "primary", "parent"),
        ("manu", ()): ((), "joint", None),
        ("pava", ()): (("token_logprobs", "batch"), "joint", "parent"),
        ("mmunlearner", ()): (("token_logprobs", "batch"), "joint", None),
        ("pdu", ()): (("token_logprobs", "spread", "numbers", "batch"), "joint", None),
        ("task_vector", ()): (("token_logprobs", "batch"), "primary", None),
        ("scrub", ()): (("token_logprobs", "divergence", "batch"), "joint", None),
        ("scrub", (("order", "sequential"),)): (
            ("token_logprobs", "divergence", "batch"),
            "sequential",
            None,
        ),
    }
    for (name, options), expected in asked.items():
        objective = get_objective(name, **dict(options))
        assert (objective.needs, objective.rows, objective.reference) == expected
        assert (objective.loss is None) == (name in ("prompting", "manu"))
        assert bool(objective.system_prompt) == (name == "prompting")
    assert {name for name, _ in asked} == set(OBJECTIVES)


def test_prompting_takes_another_wording():
    assert get_objective("prompting", system_prompt="Say nothing.").system_prompt == "Say nothing."
    assert "personal-related information" in get_objective("prompting").system_prompt


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("npoo", {}, "unknown objective 'npoo'; did you mean 'npo'"),
        ("zzz", {}, "unknown objective 'zzz'.*known: ce_u, dpo, ga, .*nll, npo, .*prompting"),
        ("npo", {"betta": 1}, "option of objective 'npo': 'betta'; did you mean 'beta'"),
        ("ga", {"beta": 1}, "option of objective 'ga': 'beta'"),
        ("npo", {"beta": 0}, "beta > 0, got 0"),
        ("npo", {"form": "mean"}, "form is 'mean', expected 'sequence' or 'batch_mean'"),
        ("npo", {"retain_weight": -1}, "retain_weight >= 0, got -1"),
        ("grad_diff", {"retain_weight": 0}, "retain_weight > 0, got 0"),
        ("grad_diff", {"order": "both"}, "order is 'both'"),
        ("kl_min", {"kl_weight": 0}, "kl_weight > 0, got 0"),
        ("kl_min", {"retain_weight": -0.1}, "retain_weight >= 0, got -0.1"),
        ("kl_min", {"kl_reduction": "sum"}, "kl_reduction is 'sum'"),
        ("kl_min", {"kl_reduction": "published"}, "'per_answer' .once called 'published'"),
        ("kl_min", {"order": "both"}, "order is 'both'"),
        ("npo", {"keep": "l2"}, "npo: keep is 'l2', expected one of 'none', 'nll', 'kl'"),
        ("simnpo", {"beta": 0}, "simnpo needs beta > 0"),
        ("simnpo", {"margin": -1}, "margin >= 0, got -1"),
        ("simnpo", {"form": "sum"}, "form is 'sum', expected 'paper' or 'released'"),
        ("wga", {"beta": -1}, "beta >= 0"),
        ("wga", {"form": "mean"}, "wga: form is 'mean'"),
        ("satimp", {"beta2": -1}, "beta2 >= 0"),
        ("undial", {"beta": -1}, "beta >= 0"),
        ("ce_u", {"skip": -1}, "skip >= 0"),
        ("kl_uniform", {"direction": "both"}, "direction is 'both'"),
        ("rmu", {"layer": 0}, "layer >= 1"),
        ("rmu", {"length": 0}, "length > 0"),
        ("rmu", {"form": "sum"}, "rmu: form is 'sum'"),
        ("rmu", {"retain_weight": -1}, "retain_weight >= 0"),
        ("rmu", {"keep": "state"}, "keep is 'state', expected one of 'none', 'nll', 'kl'"),
        ("scrub", {"retain_weight": 0, "kl_weight": 0}, "one of them > 0, got 0 and 0"),
        ("scrub", {"kl_weight": -1}, "kl_weight >= 0"),
        ("scrub", {"order": "both"}, "scrub: order is 'both'"),
        ("manu", {"share": 1}, "manu needs 0 < share < 1, got 1"),
        ("manu", {"loud": -1}, "manu needs loud and layers >= 0"),
        ("manu", {"form": "sum"}, "manu: form is 'sum'"),
        ("pava", {"beta": 0}, "pava needs beta > 0"),
        ("pava", {"anchor_weight": -1}, "pava needs anchor_weight > 0"),
        ("mmunlearner", {"threshold": 0}, "mmunlearner needs threshold > 0"),
        ("mmunlearner", {"form": "sum"}, "mmunlearner: form is 'sum'"),
        ("pdu", {"limit": -1}, "pdu needs limit >= 0, got -1"),
        ("pdu", {"warmup": -1}, "pdu needs warmup >= 0"),
        ("pdu", {"pace": 0}, "pdu needs pace > 0"),
        ("task_vector", {"scale": 0}, "task_vector needs scale > 0, got 0"),
        ("dpo", {"beta": 0}, "dpo needs beta > 0"),
        ("dpo", {"form": "sum"}, "dpo: form is 'sum'"),
        ("prompting", {"system_prompt": " "}, "needs a system_prompt"),
    ],
)
def test_refuses_what_it_does_not_know(name, options, message):
    with pytest.raises(ValueError, match=message):
        get_objective(name, **options)
