"""A model at an HTTP endpoint, played by a local server that fails in all the usual ways."""

import base64
import io
import json

import pytest
from chat_server import completion, serving, text_of
from PIL import Image

from mllm.data.conversation import Media, assistant, image, raw, system, user
from mllm.evaluation.endpoint import Endpoint, EndpointConfig
from mllm.evaluation.request import Choices, Picture, Request, Text, content_key
from mllm.evaluation.store import collect
from mllm.evaluation.web import Patience

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("TEST_ENDPOINT_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def picture(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return image(buffer.getvalue())


def question(text, *media, ask=None, key=None):
    turns = (user(*media, text),)
    ask = ask or Text(8)
    return Request(key or content_key(repr(ask), turns=turns), "cluster", {}, turns, ask)


def config(chat, **changes):
    patience = changes.pop("patience", Patience(retries=3))
    return EndpointConfig(
        chat.url, "big-model", key_variable="TEST_ENDPOINT_KEY", patience=patience, **changes
    )


def replies_of(endpoint, requests, done=()):
    found = [reply for lot in endpoint.answer(requests, set(done)) for reply in lot]
    return {reply.key: reply for reply in found}


def asking(chat, folder, requests, *, waits=None, replay=False, **changes):
    sleep = (lambda seconds: None) if waits is None else waits.append
    endpoint = Endpoint(
        config(chat, **changes), folder / "answers.jsonl", replay=replay, sleep=sleep
    )
    return replies_of(endpoint, requests), endpoint


def torn(handler):
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')


def mishaps(body, attempt):
    """Behave as the text of the question says; a good answer follows what passes."""
    said = text_of(body)
    first = attempt == 1
    if "busy" in said and first:
        return 429, {"Retry-After": "7"}, {"error": {"message": "slow down"}}
    if "broken" in said and first:
        return 500, {}, b"<html>oops</html>"
    if "unavailable" in said and attempt <= 2:
        return 503, {}, b""
    if "slow" in said and first:
        return lambda handler: handler.release.wait()
    if "garbage" in said and first:
        return 200, {}, b"{'choices':"
    if "no choices" in said and first:
        return 200, {}, {"object": "chat.completion", "choices": []}
    if "torn" in said and first:
        return torn
    if "closed" in said and first:
        return lambda handler: handler.connection.close()
    if "hopeless" in said:
        return 500, {}, {"error": {"message": f"no luck with {KEY}"}}
    if "wrong" in said:
        return 400, {}, {"error": {"message": "no such parameter", "code": "bad"}}
    if "filtered" in said:
        return 400, {}, {"error": {"message": "policy", "code": "content_filter"}}
    if "declined" in said:
        return 200, {}, completion(None, refusal="I will not.")
    if "long" in said:
        return 200, {}, completion("and so on and", finish="length")
    return 200, {}, completion(f"answer to {said}")


PASSING = [
    "busy",
    "broken",
    "unavailable",
    "slow",
    "garbage",
    "no choices",
    "torn",
    "closed",
    "fine",
]
FINAL = ["hopeless", "wrong", "filtered", "declined", "long"]


def test_an_endpoint_that_fails_is_evaluated_to_the_end_and_replayed_without_it(tmp_path):
    requests = [question(text, picture()) for text in PASSING + FINAL]
    keys = {text: request.key for text, request in zip(PASSING + FINAL, requests, strict=True)}
    patience = Patience(timeout=1.5, retries=3)
    waits = []
    with serving(mishaps) as chat:
        found, endpoint = asking(chat, tmp_path, requests, waits=waits, patience=patience)
        calls = len(chat.calls)
        again, idle = asking(chat, tmp_path, requests, patience=patience)
        asked_again = {text_of(body) for _, _, body in chat.calls[calls:]}
    for text in PASSING:
        reply = found[keys[text]]
        assert (reply.text, reply.state, reply.ended) == (
            f"answer to [image]{text}",
            "valid",
            True,
        ), reply
    assert {text: found[keys[text]].state for text in FINAL} == {
        "hopeless": "error",
        "wrong": "error",
        "filtered": "refusal",
        "declined": "refusal",
        "long": "valid",
    }
    assert found[keys["declined"]].text == "I will not."
    assert not found[keys["long"]].ended
    reason = found[keys["hopeless"]].extra["reason"]
    assert reason == "status 500: no luck with [key] (attempt 4, the last)"
    assert found[keys["hopeless"]].text is None
    assert found[keys["wrong"]].extra["reason"] == "status 400: no such parameter"
    assert chat.attempts["[image]wrong"] == 1 + 1  # not retried, but asked again by a new session
    assert chat.attempts["[image]unavailable"] == 3
    assert max(waits) == 7.0  # as long as Retry-After asks
    assert endpoint.spent.errors == 2

    # a second session asks only what failed
    assert asked_again == {"[image]hopeless", "[image]wrong"}
    assert idle.spent.calls == 2
    assert {key: again[key].text for key in again} == {key: found[key].text for key in found}

    # the server is gone
    replayed, silent = asking(chat, tmp_path, requests, replay=True)
    assert replayed == again
    assert silent.spent.calls == 0
    with pytest.raises(ValueError, match=r"request newcomer: .*answers\.jsonl holds no answer"):
        asking(chat, tmp_path, [*requests, question("new", key="newcomer")], replay=True)
    assert KEY not in (tmp_path / "answers.jsonl").read_text()


def test_waits_double_up_to_the_longest_and_jitter_within_half(tmp_path):
    waits = []
    patience = Patience(retries=6, first_wait=1.0, longest_wait=8.0)
    with serving(lambda body, attempt: (502, {}, b"")) as chat:
        asking(chat, tmp_path, [question("x")], waits=waits, patience=patience)
        assert len(chat.calls) == 7
    for wait, full in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
        assert full / 2 <= wait <= full


@pytest.mark.parametrize("header", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_wait_that_is_too_long_is_not_waited_for(tmp_path, header):
    waits = []
    with serving(lambda body, attempt: (429, {"Retry-After": header}, b"")) as chat:
        found, _ = asking(chat, tmp_path, [question("x")], waits=waits)
        assert len(chat.calls) == 1
    (reply,) = found.values()
    assert reply.state == "error"
    assert "asks for a wait of" in reply.extra["reason"]
    assert waits == []


def test_a_spent_quota_is_not_waited_for(tmp_path):
    error = {"error": {"message": "pay first", "code": "insufficient_quota"}}
    with serving(lambda body, attempt: (429, {}, error)) as chat:
        asking(chat, tmp_path, [question("x")])
        assert len(chat.calls) == 1


def test_what_is_sent(tmp_path):
    red, blue = picture("red"), picture("blue")
    turns = (
        system("Be brief."),
        user("First: ", red, " second: ", blue, " which is red?"),
        assistant("The first."),
        user("Sure?"),
    )
    ask = Text(5, temperature=0.7, seed=3, stop=("\n",))
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        request = Request("k", "c", {}, turns, ask)
        asking(chat, tmp_path, [request], parameters={"top_p": 0.9, "seed": None})
        ((path, headers, body),) = chat.calls
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"

    def url(media):
        data = base64.b64encode(media.data).decode()
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

    assert body == {
        "model": "big-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "First: "},
                    url(red),
                    {"type": "text", "text": " second: "},
                    url(blue),
                    {"type": "text", "text": " which is red?"},
                ],
            },
            {"role": "assistant", "content": "The first."},
            {"role": "user", "content": "Sure?"},
        ],
        "max_tokens": 5,
        "temperature": 0.7,
        "stop": ["\n"],
        "top_p": 0.9,
    }


