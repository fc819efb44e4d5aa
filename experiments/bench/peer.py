"""The same work by transformers and peft, on which the published scripts run.

This file imports torch; ``experiments.bench`` imports it if torch is installed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import LlavaForConditionalGeneration

from experiments.bench.workload import COMPARED_TOKENS, OPTIONS, Figure, Workload, timed
from mllm.data.conversation import image, raw_prompt

LINEAR = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


class Peer:
    """A LLaVA of transformers on the fastest device that torch has.

    Prompts are rows of ids, a picture is normalised pixels float32[3, H, W].
    """

    def __init__(self, folder: Path, dtype: str):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = getattr(torch, dtype)
        model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=kind)
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

    def timed(self, once: Callable, units: int, repeats: int, setting: str) -> Figure | None:
        """Return the figure of a call, None if memory does not suffice."""
        cuda = self.device == "cuda"
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        wait = (lambda _: torch.cuda.synchronize()) if cuda else (lambda _: None)
        try:
            found = timed(once, wait, units=units, repeats=repeats, setting=setting)
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


def figures(peer: Peer, work: Workload, repeats: int) -> dict[str, Figure]:
    """Return the peer's best figure of each piece of work, by the name in ``measure``."""
    tried = {
        f"{method}, {name}": _training(peer, work, method, repeats, name == "pictures")
        for method in ("ga", "npo")
        for name in ("pictures", "single")
    }
    tried |= {f"decoding {n}": [_decoding(peer, work, n, repeats)] for n in work.bench.batches}
    tried["choices"] = [_choices(peer, work, n, repeats) for n in work.bench.batches]
    tried["evaluation"] = [_evaluation(peer, work)]
    done = {name: [figure for figure in found if figure] for name, found in tried.items()}
    return {name: max(found, key=lambda f: f.rate) for name, found in done.items() if found}


def _training(peer, work, method: str, repeats: int, shared: bool) -> list[Figure | None]:
    found, (_, pairs, tokens) = [], work.sizes(shared)
    for checkpointing in (False, True):
        for count in work.bench.peer_rows:
            rows = work.rows(-(-count // pairs), pairs, tokens)
            asked = work.for_peer([example for row in rows for example in row][:count])
            setting = f"batch {count}" + (", checkpointing" if checkpointing else "")
            with peer.trainer(method, work.lora.rank, checkpointing=checkpointing) as step:
                found.append(peer.timed(partial(step, *asked), count, repeats, setting))
    return found


def _decoding(peer, work, count: int, repeats: int) -> Figure | None:
    prompts, _, pixels = work.for_peer([work.decoded()] * count)
    tokens = work.bench.new_tokens
    once = partial(peer.generate, prompts, pixels, tokens, all_of_them=True)
    return peer.timed(once, count * tokens, repeats, f"batch {count}")


def _choices(peer, work, count: int, repeats: int) -> Figure | None:
    """Time multiple choice with a row per option."""
    groups = work.rows(count, 1, work.bench.pair_tokens)
    asked = [example for group in groups for example in group for _ in range(OPTIONS)]
    once = partial(peer.score, *work.for_peer(asked))
    return peer.timed(once, count, repeats, f"{count} x {OPTIONS} rows")


def _evaluation(peer, work) -> Figure | None:
    """Time the published loop: one question at a time, its shots with their pictures in the prompt.

    A sample of the questions is asked, evenly over the tasks and sets.
    """
    processor = work.loaded.processor
    sample = work.published[:: max(1, len(work.published) // work.bench.sample)]

    def once():
        for item in sample:
            turn = raw_prompt(item.prompt, list(map(image, item.pictures)))
            asked = processor.encode([turn], generate=True)
            shown = [work.pixels(processor.prepare(medium)) for medium in asked.media]
            peer.generate([list(asked.ids)], shown, item.max_new_tokens)

    setting = f"batch 1, {len(sample)} of {len(work.published)} asked"
    return peer.timed(once, len(sample), 1, setting)
