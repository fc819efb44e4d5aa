"""How a model that forgot people is attacked: a file for each kind of attack."""

from mllm.benchmarks.mllmu.sets import FORGET, RETAIN, chosen_profiles
from mllm.benchmarks.mllmu.stress import sampled as sampling
from mllm.benchmarks.mllmu.stress.asked import MOST, MOST_BLANKS, blanks, multiple_choices
from mllm.benchmarks.mllmu.stress.begun import begun
from mllm.benchmarks.mllmu.stress.form import choice_request, plain, value
from mllm.benchmarks.mllmu.stress.paraphrased import paraphrased
from mllm.benchmarks.mllmu.stress.preceded import hinted, mixed
from mllm.benchmarks.mllmu.stress.repictured import REPICTURED
from mllm.benchmarks.mllmu.stress.swapped import both, swapped
from mllm.benchmarks.mllmu.stress.training import RELEARN_FEW, ROWS, answered, relearning
from mllm.evaluation.stress.weights import AS_SAVED
from mllm.studies.stress import Stress

# Each takes a question and returns its form, None where it does not apply.
FORMS = {
    "paraphrased": paraphrased,
    **REPICTURED,
    "swapped": swapped,
    "both": both,
    "mixed": mixed,
    "hinted": hinted,
    "begun": begun,
}
# Forms of about one length, in which each picture is asked about equally often: less padding.
GROUPS = (
    ("paraphrased",),
    tuple(REPICTURED),
    ("swapped", "both"),
    ("mixed", "hinted"),
    ("begun",),
    (sampling.SAMPLED,),
)


def attacks_on(config, benchmark, *, steps: int, learning_rate: float) -> Stress:
    """Return the attacks on a model that was to forget people.

    Args:
      config: of the run; ``benchmark.forget`` chooses whom it is asked about.
      steps, learning_rate: of every relearning.
    """
    people = {name: chosen_profiles(config, benchmark, name) for name in (FORGET, RETAIN)}
    forgotten = list(people[FORGET])
    tests = []
    if not config.tuning:
        ids = {profile.id for profiles in people.values() for profile in profiles}
        tests = benchmark.profiles_of("test", ids)
    asked, gaps = multiple_choices(people, tests), blanks(forgotten)
    requests = {
        name: [choice_request(name, one, form) for one in asked if (form := make(one)) is not None]
        for name, make in FORMS.items()
    }
    limit = config.evaluation.cloze_tokens
    requests[sampling.SAMPLED] = sampling.sampled(gaps, limit)
    return Stress(
        questions={one.name: one.described for one in (*asked, *gaps)},
        plain=[choice_request(AS_SAVED, one, plain(one)) for one in asked],
        forms=requests,
        groups=GROUPS,
        relearning=relearning(config, benchmark, forgotten, steps, learning_rate),
        known={RELEARN_FEW: answered(forgotten, asked)},
        value=value,
        options={
            "steps": steps,
            "learning_rate": learning_rate,
            "rows": ROWS,
            "samples": sampling.SAMPLES,
            "temperature": sampling.TEMPERATURE,
            "limit": limit,
            "most": {**MOST, "blanks": MOST_BLANKS},
        },
    )
