"""The same work by transformers and peft, on which the published scripts run.

This file imports torch; ``experiments.bench`` imports it if torch is installed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import LlavaConfig, LlavaForConditionalGeneration

from experiments.bench.lines import Line
from experiments.bench.workload import COMPARED_TOKENS, OPTIONS, Figure, Workload, timed
from mllm.data.conversation import image, raw_prompt

LINEAR = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


class Peer:
    """A LLaVA of transformers on the fastest device that torch has.

    Prompts are rows of ids, a picture is normalised pixels float32[3, H, W].
    """

    def __init__(self, folder: Path, dtype: str, *, weights: bool = True):
        """Load a folder; without ``weights`` it holds a config.json alone, and they are random."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = getattr(torch, dtype)
        if weights:
            model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=kind)
        else:
            before = torch.get_default_dtype()
            torch.set_default_dtype(kind)
            try:
                with torch.device(self.device):
                    model = LlavaForConditionalGeneration(LlavaConfig.from_pretrained(folder))
            finally:
                torch.set_default_dtype(before)
        self.model = model.to(self.device).eval()

    def environment(self) -> dict[str, str]:
        """Return versions and device."""
        versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
        name = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        return {**versions, "device": name}

    def inputs(self, rows: Sequence[Sequence[int]], pixels: Sequence[np.ndarray]) -> dict:
        """Return rows padded at the right, and all their pictures in order."""
        width = max(map(len, rows))
        ids, mask = (torch.zeros(len(rows), width, dtype=torch.long) for _ in range(2))
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        found = {"input_ids": ids, "attention_mask": mask}
        if len(pixels):
            found["pixel_values"] = torch.tensor(np.stack(pixels)).to(self.model.dtype)
        return {name: value.to(self.device) for name, value in found.items()}

    @torch.no_grad()
    def logits(self, rows, pixels) -> np.ndarray:
        """Return the logits float32[B, T, V]."""
        return self.model(**self.inputs(rows, pixels)).logits.float().cpu().numpy()

    @torch.no_grad()
    def generate(self, rows, pixels, new_tokens: int, *, all_of_them: bool = False) -> np.ndarray:
        """Return greedy replies; ``all_of_them`` lets none end early. Rows must have one length."""
        least = new_tokens if all_of_them else None
        options = {"max_new_tokens": new_tokens, "min_new_tokens": least, "do_sample": False}
        found = self.model.generate(**self.inputs(rows, pixels), **options)
        return found[:, len(rows[0]) :].cpu().numpy()

    @torch.no_grad()
    def score(self, prompts, answers, pixels) -> np.ndarray:
        """Return the summed log-probability of each answer after its prompt, one row each."""
        inputs, labels = self.labelled(prompts, answers, pixels)
        return -_losses(self.model, inputs, labels).sum(dim=1).cpu().numpy()

    def labelled(self, prompts, answers, pixels) -> tuple[dict, torch.Tensor]:
        """Return (inputs, labels of the next tokens: -100 where no answer is predicted)."""
        rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
        inputs = self.inputs(rows, pixels)
        labels = torch.full_like(inputs["input_ids"], -100)
        for i, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
            labels[i, len(prompt) : len(row)] = inputs["input_ids"][i, len(prompt) : len(row)]
        return inputs, labels[:, 1:]

    @contextmanager
    def trainer(self, method: str, rank: int, *, checkpointing: bool = False) -> Iterator[Callable]:
        """Yield ``step(prompts, answers, pixels) -> loss`` of GA or NPO with LoRA and AdamW, a row
        per question. In every step, NPO asks the model without its adapter for the reference.
        Afterwards the model is as before.
        """
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=LINEAR)
        model = get_peft_model(self.model, config).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        trainable = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=1e-6)

        def step(prompts, answers, pixels) -> float:
            inputs, labels = self.labelled(prompts, answers, pixels)
            if method == "ga":
                loss = -_losses(model, inputs, labels).sum() / (labels >= 0).sum()
            else:
                with torch.no_grad(), model.disable_adapter():
                    reference = _losses(model, inputs, labels).sum(dim=1)
                margin = reference - _losses(model, inputs, labels).sum(dim=1)
                loss = -2 / 0.1 * logsigmoid(-0.1 * margin).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.item()

        try:
            yield step
        finally:
            if checkpointing:
                model.disable_input_require_grads()
                model.gradient_checkpointing_disable()
            self.model = model.unload().eval()

    def timed(
        self,
        once: Callable,
        units: int,
        repeats: int,
        setting: str,
        first: Callable | None = None,
    ) -> Figure | None:
        """Return the figure of a call, None if memory does not suffice."""
        cuda = self.device == "cuda"
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        wait = (lambda _: torch.cuda.synchronize()) if cuda else (lambda _: None)
        try:
            found = timed(once, wait, units=units, repeats=repeats, first=first, setting=setting)
        except torch.OutOfMemoryError:
            return None
        return replace(found, memory=torch.cuda.max_memory_allocated() if cuda else None)