def test_a_redirect_takes_the_key_nowhere(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("stolen"))) as other:
        where = {"Location": f"{other.url}/chat/completions"}
        with serving(lambda body, attempt: (307, where, b"")) as chat:
            found, _ = asking(chat, tmp_path, [question("x")])
        assert not other.calls
    (reply,) = found.values()
    assert reply.state == "error"
    assert "redirects are not followed" in reply.extra["reason"]


def test_a_flood_is_cut_off(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("x" * 5000))) as chat:
        patience = Patience(retries=0, most_bytes=4096)
        found, _ = asking(chat, tmp_path, [question("x")], patience=patience)
    (reply,) = found.values()
    assert reply.extra["reason"] == "the response is longer than 4096 bytes"


def test_a_trickle_ends_at_the_timeout(tmp_path):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not handler.release.wait(0.02):
            handler.wfile.write(b" ")

    with serving(lambda body, attempt: trickle) as chat:
        patience = Patience(timeout=0.3, retries=0)
        found, _ = asking(chat, tmp_path, [question("x")], patience=patience)
    (reply,) = found.values()
    assert reply.extra["reason"] == "timeout: the response took too long (attempt 1, the last)"


def test_tokens_are_counted_and_priced(tmp_path):
    requests = [question(f"q{number}") for number in range(3)]
    prices = dict(prompt_price=2.0, completion_price=10.0)
    with serving(
        lambda body, attempt: (200, {}, completion("yes", prompt=100, completion=7))
    ) as chat:
        found, endpoint = asking(chat, tmp_path, requests, **prices)
    spent = endpoint.spent
    assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (3, 300, 21)
    assert spent.cost == pytest.approx((300 * 2 + 21 * 10) / 1e6)
    for reply in found.values():
        assert reply.extra["prompt_tokens"] == 100
        assert reply.extra["cost"] == pytest.approx((100 * 2 + 7 * 10) / 1e6)


