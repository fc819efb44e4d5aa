"""Programs that are compiled ahead are those that are called, each compiled once; errors of the
compiler come out of the call.
"""

import threading
from dataclasses import replace

import jax
import pytest
from PIL import Image
from toy import make_model, png

from mllm.data.conversation import system, user
from mllm.evaluation import ahead
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import place

pytestmark = pytest.mark.thorough

LONG = system("Who is the person in the picture, and where was the person born? " * 2)
RED = png(Image.new("RGB", (16, 16), "red"))


def requests() -> list[Request]:
    """A root, a picture below it, choices with a reply, and replies of two limits."""
    asked = user(RED, "Who?"), user("Who?"), user("Who.")
    asks = Choices(("London", "Paris")), Text(3), Text(5)
    pairs = [(asked[0], asks[0]), (asked[0], asks[1]), (asked[1], asks[1]), (asked[2], asks[2])]
    return [Request(str(n), "c", {}, (LONG, turn), ask) for n, (turn, ask) in enumerate(pairs)]


@pytest.fixture(scope="module")
def model():
    return make_model(2)


@pytest.fixture
def compiling(model, monkeypatch):
    """Names of the threads that compile, one for each program that is not an operation of JAX."""
    jax.clear_caches()
    monkeypatch.setattr(ahead, "_COMPILED", {})
    names = []

    def heard(event, seconds, fun_name="", **_):
        ours = not fun_name.startswith("jit(_")
        if event == "/jax/core/compile/backend_compile_duration" and ours:
            names.append(threading.current_thread().name)

    jax.monitoring.register_event_duration_secs_listener(heard)
    yield names
    jax.monitoring.unregister_event_duration_listener(heard)


def ask(model, **options) -> dict:
    lots = LocalModel(model, **options).answer(requests(), set())
    return {reply.key: reply for lot in lots for reply in lot}


@pytest.mark.parametrize("devices", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_each_program_is_compiled_once_and_by_a_thread(model, devices, compiling):
    if devices:
        mesh = make_mesh(devices=jax.devices()[:devices])
        model = replace(model, variables=place(model.variables, mesh))
    compiling.clear()
    found = ask(model)
    # The root, the picture, choices with a reply, and replies of both limits by one program.
    assert len(compiling) == 4 and all(name.startswith("compile") for name in compiling)
    assert ask(model) == found == ask(model, ahead=False) and len(compiling) == 4


def failing(monkeypatch, failures: int, message: str) -> None:
    """Let the compiler fail so many times."""
    compile_one, left = jax.stages.Lowered.compile, [failures]

    def compile_or_fail(self, *arguments, **options):
        if left[0]:
            left[0] -= 1
            raise jax.errors.JaxRuntimeError(message)
        return compile_one(self, *arguments, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_or_fail)


def test_an_error_of_the_compiler_is_raised_by_the_call(model, compiling, monkeypatch):
    failing(monkeypatch, 1, "INTERNAL: no such register")
    with pytest.raises(jax.errors.JaxRuntimeError, match="no such register"):
        ask(model)


def test_where_memory_is_short_fewer_are_asked_at_once(model, compiling, monkeypatch, capsys):
    wanted = [Request(str(n), "c", {}, (user(f"Who {n}?"),), Text(3)) for n in range(4)]
    failing(monkeypatch, 1, "RESOURCE_EXHAUSTED: out of memory")
    lots = LocalModel(model).answer(wanted, set())
    assert len([reply for lot in lots for reply in lot]) == 4
    assert "going on with 2 units at once" in capsys.readouterr().err


def test_who_stops_asking_compiles_no_more(model, compiling, monkeypatch):
    """A program that no reply of the first lot needs is still compiling; others would follow."""
    longer = [Request(str(n), "c", {}, (user("Who? " * n),), Text(3)) for n in (40, 90)]
    wanted = [*requests(), *longer]
    compile_one, begun, closed = jax.stages.Lowered.compile, [], threading.Event()

    def compile_or_wait(self, *arguments, **options):
        begun.append(self)
        if len(begun) == 4:
            assert closed.wait(60)
        return compile_one(self, *arguments, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_or_wait)
    lots = LocalModel(model).answer(wanted, set())
    next(lots)
    lots.close()
    closed.set()
    for thread in threading.enumerate():
        if thread.name.startswith(("compile", "plan")):
            thread.join(60)
    stopped = len(compiling)
    answered = [reply for lot in LocalModel(model).answer(wanted, set()) for reply in lot]
    assert stopped <= 4 < len(compiling) and len(answered) == len(wanted)