def _losses(model, inputs: dict, labels: torch.Tensor) -> torch.Tensor:
    """Return negative log-likelihoods, 0 where the label is -100."""
    logits = model(**inputs).logits[:, :-1].float()
    return cross_entropy(logits.transpose(1, 2), labels, reduction="none")


def answers(peer: Peer, work: Workload) -> dict[str, np.ndarray]:
    """Return what our results must equal: logits of whole rows, log-probabilities of answers, the
    loss of GA, and greedy replies.
    """
    prompts, taught, pixels = work.for_peer(work.compared)
    rows = [[*prompt, *answer] for prompt, answer in zip(prompts, taught, strict=True)]
    with peer.trainer("ga", rank=1) as step:
        loss = step(prompts, taught, pixels)
    alone = zip(prompts, pixels, strict=True)
    return {
        "logits": peer.logits(rows, pixels),
        "scores": peer.score(prompts, taught, pixels),
        "loss": np.asarray(loss),
        "replies": [peer.generate([ids], [p], COMPARED_TOKENS)[0] for ids, p in alone],
    }


class Measurements:
    """The peer's side of the lines of the benchmark."""

    def __init__(self, peer: Peer, work: Workload, repeats: int):
        self.peer, self.work, self.repeats = peer, work, repeats
        self.published: Figure | None = None

    def measure(self, line: Line) -> dict | None:
        """Return the best figure of a line, None if memory suffices for none."""
        if line.kind == "evaluation":  # one loop, next to which every protocol of ours is shown
            self.published = self.published or self._evaluation()
            return asdict(self.published)
        tried = {
            "training": self._training,
            "decoding": self._decoding,
            "choices": self._choices,
        }[line.kind](*line.arguments)
        found = [figure for figure in tried if figure]
        return asdict(max(found, key=lambda figure: figure.rate)) if found else None

    def _training(self, method: str, name: str) -> Iterator[Figure | None]:
        """Yield figures of growing batches, first as they are, then with gradient checkpointing,
        each until memory does not suffice or the rate falls.
        """
        bench = self.work.bench
        for checkpointing, batches in ((False, bench.peer_rows), (True, bench.peer_checkpointed)):
            best = 0.0
            for count in batches:
                found = self._batch(method, name == "pictures", count, checkpointing)
                yield found
                if found is None or found.rate < best:
                    break
                best = found.rate

    def _batch(self, method: str, shared: bool, count: int, checkpointing: bool) -> Figure | None:
        _, pairs, tokens = self.work.sizes(shared)
        rows = self.work.rows(-(-count // pairs), pairs, tokens)
        asked = self.work.for_peer([example for row in rows for example in row][:count])
        setting = f"batch {count}" + (", checkpointing" if checkpointing else "")
        rank = self.work.lora.rank
        with self.peer.trainer(method, rank, checkpointing=checkpointing) as step:
            return self.peer.timed(partial(step, *asked), count, self.repeats, setting)

    def _decoding(self, rows: str) -> list[Figure | None]:
        count, tokens = int(rows), self.work.bench.new_tokens
        prompts, _, pixels = self.work.for_peer([self.work.decoded()] * count)
        once = partial(self.peer.generate, prompts, pixels, tokens, all_of_them=True)
        return [self.peer.timed(once, count * tokens, self.repeats, f"batch {count}")]

    def _choices(self) -> Iterator[Figure | None]:
        """Yield figures of multiple choice with a row per option."""
        for count in self.work.bench.batches:
            groups = self.work.rows(count, 1, self.work.bench.pair_tokens)
            asked = [example for group in groups for example in group for _ in range(OPTIONS)]
            once = partial(self.peer.score, *self.work.for_peer(asked))
            found = self.peer.timed(once, count, self.repeats, f"{count} x {OPTIONS} rows")
            yield found
            if found is None:
                return

    def _evaluation(self) -> Figure:
        """Time the published loop: one question at a time, its shots with their pictures in the
        prompt. A sample of the questions is asked, evenly over the tasks and sets.
        """
        work = self.work
        sample = work.published[:: max(1, len(work.published) // work.bench.sample)]

        def ask(items) -> None:
            for item in items:
                turn = raw_prompt(item.prompt, list(map(image, item.pictures)))
                asked = work.loaded.processor.encode([turn], generate=True)
                shown = [work.pixels(work.loaded.processor.prepare(m)) for m in asked.media]
                self.peer.generate([list(asked.ids)], shown, item.max_new_tokens)

        setting = f"batch 1, {len(sample)} of {len(work.published)} asked"
        first, once = partial(ask, sample[:1]), partial(ask, sample)
        return self.peer.timed(once, len(sample), 1, setting, first=first)