def test_who_stops_reading_waits_for_no_retry(tmp_path):
    def behave(body, attempt):
        return (500, {}, b"") if "bad" in text_of(body) else (200, {}, completion("yes"))

    with serving(behave) as chat:
        patience = Patience(first_wait=1000, longest_wait=1000)
        endpoint = Endpoint(config(chat, patience=patience), tmp_path / "answers.jsonl")
        replies = endpoint.answer([question("good"), question("bad")], set())
        assert next(replies)[0].text == "yes"
        replies.close()  # would take 1000 seconds
        assert chat.attempts["bad"] <= 1
        assert replies_of(endpoint, [question("other")])  # and can be asked again


def test_a_run_asks_again_what_failed_and_then_nothing(tmp_path):
    requests = [question("fine"), question("weak")]
    healthy = []

    def behave(body, attempt):
        weak = "weak" in text_of(body) and not healthy
        return (400, {}, b"not today") if weak else (200, {}, completion("yes"))

    def rounds():
        yield requests

    def run(chat):
        endpoint = Endpoint(config(chat), tmp_path / "answers.jsonl")
        answered = collect(rounds(), {"subject": endpoint}, tmp_path / "run", endpoint.identity)
        return [reply.state for _, reply in answered], len(chat.calls)

    with serving(behave) as chat:
        assert run(chat) == (["valid", "error"], 2)
        assert run(chat) == (["valid", "error"], 3)
        healthy.append(True)
        assert run(chat) == (["valid", "valid"], 4)
        assert run(chat) == (["valid", "valid"], 4)


def test_a_replayed_run_writes_the_same_replies(tmp_path):
    requests = [question(f"q{number}", picture()) for number in range(6)]

    def rounds():
        yield requests

    def run(chat, name, **options):
        endpoint = Endpoint(config(chat), tmp_path / "answers.jsonl", **options)
        collect(rounds(), {"subject": endpoint}, tmp_path / name, endpoint.identity)
        return (tmp_path / name / "replies.jsonl").read_bytes()

    with serving(lambda body, attempt: (200, {}, completion(text_of(body)))) as chat:
        asked = run(chat, "first")
    assert run(chat, "second", replay=True) == asked


def test_equal_questions_are_one_call_and_done_ones_none(tmp_path):
    requests = [question("same", key="a"), question("same", key="b"), question("other", key="c")]
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        endpoint = Endpoint(config(chat), tmp_path / "answers.jsonl")
        found = replies_of(endpoint, requests, done={"c"})
        assert len(chat.calls) == 1
    assert set(found) == {"a", "b"}


