"""Every request is answered once, whatever is killed in between; nothing is mixed."""

import json
import shutil

import pytest

from mllm.data.conversation import image, user
from mllm.evaluation.request import (
    Choices,
    Picture,
    Questions,
    Reply,
    Request,
    Text,
    described,
)
from mllm.evaluation.store import collect, use_replies_of, with_questions_named
from mllm.files import read_jsonl, read_sealed


class Answerer:
    """Answers two requests at a time, and counts what it is asked."""

    def __init__(self, name="subject", fails_after=None):
        self.identity, self.name, self.fails_after, self.asked = {}, name, fails_after, []

    def answer(self, requests, done):
        missing = [request for request in requests if request.key not in done]
        for start in range(0, len(missing), 2):
            if self.fails_after is not None and len(self.asked) >= self.fails_after:
                raise KeyboardInterrupt
            self.asked += [request.key for request in missing[start : start + 2]]
            yield [self._reply(request) for request in missing[start : start + 2]]

    def _reply(self, request):
        if isinstance(request.ask, Choices):
            return Reply(request.key, logprobs=(-0.1, -1e-300), tokens=(1, 2))
        text = f"{self.name} says {request.turns[-1].text}"
        return Reply(request.key, text, ended=False, extra={"seconds": 0.5})


TEXT = Text(4)


def request(key, text="Who?", ask=TEXT, **fields):
    turns = (user(image(b"pixels"), text),)
    return Request(key, "cluster", {"set": "all", "gold": "Ada"}, turns, ask, **fields)


def two_rounds():
    """A caption, then a question about it, and a verdict of a judge."""
    captions = yield [request(f"caption {n}", f"Describe {n}.") for n in range(3)]
    asked = [request(f"question {n}", c.text) for n, c in enumerate(captions)]
    asked += [request("choice", ask=Choices(("a", "b")))]
    replies = yield asked
    yield [request(f"verdict {r.key}", r.text or "", model="judge") for r in replies[:2]]


def models(**options):
    return {"subject": Answerer(**options), "judge": Answerer("judge")}


def test_later_rounds_follow_from_earlier_replies(tmp_path):
    told = []
    found = collect(
        two_rounds(), models(), tmp_path, {}, progress=lambda *numbers: told.append(numbers)
    )
    assert [one.key for one, _ in found][:4] == [*(f"caption {n}" for n in range(3)), "question 0"]
    texts = {one.key: reply.text for one, reply in found}
    assert texts["question 1"] == "subject says subject says Describe 1."
    assert texts["verdict question 0"].startswith("judge says subject says")
    assert all(one.key == reply.key for one, reply in found)
    assert told[0] == (2, 3) and told[-1] == (9, 9)
    assert all(one.turns[0].media == () for one, _ in found)  # pictures are not kept


def test_a_finished_run_is_replayed_and_a_killed_one_goes_on(tmp_path):
    whole = collect(two_rounds(), models(), tmp_path / "whole", {})
    killed = models(fails_after=4)
    with pytest.raises(KeyboardInterrupt):
        collect(two_rounds(), killed, tmp_path / "killed", {})
    path = tmp_path / "killed" / "replies.jsonl"
    with path.open("a") as file:  # a line that the kill tore
        file.write('{"key": "question 2", "te')
    again = models()
    assert collect(two_rounds(), again, tmp_path / "killed", {}) == whole
    assert again["subject"].asked == ["question 2", "choice"]
    assert path.read_bytes() == (tmp_path / "whole" / "replies.jsonl").read_bytes()
    silent = models(fails_after=0)
    assert collect(two_rounds(), silent, tmp_path / "killed", {}) == whole
    assert silent["subject"].asked == silent["judge"].asked == []


def test_rows_can_be_read_by_a_person(tmp_path):
    collect(iter_once([request("k", "Who is it?")]), models(), tmp_path, {"data": "d"})
    (row,) = read_jsonl(tmp_path / "replies.jsonl")
    assert row["turns"][0]["role"] == "user" and row["turns"][0]["parts"][1] == "Who is it?"
    assert row["turns"][0]["parts"][0] == {"image": image(b"pixels").digest}
    assert row["tags"] == {"set": "all", "gold": "Ada"} and row["ask"]["limit"] == 4
    assert row["text"] == "subject says Who is it?" and row["extra"] == {"seconds": 0.5}
    assert read_sealed(tmp_path / "manifest.json") == {"data": "d"}


def test_replies_of_another_manifest_are_set_aside(tmp_path):
    asked = [request("k")]
    collect(iter_once(asked), models(), tmp_path, {"weights": 1})
    other = {"subject": Answerer("another")}
    ((_, reply),) = collect(iter_once(asked), other, tmp_path, {"weights": 2})
    assert reply.text == "another says Who?"
    (aside,) = tmp_path.glob("replies-*.jsonl")
    assert json.loads(aside.read_text())["text"] == "subject says Who?"


