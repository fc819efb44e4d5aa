"""The published evaluation, transcribed from its description onto transformers: batch 1, float32,
greedy. It reads parquet folders and draws with Python's global ``random``; nothing here comes from
``mllm``, and nothing is repaired: rows are read as they are, and inputs go to the model as the
processor makes them.

A sheet is one asked question: everything that the script saw, did and counted.
"""

import io
import random
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from PIL import Image
from rouge_score.rouge_scorer import RougeScorer

ONLY_THE_BLANK = "Please **ONLY** provide the correct answer that should replace the [Blank]."
ONE_LETTER = "Just give ONE letter representing the answer directly."
IN_A_SENTENCE = "Answer the question based on your trained knowledge in one sentence"


def read_rows(folder: Path) -> list[dict]:
    files = sorted(folder.glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


class PublishedScript:
    """Evaluates ``model`` on the folders below ``folder``.

    ``choice_shots``, ``cloze_shots``: profiles drawn. ``short``: most tokens of a letter without a
    picture.
    """

    def __init__(
        self, folder: Path, forget: int, model, processor, choice_shots, cloze_shots, short
    ):
        self.model, self.processor = model, processor
        self.choice_shots, self.cloze_shots, self.short = choice_shots, cloze_shots, short
        self.full = read_rows(folder / "Full_Set")
        forget_rows = read_rows(folder / f"forget_{forget}")
        forget_ids = [row["ID"] for row in forget_rows]
        test_rows = [row for row in read_rows(folder / "Test_Set") if row["ID"] in forget_ids]
        retain_rows = read_rows(folder / f"retain_{100 - forget}")
        stars = read_rows(folder / "Retain_Set")
        self.modes = {
            "forget": (forget_rows, forget_ids),
            "test": (test_rows, forget_ids),
            "retain_shared": (retain_rows, [row["ID"] for row in retain_rows]),
            "retain_celebrity": (stars, [row["ID"] for row in stars]),
        }
        self.sheets: list[dict] = []

    def run(self, seed: int) -> list[dict]:
        random.seed(seed)
        for mode in self.modes:
            first, second = self.cloze, self.classification
            if mode == "test":
                first, second = second, first
            first(mode)
            second(mode)
            self.generation(mode)
        return self.sheets

    def picture(self, mode: str, row: dict) -> bytes:
        if mode == "test" and "images" in row:
            return random.choice(row["images"])["bytes"]
        return row["image"]["bytes"]

    def answer(self, prompt: str, pictures: list[bytes], most: int) -> str:
        """The decoded whole of prompt and reply, without its first two tokens."""
        if pictures:
            images = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
            inputs = self.processor(images=images, text=prompt, return_tensors="pt")
        else:  # of a cloze the processor, which in the pinned version calls its tokenizer alone
            inputs = self.processor.tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            outputs = self.model.generate(**inputs, max_new_tokens=most, do_sample=False)
        return self.processor.tokenizer.decode(outputs[0][2:], skip_special_tokens=True)

    def note(self, mode, task, kind, row, question, prompt, pictures, decoded, answer, **counted):
        self.sheets.append(
            {
                "mode": mode,
                "task": task,
                "kind": kind,
                "id": row["ID"],
                "question": question,
                "prompt": prompt,
                "pictures": pictures,
                "decoded": decoded,
                "answer": answer,
                **counted,
            }
        )

    def classification(self, mode: str) -> None:
        rows, ids = self.modes[mode]
        drawn = random.sample(ids, self.choice_shots)
        shots = {"Image_Textual_Questions": [], "Pure_Text_Questions": []}
        used = set()
        for row in self.full:
            if row["ID"] in drawn:
                for kind, items in row["Classification_Task"].items():
                    for index, item in enumerate(items):
                        shots[kind].append((item, row["image"]["bytes"]))
                        used.add((row["ID"], kind, index))
        for row in rows:
            own = self.picture(mode, row)
            for kind in shots:
                shown = kind == "Image_Textual_Questions"
                user = "USER: <image>\n" if shown else "USER:\n"
                for index, item in enumerate(row["Classification_Task"][kind]):
                    if (row["ID"], kind, index) in used:
                        continue
                    prompt, pictures = "", []
                    for shot, picture in shots[kind] if mode != "retain_celebrity" else ():
                        o = shot["Options"]
                        prompt += f"{user}Question: {shot['Question']}\n"
                        prompt += f"A: {o['A']}\nB: {o['B']}\nC: {o['C']}\nD: {o['D']}\n"
                        prompt += f"Correct Answer: {shot['Correct_Answer']}\n"
                        pictures.append(picture)
                    o = item["Options"]
                    prompt += f"{user}{item['Question']}\n"
                    prompt += "\n".join([f"{letter}: {text}" for letter, text in o.items()])
                    prompt += f"\n{ONE_LETTER}\nASSISTANT:"
                    pictures = [*pictures, own] if shown else []
                    decoded = self.answer(prompt, pictures, 50 if shown else self.short)
                    reply = decoded
                    if "ASSISTANT:" in decoded:
                        reply = decoded.split("ASSISTANT:")[1]
                    reply = reply.strip()
                    letter = reply[0].upper() if reply and reply[0].upper() in o else None
                    right = letter == item["Correct_Answer"]
                    where = mode, "classification", kind, row, item["Question"]
                    self.note(*where, prompt, pictures, decoded, reply, right=right)

    def cloze(self, mode: str) -> None:
        rows, ids = self.modes[mode]
        drawn = random.sample(ids, self.cloze_shots)
        shots = {"Image_Textual": [], "Pure_Text": []}
        used = set()
        for row in self.full:
            if row["ID"] in drawn:
                for index, item in enumerate(row["Mask_Task"]):
                    if item["Type"] in shots:
                        shots[item["Type"]].append((item, row["image"]["bytes"]))
                        used.add((row["ID"], item["Type"], index))
        for row in rows:
            own = self.picture(mode, row)
            for index, item in enumerate(row["Mask_Task"]):
                kind = item["Type"]
                if (row["ID"], kind, index) in used:
                    continue
                shown = kind == "Image_Textual"
                prompt, pictures = "", []
                for shot, picture in shots.get(kind, ()):
                    text = shot["Question"].replace("__", "[Blank]") + "\n" + ONLY_THE_BLANK
                    prompt += "USER:<image>\n" if shown else "USER:\n"
                    prompt += f"{text}\nCorrect Answer: {shot['Ground_Truth']}\n"
                    pictures.append(picture)
                text = item["Question"].replace("__", "[Blank]") + "\n" + ONLY_THE_BLANK
                prompt += "USER: <image>\n" if shown else "USER:\n"
                prompt += f"{text}\nASSISTANT:"
                pictures = [*pictures, own] if shown else []
                decoded = self.answer(prompt, pictures, 50)
                if kind not in shots:
                    continue  # asked, and counted nowhere
                reply = self.free(decoded)
                right = item["Ground_Truth"].lower() in reply.lower()
                where = mode, "cloze", kind, row, item["Question"]
                self.note(*where, prompt, pictures, decoded, reply, right=right)

    def generation(self, mode: str) -> None:
        scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
        for row in self.modes[mode][0]:
            own = self.picture(mode, row)
            for item in row["Generation_Task"]:
                # A type that is none of the two is asked, and counted, as one of text.
                kind = "Image_Textual" if item["Type"] == "Image_Textual" else "Pure_Text"
                question, gold = item["Question"], item["Ground_Truth"]
                if kind == "Image_Textual":
                    prompt = f"USER: <image>\n{question}\n{IN_A_SENTENCE} accurately in ENGLISH."
                    prompt, pictures = f"{prompt}\nASSISTANT: ", [own]
                else:
                    prompt = f"USER: {question}\n{IN_A_SENTENCE} in ENGLISH.\nASSISTANT:"
                    pictures = []
                decoded = self.answer(prompt, pictures, 50)
                reply = self.free(decoded)
                rouge = {k: v.fmeasure for k, v in scorer.score(gold, reply).items()}
                method = SmoothingFunction().method1
                bleu = sentence_bleu([gold.split()], reply.split(), smoothing_function=method)
                where = mode, "generation", kind, row, question
                self.note(*where, prompt, pictures, decoded, reply, **rouge, bleu=bleu)

    @staticmethod
    def free(decoded: str) -> str:
        for mark in ("ASSISTANT:", "Answer:"):
            if mark in decoded:
                return decoded.split(mark)[1].strip()
        return decoded.strip()


def averages(sheets: list[dict]) -> dict[tuple, tuple[float, int]]:
    """(mean, number of questions) by mode, task, kind and what was counted."""
    groups = defaultdict(list)
    for sheet in sheets:
        for name in ("right", "rouge1", "rouge2", "rougeL", "bleu"):
            if name in sheet:
                place = sheet["mode"], sheet["task"], sheet["kind"], name
                groups[place].append(float(sheet[name]))
    return {place: (sum(values) / len(values), len(values)) for place, values in groups.items()}
