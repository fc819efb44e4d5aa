"""What ``experiments.bench`` measures: each piece of work once to warm up, then several times.

Rates are medians over the repetitions, in units of finished work a second. Shares are of what the
machine was measured to do: of its matrix products 4 N floating-point operations a token for a step
of LoRA (N parameters of the decoder; forward, and the gradient of states, but none of weights), and
of its copies the bytes of weights, and of keys and values, that a decoding step has to read.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments import stages
from mllm.data.packing import Example, RowShape, collate
from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.decoding.serve import serve
from mllm.evaluation.branching import reply
from mllm.evaluation.paper import PaperItem, collect_paper_replies, paper_items
from mllm.evaluation.paper_prompts import PaperProtocol
from mllm.evaluation.protocol import Protocol
from mllm.evaluation.runner import collect_replies, items_of
from mllm.models.multimodal import normalise
from mllm.ops.lora import init_lora
from mllm.parallel.place import place_rows
from mllm.parallel.program import memory_of
from mllm.training import optimizers, state
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

NEVER = -1  # an end token that no row generates
SETTINGS = (False, True)  # the peer without and with gradient checkpointing


class Bench:
    """The work of one model, and a ``peer`` (``experiments.peer``) that does it too, or None."""

    def __init__(self, config, loaded, benchmark, peer, repeats: int):
        self.config, self.loaded, self.benchmark = config, loaded, benchmark
        self.peer, self.repeats, self.small = peer, repeats, config.bench.small
        self.model, self.shape = loaded.model, loaded.config
        self.mesh = stages.device_mesh(config)
        people = benchmark.profiles("full")[: config.bench.profiles]
        stage = config.methods.ga
        self.examples, self.pictures = stages.make_examples(loaded, stage, [], people)
        self.examples = [e for e in self.examples if e.image >= 0]
        self.rates: dict[str, float] = {}

    def machine(self) -> dict:
        """What the device does at best: {"device", "matmul_tflops", "copy_gb_per_s"}."""
        side, dtype = (1024, jnp.float32) if self.small else (8192, jnp.bfloat16)
        a = jnp.ones((side, side), dtype)
        product = jax.jit(lambda a: a @ a)
        copy = jax.jit(lambda a: a + 1)
        large = jnp.ones((2**24 if self.small else 2**29,), jnp.bfloat16)
        self.rates["flops"] = 2 * side**3 * self._rate(lambda: product(a))[0]
        self.rates["bytes"] = 2 * large.nbytes * self._rate(lambda: copy(large))[0]
        return {
            "device": jax.devices()[0].device_kind,
            "matmul_tflops": self.rates["flops"] / 1e12,
            "copy_gb_per_s": self.rates["bytes"] / 1e9,
        }

    def equality(self) -> dict[str, float]:
        """Largest differences between ours and the peer's logits, scores and (share of unlike)
        greedy tokens.

        Raises:
          ValueError: they differ by more than the dtype explains.
        """
        if self.peer is None:
            return {}
        chosen, variables = self.examples[:4], serve(self.loaded.variables)
        rows = [[*e.prefix, *e.suffix, *e.answer] for e in chosen]
        pixels = [self._pixels(e) for e in chosen]
        expected = self.peer.logits(rows, pixels)
        prompts = [[*e.prefix, *e.suffix] for e in chosen]
        answers = [list(e.answer) for e in chosen]
        scores = self.peer.score(prompts, answers, pixels)
        _, states = prefill(self.model, self.shape, variables, self._whole(rows, chosen))
        head = self.model.head(self.shape, variables).astype(states.dtype)
        found = np.asarray(jnp.dot(states, head, preferred_element_type=jnp.float32))
        logits = max(
            float(np.abs(found[i, : len(row)] - expected[i, : len(row)]).max())
            for i, row in enumerate(rows)
        )
        batch = collate([[self._choice(e)] for e in chosen], 4, self._row(chosen, 1))
        shared, _ = prefill(self.model, self.shape, variables, self._prefixes(chosen))
        ours = score_choices(self.model, self.shape, variables, shared, batch)
        difference = float(np.abs(np.asarray(ours)[:, 0] - scores).max())
        greedy = np.mean(
            [
                reply(self._served(variables), [e.suffix], self._one(variables, e), 8)[0][0][:8]
                != _until(self.peer.generate([prompt], [picture], 8)[0], self.loaded)
                for e, prompt, picture in zip(chosen, prompts, pixels, strict=True)
            ]
        )
        found = {"logits": logits, "scores": difference, "share of unlike replies": float(greedy)}
        most = 1e-3 if self.shape.dtype == "float32" else 0.5
        if logits > most or difference > most * 10 or (most < 0.1 and greedy > 0):
            raise ValueError(f"ours and the peer's do not compute the same: {found}")
        return found

    def training(self) -> Iterator[dict]:
        """Steps of GA, NPO and KL-Min with LoRA: rows of profiles, and one row a question."""
        for method in ("ga", "npo", "kl_min"):
            for packed in (True, False):
                yield self._training(method, packed)

    def _training(self, method: str, packed: bool) -> dict:
        config, stage = self.config, self.config.methods[method]
        objective = get_objective(method, **stage.options)
        schedule = optimizers.make_schedule(peak=1e-6, steps=1000, warmup=1, decay="constant")
        optimizer = optimizers.make_optimizer("adamw", schedule, clip=1.0)
        params = self.loaded.variables["params"]
        lora = init_lora(
            params, jax.random.key(1), rank=config.lora.rank, targets=config.lora.targets
        )
        rows = config.bench.rows if packed else config.bench.single_rows
        answers = config.rows.answers if packed else 1
        chosen = self._grouped(rows, answers)
        batch = collate(chosen, rows, self._row([e for row in chosen for e in row], answers))
        batch |= self._shown(batch["tokens"], [row[0] for row in chosen])
        if objective.reference == "parent" and "divergence" not in objective.needs:
            batch["reference_logprobs"] = np.zeros(batch["answers"].shape, np.float32)
        batch = place_rows(batch, self.mesh)
        step = make_train_step(
            self.model, self.shape, objective, optimizer, schedule, mesh=self.mesh
        )
        now = state.create({"lora": lora}, optimizer, self.mesh)
        frozen = {"params": params}
        step = step.lower(now, frozen, batch).compile()
        memory = memory_of(step)["peak"]
        asked = sum(map(len, chosen))

        def once():
            nonlocal now
            now, metrics = step(now, frozen, batch)
            return metrics

        rate, least, most = (asked * r for r in self._rate(once))
        tokens = int((np.asarray(batch["segments"]) >= 0).sum())
        decoder = sum(leaf.size for leaf in jax.tree.leaves(params["decoder"]))
        share = 4 * decoder * tokens * rate / asked / self.rates["flops"]
        line = {
            "work": f"{method}, {'profiles' if packed else 'one row a question'}",
            "unit": "questions/s",
            "ours": rate,
            "least": least,
            "most": most,
            "tokens_per_s": tokens * rate / asked,
            "share": f"{share:.0%} of products",
            "memory": memory,
        }
        peer = None if method == "kl_min" else self._peer_training(method)
        return _beside(line, peer)

    def _peer_training(self, method: str) -> tuple[float, str] | None:
        """(questions a second, setting) of the peer at its best batch."""
        found = []
        for checkpointing in SETTINGS if self.peer is not None else ():
            step = self.peer.trainer(method, self.config.lora.rank, checkpointing=checkpointing)
            for rows in self.config.bench.peer_rows:
                chosen = [self.examples[i % len(self.examples)] for i in range(rows)]
                arguments = (
                    [[*e.prefix, *e.suffix] for e in chosen],
                    [list(e.answer) for e in chosen],
                    [self._pixels(e) for e in chosen],
                )
                try:
                    rate, _, _ = self._rate(partial(step, *arguments), wait=self.peer.wait)
                except RuntimeError as error:
                    if "out of memory" not in str(error):
                        raise
                    break
                again = ", checkpointing" if checkpointing else ""
                found.append((rows * rate, f"batch {rows}{again}"))
        return max(found) if found else None

    def generation(self) -> Iterator[dict]:
        """Greedy decoding behind a picture and a question, no row ending early."""
        variables, new_tokens = serve(self.loaded.variables), self.config.bench.new_tokens
        weights = sum(
            leaf.nbytes
            for leaf in jax.tree.leaves([variables["layers"], variables["params"]["decoder"]])
        )
        example = max(self.examples, key=lambda e: len(e.suffix))
        for rows in self.config.bench.batches:
            prefix, _ = prefill(self.model, self.shape, variables, self._prefixes([example] * rows))
            suffixes = np.tile(np.asarray(example.suffix, np.int32), (rows, 1))
            lengths = np.full(rows, len(example.suffix), np.int32)

            def once(prefix=prefix, suffixes=suffixes, lengths=lengths):
                limits = {"max_new_tokens": new_tokens, "eos_id": NEVER}
                asked = prefix, suffixes, lengths
                return generate(self.model, self.shape, variables, *asked, **limits)

            rate, least, most = (rows * new_tokens * r for r in self._rate(once))
            c, size = self.shape.decoder, jnp.dtype(self.shape.dtype).itemsize
            length = len(example.prefix) + len(example.suffix) + new_tokens / 2
            kept = 2 * rows * length * c.layers * c.kv_heads * c.head_dim * size
            share = (weights + kept) * rate / rows / self.rates["bytes"]
            line = {
                "work": f"greedy decoding, batch {rows}",
                "unit": "tokens/s",
                "ours": rate,
                "least": least,
                "most": most,
                "share": f"{share:.0%} of copies",
            }
            peer = None
            if self.peer is not None:
                prompts = [[*example.prefix, *example.suffix]] * rows
                call = partial(self.peer.generate, prompts, [self._pixels(example)] * rows)
                done = partial(call, new_tokens, all_of_them=True)
                rate = self._rate(done, wait=self.peer.wait)[0]
                peer = rows * new_tokens * rate, f"batch {rows}"
            yield _beside(line, peer)

    def choices(self) -> Iterator[dict]:
        """Questions with four options each behind a picture that several share; the peer computes a
        row an option.
        """
        variables = serve(self.loaded.variables)
        pictures = sorted({e.image for e in self.examples})[: self.config.bench.rows]
        chosen = [[e for e in self.examples if e.image == p][:5] for p in pictures]
        chosen = [(row * 5)[:5] for row in chosen]
        rows = [[self._choice(e)] * 4 for row in chosen for e in row]
        shape = self._row([e for row in chosen for e in row], 4)
        batch, firsts = collate(rows, len(rows), shape), [row[0] for row in chosen]

        def once():
            prefix, _ = prefill(self.model, self.shape, variables, self._prefixes(firsts))
            return score_choices(self.model, self.shape, variables, prefix, batch)

        rate, least, most = (len(rows) * r for r in self._rate(once))
        peer = None
        if self.peer is not None:
            found = []
            for count in self.config.bench.batches:
                asked = [e for row in chosen for e in row][:1] * count
                four = [e for e in asked for _ in range(4)]
                call = partial(
                    self.peer.score,
                    [[*e.prefix, *e.suffix] for e in four],
                    [list(e.answer) for e in four],
                    [self._pixels(e) for e in four],
                )
                found.append(
                    (count * self._rate(call, wait=self.peer.wait)[0], f"{count} x 4 rows")
                )
            peer = max(found)
        line = {"work": "multiple choice", "unit": "questions/s"}
        yield _beside({**line, "ours": rate, "least": least, "most": most}, peer)

    def evaluation(self) -> Iterator[dict]:
        """All tasks of the forget and the test profiles. The peer asks as the published script
        does, one question at a time, with the same prompts and pictures; a sample of it is timed.
        """
        people = self.benchmark.profiles(f"forget_{self.config.benchmark.forget}")
        sets = {"forget": people[: self.config.bench.profiles]}
        ids = {profile.id for profile in sets["forget"]}
        sets["test"] = [p for p in self.benchmark.profiles("test") if p.id in ids]
        loaded = self._served(serve(self.loaded.variables))
        protocol = PaperProtocol().for_family(loaded.family)
        paper = paper_items(sets, self.benchmark.profiles("full"), protocol)
        strict = items_of(sets)
        ask = {
            "paper": (paper, partial(collect_paper_replies, loaded, paper, protocol)),
            "strict": (strict, partial(collect_replies, loaded, strict, Protocol())),
        }
        peer = None if self.peer is None else self._published_loop(paper)
        for name, (items, collect) in ask.items():

            def once(collect=collect):
                with tempfile.TemporaryDirectory() as folder:
                    collect(Path(folder), {})

            rates = [len(items) * r for r in self._rate(once, repeats=1)]
            line = {"work": f"forget and test, {name}", "unit": "questions/s"}
            line |= dict(zip(("ours", "least", "most"), rates, strict=True))
            yield _beside({**line, "questions": len(items)}, peer)

    def _published_loop(self, items: list[PaperItem]) -> tuple[float, str]:
        step = max(1, len(items) // self.config.bench.sample)
        sample = items[::step]

        def once():
            for item in sample:
                pictures = [self.loaded.processor.picture(data) for data in item.pictures]
                ids = self.loaded.processor.whole_prompt(item.prompt, [p.grid for p in pictures])
                pixels = [self._normalised(picture) for picture in pictures]
                self.peer.generate([ids], pixels, item.max_new_tokens)

        rate = self._rate(once, repeats=1, wait=self.peer.wait)[0]
        return len(sample) * rate, f"batch 1, {len(sample)} of {len(items)} asked"

    def _rate(
        self, once: Callable, *, repeats: int | None = None, wait: Callable | None = None
    ) -> tuple[float, float, float]:
        """Calls a second: median, least and most."""
        seconds = []
        for number in range((repeats or self.repeats) + 1):
            began = time.perf_counter()
            done = once()
            wait() if wait else jax.block_until_ready(done)
            if number:
                seconds.append(time.perf_counter() - began)
        return 1 / statistics.median(seconds), 1 / max(seconds), 1 / min(seconds)

    def _served(self, variables):
        return stages.replace(self.loaded, variables=variables)

    def _one(self, variables, example: Example):
        return prefill(self.model, self.shape, variables, self._prefixes([example]))[0]

    def _grouped(self, rows: int, answers: int) -> list[list[Example]]:
        """Rows of examples about one picture each."""
        by_picture: dict[int, list[Example]] = {}
        for example in self.examples:
            by_picture.setdefault(example.image, []).append(example)
        found = [
            group[first : first + answers]
            for group in by_picture.values()
            for first in range(0, len(group) - answers + 1, answers)
        ]
        return [found[i % len(found)] for i in range(rows)]

    def _row(self, examples: list[Example], answers: int) -> RowShape:
        length = max(e.length for e in examples)
        prefix, taught = max(len(e.prefix) for e in examples), max(len(e.answer) for e in examples)
        return RowShape(prefix + answers * length, answers * taught, answers)

    def _choice(self, example: Example) -> Example:
        return Example(0, -1, False, example.suffix, (), example.answer)

    def _whole(self, rows: list[list[int]], examples: list[Example]) -> dict:
        width = max(map(len, rows))
        tokens = np.zeros((len(rows), width), np.int32)
        segments = np.full_like(tokens, -1)
        for i, row in enumerate(rows):
            tokens[i, : len(row)], segments[i, : len(row)] = row, 0
        positions = np.tile(np.arange(width, dtype=np.int32), (len(rows), 1))
        batch = {"tokens": tokens, "positions": positions, "segments": segments}
        return batch | self._shown(tokens, examples)

    def _prefixes(self, examples: list[Example]) -> dict:
        return self._whole([list(e.prefix) for e in examples], examples)

    def _shown(self, tokens: np.ndarray, examples: list[Example]) -> dict:
        tiles = np.stack([self.pictures[e.image].tiles for e in examples])
        first = np.argmax(tokens == self.loaded.image_id, axis=1)[:, None].astype(np.int32)
        return {"images": tiles, "image_slots": first}

    def _pixels(self, example: Example) -> np.ndarray:
        return self._normalised(self.pictures[example.image])

    def _normalised(self, picture) -> np.ndarray:
        return np.asarray(normalise(self.shape, picture.tiles[0])).transpose(2, 0, 1)


def _beside(line: dict, peer: tuple[float, str] | None) -> dict:
    """The line with the peer's rate, its setting, and ours over it."""
    rate, setting = (None, "") if peer is None else peer
    ratio = None if rate is None else line["ours"] / rate
    return {**line, "peer": rate, "ratio": ratio, "peer_setting": setting}


def _until(ids: np.ndarray, loaded) -> list[int]:
    return loaded.processor.until_end(ids.tolist())