def iter_once(requests):
    yield requests


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="two different requests have the key 'k'"):
        collect(iter_once([request("k"), request("k", "Where?")]), models(), tmp_path / "a", {})
    with pytest.raises(ValueError, match="'juge'; did you mean 'judge'"):
        collect(iter_once([request("k", model="juge")]), models(), tmp_path / "b", {})

    class Silent(Answerer):
        def answer(self, requests, done):
            yield []

    with pytest.raises(ValueError, match="'subject' left 1 of 1 requests without a reply, first"):
        collect(iter_once([request("k")]), {"subject": Silent()}, tmp_path / "c", {})


def test_a_protocol_may_add_what_to_do_about_an_error(tmp_path):
    class Refusing(Answerer):
        def answer(self, requests, done):
            raise ValueError("too long")
            yield

    def rounds():
        try:
            yield [request("k")]
        except ValueError as error:
            raise ValueError(f"{error}; show fewer pictures") from None

    with pytest.raises(ValueError, match="too long; show fewer pictures"):
        collect(rounds(), {"subject": Refusing()}, tmp_path, {})
    with pytest.raises(ValueError, match=r"^too long$"):
        collect(iter_once([request("k")]), {"subject": Refusing()}, tmp_path, {})


def damages(path):
    """Yield (name, content) of a file of replies that was changed behind the program's back."""
    lines = path.read_text().splitlines(keepends=True)
    first = json.loads(lines[0])

    def with_first(row):
        return json.dumps(row) + "\n" + "".join(lines[1:])

    yield "gold", with_first({**first, "tags": {**first["tags"], "gold": "Eve"}})
    yield "text", with_first({**first, "text": "Ada"})
    yield "state", with_first({**first, "state": "refusal"})
    for key in first:
        yield f"without {key}", with_first({k: v for k, v in first.items() if k != key})
    yield "key of another", with_first({**first, "key": json.loads(lines[1])["key"]})
    yield "a byte", "x" + "".join(lines)[1:]
    yield "no object", "[]\n" + "".join(lines[1:])
    yield "zeros at the end", "".join(lines) + "\0" * 40
    yield "zeros, then a line", "\0" * 40 + "".join(lines)
    yield "not a number", with_first({**first, "extra": {"seconds": float("nan")}})
    yield (
        "half a character",
        "".join(lines) + '{"key": "\ud83d'.encode("utf-8", "surrogatepass").decode("latin-1"),
    )
    yield "cut", "".join(lines)[: len("".join(lines)) // 2]
    yield "empty", ""


def test_a_changed_reply_is_asked_again_and_never_used(tmp_path, capsys):
    whole = collect(two_rounds(), models(), tmp_path / "whole", {"weights": 1})
    kept = (tmp_path / "whole" / "replies.jsonl").read_bytes()
    known = set(kept.splitlines())
    found = list(damages(tmp_path / "whole" / "replies.jsonl"))
    assert len(found) > 20
    for name, content in found:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_bytes((tmp_path / "whole" / "manifest.json").read_bytes())
        (folder / "replies.jsonl").write_text(content)
        assert collect(two_rounds(), models(), folder, {"weights": 1}) == whole, name
        assert set((folder / "replies.jsonl").read_bytes().splitlines()) == known, name
        changed = set(content.encode().split(b"\n")[:-1]) - known
        asides = [path.read_text() for path in folder.glob("replies-*.jsonl")]
        assert asides == ([content] if changed else []), name
        told = capsys.readouterr().err
        assert (str(folder / "replies.jsonl") in told) == bool(changed), name


def test_replies_of_another_run_are_not_taken_for_those_of_this_one(tmp_path):
    """Nor where a file of replies, or a manifest, is put in the place of another."""
    other = {"subject": Answerer("another"), "judge": Answerer("judge")}
    collect(two_rounds(), other, tmp_path / "other", {"weights": 2})
    whole = collect(two_rounds(), models(), tmp_path / "whole", {"weights": 1})
    for names in (["replies.jsonl"], ["manifest.json"], ["replies.jsonl", "manifest.json"]):
        folder = tmp_path / "-".join(names)
        shutil.copytree(tmp_path / "whole", folder)
        for name in names:
            shutil.copy(tmp_path / "other" / name, folder / name)
        asked = models()
        assert collect(two_rounds(), asked, folder, {"weights": 1}) == whole
        assert bool(asked["subject"].asked) == ("replies.jsonl" in names)


def test_the_first_round_names_the_questions():
    def named(*texts):
        def rounds():
            replies = yield [request(text, text) for text in texts]
            yield [request(reply.key + " again") for reply in replies]

        return with_questions_named(Questions(rounds(), {"protocol": 1}, list))

    first, same, fewer = named("a", "b"), named("a", "b"), named("a")
    assert first.conditions == same.conditions != fewer.conditions
    assert first.conditions["protocol"] == 1
    requests = next(first.rounds)
    assert [one.key for one in requests] == ["a", "b"]
    later = first.rounds.send([Reply(one.key) for one in requests])
    assert [one.key for one in later] == ["a again", "b again"]
    with pytest.raises(StopIteration):
        first.rounds.send([])


class Painter(Answerer):
    """Answers with a picture that its request determines."""

    def _reply(self, request):
        return Reply(request.key, media=image(request.key.encode()), extra={"codes": [1, 2]})


def drawn_and_judged():
    """Two drawings, and a question about each of them."""
    drawn = yield [request(f"draw {n}", ask=Picture(seed=n)) for n in range(2)]
    yield [
        Request(f"judge {reply.key}", "c", {}, (user(reply.media, "What?"),), TEXT)
        for reply in drawn
    ]


def files_of(folder):
    return sorted(path for path in (folder / "media").rglob("*") if path.is_file())


def test_drawings_are_files_next_to_the_replies(tmp_path):
    class Both(Painter):
        def _reply(self, request):
            of = Painter if isinstance(request.ask, Picture) else Answerer
            return of._reply(self, request)

    whole = collect(drawn_and_judged(), {"subject": Both()}, tmp_path, {})
    assert [reply.media for _, reply in whole[:2]] == [image(b"draw 0"), image(b"draw 1")]
    assert whole[2][1].media is None
    files = files_of(tmp_path)
    assert {path.read_bytes() for path in files} == {b"draw 0", b"draw 1"}
    assert all(path.name.startswith(path.parent.name) and path.suffix == ".png" for path in files)
    silent = Both(fails_after=0)
    assert collect(drawn_and_judged(), {"subject": silent}, tmp_path, {}) == whole
    assert silent.asked == []
    replies = tmp_path / "replies.jsonl"
    before = replies.read_text()
    row = json.loads(before.splitlines()[0])
    assert row["media"] == {"image": image(b"draw 0").digest}
    assert row["ask"]["seed"] == 0 and row["extra"] == {"codes": [1, 2]}


@pytest.mark.parametrize("damage", ["changed", "missing", "swapped", "cut"])
def test_a_changed_drawing_is_asked_again(tmp_path, capsys, damage):
    asked = [request(f"draw {n}", ask=Picture(seed=n)) for n in range(3)]
    whole = collect(iter_once(asked), {"subject": Painter()}, tmp_path, {})
    first, second = files_of(tmp_path)[:2]
    hurt = {first.read_bytes().decode()}
    if damage == "changed":
        first.write_bytes(b"another picture")
    elif damage == "missing":
        first.unlink()
    elif damage == "cut":
        first.write_bytes(first.read_bytes()[:-1])
    else:
        hurt.add(second.read_bytes().decode())
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    again = Painter()
    assert collect(iter_once(asked), {"subject": again}, tmp_path, {}) == whole
    assert set(again.asked) == hurt
    assert (
        f"the files of {len(hurt)} replies are missing or were changed" in capsys.readouterr().err
    )
    silent = Painter(fails_after=0)
    assert collect(iter_once(asked), {"subject": silent}, tmp_path, {}) == whole


def test_drawings_go_along_with_replies_that_are_scored_anew(tmp_path):
    asked = [request("draw 0", ask=Picture())]
    old, new = tmp_path / "old", tmp_path / "new"
    whole = collect(iter_once(asked), {"subject": Painter()}, old, {"weights": 1, "scoring": {}})
    assert use_replies_of(old, new, {"weights": 1, "scoring": {"rule": 2}})
    manifest = {"weights": 1, "scoring": {"rule": 2}}
    assert collect(iter_once(asked), {"subject": Painter(fails_after=0)}, new, manifest) == whole


def test_asks_are_described_without_media_and_without_neutral_new_options():
    assert described(Text(4)) == {
        "limit": 4,
        "temperature": 0.0,
        "seed": 0,
        "stop": (),
        "echo": None,
    }
    assert described(Text(4, 1.0, top_k=3))["top_k"] == 3
    other = (user(image(b"shot"), "red: "),)
    ask = Picture(guidance=3.0, other=other)
    assert json.loads(json.dumps(described(ask)))["other"] == [
        {"role": "user", "parts": [{"image": image(b"shot").digest}, "red: "]}
    ]
    assert ask.strength == 2.0 and Picture(contrast=0.5, other=other).strength == 0.5
    assert Picture().strength == Picture(guidance=1.0).strength == 0.0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1.0}, "temperature: expected 0 or more, found -1"),
        ({"top_k": -1}, "top_k: expected 0 or more, found -1"),
        ({"top_p": 0.0}, "top_p: expected more than 0 and at most 1, found 0"),
        ({"guidance": -2.0}, "guidance: expected 0 or more, found -2"),
        ({"guidance": 2.0}, "other: expected the conversation to be pushed away from, found none"),
        ({"guidance": 2.0, "contrast": 0.5}, "contrast 0.5: expected one of them"),
    ],
)
def test_options_of_drawings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Picture(**options)