def test_parameters_and_models_do_not_share_answers(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        asking(chat, tmp_path, [question("x")])
        asking(chat, tmp_path, [question("x", ask=Text(9))])
        asking(chat, tmp_path, [question("x")], parameters={"top_p": 0.5})
        asking(chat, tmp_path, [question("x", picture())])
        assert len(chat.calls) == 4


def test_a_line_torn_by_a_kill_is_asked_again(tmp_path):
    requests = [question("one"), question("two")]
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        asking(chat, tmp_path, requests, concurrency=1)
        path = tmp_path / "answers.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        _, endpoint = asking(chat, tmp_path, requests)
        assert endpoint.spent.calls == 1
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_an_answer_that_was_changed_is_named_and_nothing_is_asked(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        asking(chat, tmp_path, [question("one"), question("two")], concurrency=1)
        path = tmp_path / "answers.jsonl"
        first, second = path.read_text().splitlines(keepends=True)
        for key in json.loads(second):
            changed = json.loads(second)
            del changed[key]
            for row in (changed, {**changed, key: "changed"}):
                path.write_text(first + json.dumps(row) + "\n")
                for replay in (False, True):
                    with pytest.raises(ValueError, match=r"answers\.jsonl, line 2: the answer was"):
                        asking(chat, tmp_path, [question("one")], replay=replay)
        assert len(chat.calls) == 2


def test_choices_are_lettered(tmp_path):
    ask = Choices((" red", " blue"))
    with serving(lambda body, attempt: (200, {}, completion("B. blue"))) as chat:
        found, _ = asking(chat, tmp_path, [question("Which colour?", picture(), ask=ask)])
        said = text_of(chat.calls[0][2])
    (reply,) = found.values()
    assert said == (
        "[image]Which colour?\nA. red\nB. blue\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert (reply.logprobs, reply.extra["chosen"], reply.text) == (None, 1, "B. blue")


def test_letters_are_not_lettered_and_an_unread_letter_is_none(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("Hmm."))) as chat:
        found, _ = asking(chat, tmp_path, [question("A. x B. y", ask=Choices(("A", "B")))])
        assert text_of(chat.calls[0][2]) == "A. x B. y"
    (reply,) = found.values()
    assert reply.extra["chosen"] is None


def test_choices_can_be_refused(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("A"))) as chat:
        found, _ = asking(
            chat, tmp_path, [question("x", ask=Choices(("a", "b")))], choices="refuse"
        )
        assert not chat.calls
    (reply,) = found.values()
    assert reply.state == "error"
    assert "no log-probabilities" in reply.extra["reason"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("k", "c", {}, (raw("<s>"),), Text(4)), "request k: an endpoint takes no raw"),
        (question("x", Media("audio", b"RIFF"), key="k"), "request k: .* found audio"),
        (question("x", image(b"BM.."), key="k"), "request k: .* begins with b'BM"),
        (question("x", ask=Choices(("a",) * 27), key="k"), "request k: 27 choices"),
        (question("x", ask=Text(4, echo=0), key="k"), "request k: .* cannot echo"),
        (question("x", ask=Picture(), key="k"), "request k: an endpoint draws no pictures"),
    ],
)
def test_what_cannot_be_asked_is_named_before_any_call(tmp_path, request_, message):
    with serving(lambda body, attempt: (200, {}, completion("A"))) as chat:
        with pytest.raises(ValueError, match=message):
            asking(chat, tmp_path, [question("fine"), request_])
        assert not chat.calls


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://x/v1"}, "expected http"),
        ({"url": "http://models.example/v1"}, "unencrypted"),
        ({"url": "https://me:secret@models.example/v1"}, "holds a user"),
        ({"key_variable": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE is not set"),
        ({"choices": "leters"}, "did you mean 'letters'"),
        ({"concurrency": 0}, "concurrency is 0"),
    ],
)
def test_a_configuration_that_does_not_fit(tmp_path, changes, message):
    values = {"url": "https://models.example/v1", "key_variable": "TEST_ENDPOINT_KEY", **changes}
    with pytest.raises(ValueError, match=message) as caught:
        Endpoint(EndpointConfig(model="m", **values), tmp_path / "answers.jsonl")
    assert KEY not in str(caught.value)


def test_replaying_needs_no_key(tmp_path, monkeypatch):
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        asking(chat, tmp_path, [question("x")])
    monkeypatch.delenv("TEST_ENDPOINT_KEY")
    found, _ = asking(chat, tmp_path, [question("x")], replay=True)
    assert [reply.text for reply in found.values()] == ["yes"]


def test_identity_holds_no_key(tmp_path):
    with serving(lambda body, attempt: (200, {}, completion("yes"))) as chat:
        endpoint = Endpoint(config(chat), tmp_path / "answers.jsonl")
    assert KEY not in json.dumps(endpoint.identity)
    assert endpoint.identity["model"] == "big-model"


def test_the_model_that_answered_is_kept_with_the_answer(tmp_path):
    answer = {**completion("yes"), "model": "big-model-0613"}
    with serving(lambda body, attempt: (200, {}, answer)) as chat:
        found, endpoint = asking(chat, tmp_path, [question("x")])
    (reply,) = found.values()
    assert reply.extra["served"] == "big-model-0613"
    assert endpoint.identity["model"] == "big-model"
