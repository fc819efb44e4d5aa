"""What ``experiments.bench`` measures of our code.

Shares are relative to what the device was measured to do (``experiments.bench.limits``): the share
of training and scoring is that of matrix products, the share of decoding that of copies. The latter
covers decoding only, although the rate includes reading the picture and the question.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bench import attention, limits
from experiments.bench.limits import READING, TRAINING, Machine
from experiments.bench.lines import Line
from experiments.bench.trace import traced
from experiments.bench.workload import COMPARED_TOKENS, OPTIONS, Figure, Pair, Workload, timed
from experiments.common import note
from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import reply
from mllm.evaluation.request import Text
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import ask
from mllm.ops.attention import causal, choose
from mllm.ops.kv import bytes_kept
from mllm.ops.lora import init_lora
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import one_device
from mllm.parallel.place import place_rows
from mllm.parallel.program import memory_of
from mllm.registry import lookup
from mllm.training import optimizers, state
from mllm.training.compiled import COMPILED
from mllm.training.remat import choose as choose_policy
from mllm.training.remat import is_auto, memory_of_device, resolved
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

NEVER = -1  # an end token that no row generates
PICTURES = 5  # questions that share a picture in multiple choice

# By dtype, the largest allowed difference from the peer, relative to its value: of the logits of a
# position (their norm), the log-probability of an answer, the loss; and the share of unlike
# replies, which near ties decide if numbers have 8 bits.
TOLERANCES = {
    "float32": {"logits": 1e-4, "scores": 1e-4, "loss": 1e-4, "replies": 0.0},
    "bfloat16": {"logits": 0.1, "scores": 0.02, "loss": 0.02, "replies": 1.0},
}


@dataclass(frozen=True)
class Measured:
    """A figure and what belongs to it.

    Attributes:
      more: {"tokens_per_s", "share", "share_of", "limit"}, as far as they are known; ``limit`` is
        the rate at which the device would do nothing but its products and copies.
      again: does the work once more, for a trace.
      program: returns the text of the compiled program, for a trace.
    """

    figure: Figure
    again: Callable
    more: dict = field(default_factory=dict)
    program: Callable[[], str] = str


def measure_machine(small: bool, repeats: int) -> Machine:
    """Time products of square matrices (bfloat16, 8192 wide; small: float32, 1024) and copies."""
    side, dtype = (1024, jnp.float32) if small else (8192, jnp.bfloat16)
    matrix = jnp.ones((side, side), dtype)
    large = jnp.ones((2**24 if small else 2**29,), jnp.bfloat16)
    product, copy = jax.jit(lambda a: a @ a), jax.jit(lambda a: a + 1)
    wait = jax.block_until_ready
    return Machine(
        jax.devices()[0].device_kind,
        timed(lambda: product(matrix), wait, units=2 * side**3, repeats=repeats).rate,
        timed(lambda: copy(large), wait, units=2 * large.nbytes, repeats=repeats).rate,
    )


def compare(work: Workload, loaded, answers: dict[str, np.ndarray]) -> dict[str, dict]:
    """Return {what: {"difference", "tolerance"}} of our answers and the peer's (``peer.answers``).

    Raises:
      ValueError: one is beyond its tolerance.
    """
    ours, chosen = Ours(work, loaded, 1), work.compared
    served = replace(loaded, variables=split_for_decoding(loaded.variables))
    model, shape, variables = served.model, served.config, served.variables
    rows = [[*e.prefix, *e.suffix, *e.answer] for e in chosen]
    _, states = prefill(model, shape, variables, work.laid_out(rows, chosen))
    head = model.head(shape, variables).astype(states.dtype)
    logits = np.asarray(jnp.dot(states, head, preferred_element_type=jnp.float32))
    prefix = ours.read(served, chosen)
    options = [[_option(example)] for example in chosen]
    batch = work.collated(options)
    scores = np.asarray(score_choices(model, shape, variables, prefix, batch))[:, 0]
    step, now, frozen, batch = ours.step("ga", [chosen])
    loss = np.asarray(step(now, frozen, batch)[1]["loss"][0])
    unlike = [
        reply(Calls(served), [e.suffix], ours.read(served, [e]), [Text(COMPARED_TOKENS)])[0][0]
        != loaded.processor.until_end(expected.tolist())
        for e, expected in zip(chosen, answers["replies"], strict=True)
    ]
    places = [(i, slice(len(row))) for i, row in enumerate(rows)]
    found = {
        "logits": max(_relative(logits[p], answers["logits"][p]) for p in places),
        "scores": _relative(scores[:, None], answers["scores"][:, None]),
        "loss": _relative(loss[None], answers["loss"][None]),
        "replies": float(np.mean(unlike)),
    }
    allowed = TOLERANCES[shape.dtype]
    if wrong := {name: value for name, value in found.items() if not value <= allowed[name]}:
        raise ValueError(
            f"our code and the peer do not compute the same: they differ by {wrong}, "
            f"{shape.dtype} explains {allowed}"
        )
    return {n: {"difference": found[n], "tolerance": allowed[n]} for n in found}


class Ours:
    """Our side of the work, on one device like the peer's.

    Lines of training come before those that decode, which takes the stacks of layers apart.
    """

    def __init__(self, work: Workload, loaded, repeats: int, machine: Machine | None = None):
        self.work, self.loaded, self.repeats, self.machine = work, loaded, repeats, machine
        self.timed = partial(timed, wait=jax.block_until_ready, repeats=repeats)
        decoder = loaded.variables["params"]["decoder"]
        self.decoder = sum(leaf.size for leaf in jax.tree.leaves(decoder))
        self.decoder_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(decoder))
        self.split = False

    def measure(self, line: Line, folder: Path | None = None) -> dict:
        """Return the figure of a line, with the summary of a trace below ``folder``, if given."""
        before = COMPILED.counts()
        if line.kind in ("training", "attention"):
            kinds = {"training": self._training, "attention": self._attention}
            measured = kinds[line.kind](*line.arguments)
        else:
            self._serve()
            measured = {
                "decoding": self._decoding,
                "choices": self._choices,
                "evaluation": self._evaluation,
            }[line.kind](*line.arguments)
        compiled = COMPILED.counts(before)
        found = {**asdict(measured.figure), **measured.more, "compiled": compiled}
        if folder is not None:
            found["trace"] = traced(measured.again, folder / line.name, measured.program())
        return found

    def _serve(self) -> None:
        """Take the stacks of layers apart, which decoding reads one by one."""
        if not self.split:
            variables = split_for_decoding(self.loaded.variables, donate=True)
            self.loaded, self.split = replace(self.loaded, variables=variables), True

    def step(self, method: str, rows: list[list[Pair]]):
        """Return (compiled step, state, frozen, batch) of LoRA with AdamW."""
        loaded, lora = self.loaded, self.work.lora
        objective = get_objective(method)
        schedule = optimizers.Schedule(peak=1e-6, steps=1000, warmup=1)
        optimizer = optimizers.make_optimizer("adamw", schedule, clip=1.0)
        params = loaded.variables["params"]
        adapter = init_lora(params, jax.random.key(1), rank=lora.rank, targets=lora.targets)
        batch = self.work.collated(rows)
        batch["role"] = np.full(len(rows), objective.roles[objective.primary], np.float32)
        pictures = self.work.laid_out([list(row[0].prefix) for row in rows], [r[0] for r in rows])
        batch["media"] = pictures["media"]
        if objective.reference == "parent":  # a run computes them before its first step
            batch["reference_logprobs"] = np.zeros(batch["answers"].shape, np.float32)
        batch = place_rows(batch, one_device())
        now, frozen = state.create({"lora": adapter}, optimizer, one_device()), {"params": params}

        shape = loaded.config
        if remat := self.work.bench.remat:
            shape = replace(shape, decoder=replace(shape.decoder, remat=remat))

        @cache
        def compiled(policy: str):
            chosen = resolved(shape, policy)
            step = make_train_step(loaded.model, chosen, objective, optimizer)
            return step.lower(now, frozen, batch).compile()

        policy = "nothing"
        if is_auto(shape):
            choice = choose_policy(compiled, memory_of_device(jax.devices()[0]))
            note(f"{method}, {len(rows)} rows: {choice}")
            policy = choice.policy
        return compiled(policy), now, frozen, batch

    def read(self, loaded, examples: list[Pair]):
        """Read the prefixes of examples."""
        batch = self.work.laid_out([list(e.prefix) for e in examples], examples)
        return prefill(loaded.model, loaded.config, loaded.variables, batch)[0]

    def _training(self, method: str, name: str) -> Measured:
        rows = self.work.rows(*self.work.sizes(name == "pictures"))
        began = time.perf_counter()
        step, now, frozen, batch = self.step(method, rows)
        compiling = time.perf_counter() - began

        def once():
            nonlocal now
            now, metrics = step(now, frozen, batch)
            return metrics

        asked = sum(map(len, rows))
        tokens = int((np.asarray(batch["segments"]) >= 0).sum())
        each = f"{len(rows)} rows of {len(rows[0])}"
        found = self.timed(once, units=asked, setting=each)
        first = compiling + found.first
        found = replace(found, memory=memory_of(step)["peak"], first=first)
        return Measured(found, once, self._products(found, asked, tokens, TRAINING), step.as_text)

    def _attention(self) -> Measured:
        """Time each implementation on the rows that share pictures; the figure is that of the one
        that a step takes.
        """
        batch = self.work.collated(self.work.rows(*self.work.sizes(True)))
        structure = causal(jnp.asarray(batch["positions"]), jnp.asarray(batch["segments"]))
        config = self.loaded.config
        arrays = attention.inputs(config.decoder, *batch["tokens"].shape, config.dtype)
        found = attention.compare(arrays, structure, self.timed)
        platform, _, forced = kernels_on(one_device())
        chosen = choose(platform, arrays[0], arrays[1], structure, forced)
        if "error" in found[chosen]:
            raise ValueError(f"attention chooses {chosen}: {found[chosen]['error']}")
        names = {field.name for field in fields(Figure)}
        figure = Figure(**{k: v for k, v in found[chosen].items() if k in names})
        compiled = jax.jit(attention.step(chosen)).lower(*arrays, structure).compile()
        return Measured(
            figure, lambda: compiled(*arrays, structure), {"each": found}, compiled.as_text
        )

    def _decoding(self, rows: str, form: str = "") -> Measured:
        """Time greedy decoding after a picture and a question; no row ends early."""
        decoder = replace(self.loaded.config.decoder, kv_form=form)
        loaded = replace(self.loaded, config=replace(self.loaded.config, decoder=decoder))
        example, new, count = self.work.decoded(), self.work.bench.new_tokens, int(rows)
        asked = np.tile(np.asarray(example.suffix, np.int32), (count, 1))
        lengths = np.full(count, len(example.suffix), np.int32)
        limit = {"max_new_tokens": new, "ends": (NEVER,)}
        where = loaded.model, loaded.config, loaded.variables

        def decode(prefix):
            return generate(*where, prefix, asked, lengths, **limit)

        def program():
            return generate.lower(*where, prefix, asked, lengths, **limit).compile().as_text()

        def whole():
            return decode(self.read(loaded, [example] * count))

        setting = f"{count} rows of {len(example.prefix) + len(example.suffix)} and {new} tokens"
        found = self.timed(whole, units=count * new, setting=setting)
        prefix = self.read(loaded, [example] * count)
        alone = self.timed(lambda: decode(prefix), units=count * new).rate
        each = bytes_kept(decoder.head_dim, loaded.config.dtype, form)
        reading, writing = limits.decoding(
            self.machine,
            self.decoder,
            self.decoder_bytes,
            limits.cache_bytes(decoder.layers, decoder.kv_heads, each),
            rows=count,
            prompt=len(example.prefix) + len(example.suffix),
            new=new,
        )
        more = {
            "tokens_per_s": alone,
            "share": writing * alone / (count * new),
            "share_of": "copies",
            "limit": count * new / (reading + writing),
        }
        return Measured(found, whole, more, program)

    def _choices(self) -> Measured:
        """Time questions of four options, several per picture; the peer reads a row per option."""
        loaded, bench = self.loaded, self.work.bench
        groups = self.work.rows(bench.rows, PICTURES, bench.pair_tokens)
        rows = [[_option(example)] * OPTIONS for group in groups for example in group]
        batch = self.work.collated(rows)

        def once():
            prefix = self.read(loaded, [group[0] for group in groups])
            return score_choices(loaded.model, loaded.config, loaded.variables, prefix, batch)

        found = self.timed(once, units=len(rows), setting=f"{len(groups)} pictures")
        read = sum(len(group[0].prefix) for group in groups) + int((batch["segments"] >= 0).sum())
        return Measured(found, once, self._products(found, len(rows), read, READING))

    def _evaluation(self, protocol: str) -> Measured:
        """Time a whole evaluation, from pictures to replies on disk."""
        evaluations = self.work.evaluations
        count, make = lookup(evaluations, protocol, "protocol of a line (config.bench.lines)")
        model = {"subject": LocalModel(self.loaded)}

        def once():
            with tempfile.TemporaryDirectory() as folder:
                return len(ask(make(), model, Path(folder), {}))

        found = self.timed(once, units=count, repeats=1, setting=f"{count} questions")
        return Measured(found, once)

    def _products(self, found: Figure, units: int, tokens: int, each: int) -> dict:
        """Return the share of ``each`` N operations per token, and the rate if they were all."""
        limit = units / limits.products(self.machine, self.decoder, tokens, each)
        return {
            "tokens_per_s": found.rate / units * tokens,
            "share": found.rate / limit,
            "share_of": "products",
            "limit": limit,
        }


def _option(example: Pair) -> Pair:
    """Return the example after a prefix that was read already: its question is segment 0."""
    return replace(example, index=0, image=-1, prefix=example.suffix, suffix=())


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of a row, relative to the expected row, by norms."""
    difference = np.linalg.norm(found - expected, axis=-1)
    return float((difference / np.linalg.norm(expected, axis=-1)).max())
