"""An invented study: the real protocol and scores, and answers whose kinds are known beforehand.

Nothing is trained. An answerer says what each answer shows, and the judge knows every picture and
misreads some of them.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

from mllm.benchmarks.cobsat import brackets
from mllm.benchmarks.cobsat.prompt_lists import samples
from mllm.benchmarks.cobsat.protocol import JUDGE, Protocol, rounds
from mllm.benchmarks.cobsat.scores import AXES, records_of, scores_of
from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, Pair, pairs
from mllm.data.conversation import Media, image
from mllm.evaluation.kept_media import keep
from mllm.evaluation.request import Choices, Reply, Request
from mllm.files import write_json
from tests.sealing import seal_results

FINGERPRINT = "5e" * 32
Choose = Callable[[Request, random.Random], Pair | None]


def chosen(request: Request, rng: random.Random, right: float) -> Pair | None:
    """Return what a model shows that is right that often, and else fails in every way."""
    tags, truth = request.tags, brackets.right(request)
    mode = {"misleading": 0.55, "exact": 1.1, "caption": 1.05, "cot": 0.95}
    if rng.random() < right * mode.get(tags["prompt"], 1.0):
        return truth
    task = next(one for one in TASKS.values() if one.name == tags["task"])
    other = rng.choice(WORDS[tags["theta"]])
    if tags["prompt"] == "misleading":
        other = samples(task.id, int(tags["shots"]))[tags["number"]].wrong[-1]
    ways = [
        lambda: Pair(*tags["shown"][-1]),
        lambda: Pair(*tags["shown"][0]),
        lambda: task.pair(tags["inputs"][-1], other),
        lambda: task.pair(rng.choice(WORDS[tags["x"]]), tags["hidden"]),
        lambda: rng.choice(pairs(tags["theme"])),
        lambda: None,
    ]
    return rng.choices(ways, (4, 1, 3, 2, 1, 0.3))[0]()


METHODS: dict[str, Choose] = {
    "oracle": lambda r, rng: brackets.right(r),
    "view": lambda r, rng: brackets.right(r),
    "reconstructed": lambda r, rng: brackets.right(r),
    "random": lambda r, rng: brackets.guessed(r, 0),
    "copy_last": lambda r, rng: brackets.copied(r),
    "query_only": lambda r, rng: brackets.query_only(r, 0),
    "blind": lambda r, rng: brackets.query_only(r, 1),
    "other_theta": lambda r, rng: chosen(r, rng, 0.02),
    "drawer": lambda r, rng: chosen(r, rng, 0.7 + 0.03 * int(r.tags["shots"])),
}


class Answers:
    """Replies to all requests of a protocol.

    Args:
      slips: how often the judge takes a side of a picture for another word.
      drawn, said: what becomes of an encoded picture, and of a text, in an answer.
    """

    def __init__(self, benchmark, choose: Choose, slips: float, drawn, said):
        self.benchmark, self.choose, self.slips = benchmark, choose, slips
        self.drawn, self.said = drawn, said
        self.known: dict[str, Pair] = {}

    def reply(self, request: Request) -> Reply:
        rng = random.Random(request.key)
        tags = request.tags
        if tags["part"] == JUDGE:
            return self._judge(request, rng)
        if tags["part"] == "analysis":
            return Reply(request.key, text=self.said(f"All images share the {tags['theta']}."))
        pair = self.choose(request, rng)
        if pair is None:
            return Reply(request.key, state="error")
        if tags["mode"] == "text":
            text = self.benchmark.caption(*pair)
            return Reply(request.key, text=self.said(text if rng.random() > 0.02 else "A thing."))
        media = image(self.drawn(self.benchmark.picture(*pair)))
        self.known[media.digest] = pair
        return Reply(request.key, media=media)

    def _judge(self, request: Request, rng: random.Random) -> Reply:
        words, side = WORDS[request.tags["words"]], request.tags["side"]
        number = 1 + words.index(getattr(self.known[request.tags["output"]], side))
        if random.Random(f"{request.tags['output']}/{side}").random() < self.slips:
            number = rng.randrange(1, 11)
        if isinstance(request.ask, Choices):
            logprobs = tuple(-0.1 if n == number else -5.0 for n in range(1, 11))
            return Reply(request.key, logprobs=logprobs)
        return Reply(request.key, text=str(number) if rng.random() > 0.03 else f"{number} or 2")


def records_for(benchmark, protocol: Protocol, answers: Answers) -> tuple[list[dict], list[Media]]:
    """Return (the records, the drawn pictures) of an answerer."""
    asking, replies = rounds(benchmark, protocol), None
    answered: list[tuple[Request, Reply]] = []
    try:
        while True:
            asked = next(asking) if replies is None else asking.send(replies)
            replies = [answers.reply(request) for request in asked]
            answered += zip(asked, replies, strict=True)
    except StopIteration:
        media = [reply.media for _, reply in answered if reply.media is not None]
        return records_of(answered), media


def write_run(
    workdir: Path,
    method: str,
    benchmark,
    protocol: Protocol,
    *,
    choose: Choose | None = None,
    slips: float = 0.0,
    drawn: Callable[[bytes], bytes] = lambda data: data,
    said: Callable[[str], str] = lambda text: text,
    section: dict | None = None,
) -> list[dict]:
    """Write the folder of one evaluated run; return its records."""
    answers = Answers(benchmark, choose or METHODS[method], slips, drawn, said)
    records, media = records_for(benchmark, protocol, answers)
    folder = workdir / method / "eval" / "rounds" / protocol.data
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "records.jsonl").write_text(lines, encoding="utf-8")
    for one in {one.digest: one for one in media}.values():
        keep(folder, one)
    record = {
        "schema": 1,
        "method": method,
        "seed": 0,
        "status": "finished",
        "protocol": "rounds",
        "checkpoint_digest": f"digest of {method}",
        "data_fingerprint": benchmark.fingerprint,
        "config": {"benchmark": {"name": "cobsat", "data_dir": "nowhere", "config": "micro"}
                   | (section or {})},
        "cost": {"steps": 1200, "seconds": 381.0, "parameters": 3_400_000},
        "environment": {},
    }  # fmt: skip
    write_json(workdir / method / "run.json", record)
    entry = {key: record[key] for key in ("method", "seed", "checkpoint_digest", "protocol")}
    results = {
        "schema": 1,
        "benchmark": "cobsat",
        "axes": list(AXES),
        "runs": [{**entry, "scores": scores_of(records), "cost": record["cost"]}],
        "environment": {},
    }
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    fields = json.loads(json.dumps(protocol.digest_fields()))
    write_json(folder / "manifest.json", {**manifest, "protocol": fields})
    write_json(folder.parent / "results.json", results)
    seal_results(folder.parent / "results.json", protocol.data)
    return records
