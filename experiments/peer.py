"""The same work by transformers and peft: what the published scripts run on. The one file outside
the tests that imports torch.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import LlavaForConditionalGeneration

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

    def wait(self) -> None:
        """Return when the device is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def memory(self) -> int | None:
        """The most bytes that were in use since this was last asked, None on a CPU."""
        if self.device == "cpu":
            return None
        found = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return found

    def inputs(self, rows: Sequence[Sequence[int]], pixels: Sequence[np.ndarray]) -> dict:
        """Rows padded at the right, and all their pictures in order."""
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
        """float32[B, T, V]."""
        return self.model(**self.inputs(rows, pixels)).logits.float().cpu().numpy()

    @torch.no_grad()
    def generate(self, rows, pixels, new_tokens: int, *, all_of_them: bool = False) -> np.ndarray:
        """Greedy replies; ``all_of_them`` lets none end early. The rows must be of one length."""
        least = new_tokens if all_of_them else None
        options = {"max_new_tokens": new_tokens, "min_new_tokens": least, "do_sample": False}
        found = self.model.generate(**self.inputs(rows, pixels), **options)
        return found[:, len(rows[0]) :].cpu().numpy()

    @torch.no_grad()
    def score(self, prompts, answers, pixels) -> np.ndarray:
        """Summed log-probability of each answer behind its prompt, one row each."""
        rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
        inputs = self.inputs(rows, pixels)
        values = torch.log_softmax(self.model(**inputs).logits[:, :-1].float(), dim=-1)
        values = values.gather(-1, inputs["input_ids"][:, 1:, None])[..., 0].cpu().numpy()
        return np.array(
            [
                values[i, len(prompt) - 1 : len(prompt) + len(answer) - 1].sum()
                for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
            ]
        )

    def trainer(self, method: str, rank: int, *, checkpointing: bool) -> Callable:
        """``step(prompts, answers, pixels) -> loss`` of GA or NPO with LoRA and AdamW, one row a
        question. NPO asks the model without its adapter for the reference, in every step.
        """
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=LINEAR)
        model = get_peft_model(copy.deepcopy(self.model), config).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

        def losses(inputs, labels):
            logits = model(**inputs).logits[:, :-1].float()
            return cross_entropy(logits.transpose(1, 2), labels, reduction="none")

        def step(prompts, answers, pixels) -> float:
            rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
            inputs = self.inputs(rows, pixels)
            labels = torch.full_like(inputs["input_ids"], -100)
            for i, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
                labels[i, len(prompt) : len(row)] = inputs["input_ids"][i, len(prompt) : len(row)]
            labels = labels[:, 1:]
            if method == "ga":
                loss = -losses(inputs, labels).sum() / (labels >= 0).sum()
            else:
                with torch.no_grad(), model.disable_adapter():
                    reference = losses(inputs, labels).sum(dim=1)
                margin = reference - losses(inputs, labels).sum(dim=1)
                loss = -2 / 0.1 * logsigmoid(-0.1 * margin).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.item()

        return step
