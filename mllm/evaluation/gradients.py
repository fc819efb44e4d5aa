"""How far a model would have to move to say given answers: the norms of their gradients.

N answers, R rows of a program, T tokens, M tokens of an answer.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mllm.data.conversation import Turn, assistant
from mllm.data.encoded import Encoded
from mllm.data.packing import round_up
from mllm.decoding.split import decoding_program
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, lay_out_parts
from mllm.evaluation.runner import LocalModel, with_system
from mllm.ops.losses import gather_states, supervised_logprobs

ROWS = 8  # answers of a program, whose gradients are taken one after the other


@decoding_program()
def gradient_norms(model, config, variables: dict, batch: dict) -> jax.Array:
    """Return float32[R], the mean over parameters of the L2 norm of the gradient of an answer's
    loss.

    The loss is the mean negative log-probability of the answer's tokens. A parameter is an array of
    ``variables``, in which the decoder's layers are apart; those on which the answer does not
    depend, such as an encoder where nothing is shown, do not count (open-unlearning's GradNorm).

    Args:
      batch: rows that hold question and answer, ``targets`` and ``sources`` i32[R, M] as
        ``branching.lay_out_choices`` has them.
    """

    def loss(variables: dict, row: dict) -> jax.Array:
        states, _ = model.hidden(config, variables, row)
        states = gather_states(states, row["sources"])
        found = supervised_logprobs(states, model.head(config, variables), row)
        there = row["targets"] < row["tokens"].shape[1]
        return -jnp.sum(jnp.where(there, found, 0.0)) / jnp.sum(there)

    def norm(row: dict) -> jax.Array:
        one = jax.tree.map(lambda values: values[None], row)
        gradient = jax.grad(loss, allow_int=True)(variables, one)
        leaves = [leaf for leaf in jax.tree.leaves(gradient) if leaf.dtype != jax.dtypes.float0]
        norms = jnp.stack([jnp.linalg.norm(leaf.astype(jnp.float32)) for leaf in leaves])
        return jnp.sum(norms) / jnp.maximum(jnp.sum(norms > 0), 1)

    return jax.lax.map(norm, batch)


def answer_gradients(
    model: LocalModel, answers: Sequence[tuple[tuple[Turn, ...], str]]
) -> np.ndarray:
    """Return the ``gradient_norms`` float32[N] of answers, the end token among their tokens.

    Weights in use need as much memory again, for one gradient.

    Args:
      answers: conversations up to the answer, each with the answer.
    """
    loaded = model.loaded
    encoded = [
        loaded.processor.encode(
            (*with_system(turns, loaded.system_prompt), assistant(text)), where=f"answer {number}"
        )
        for number, (turns, text) in enumerate(answers)
    ]
    calls, found = Calls(loaded, model.features), np.zeros(len(encoded), np.float32)
    groups: dict[int, list[int]] = {}
    for number, one in enumerate(encoded):
        groups.setdefault(len(one.media), []).append(number)  # those of a row have one shape
    for numbers in groups.values():
        order = sorted(numbers, key=lambda n: -len(encoded[n].ids))
        most = len(encoded[order[0]].ids)
        room = round_up(max(len(_answer(encoded[n])) for n in order), 8)
        for first in range(0, len(order), ROWS):
            chosen = order[first : first + ROWS]
            rows = [encoded[n] for n in chosen] + [encoded[chosen[-1]]] * (ROWS - len(chosen))
            batch = calls.place(_lay_out(calls, rows, most, room))
            found[chosen] = calls.fetch(calls.run(gradient_norms, batch))[: len(chosen)]
    return found


def _answer(encoded: Encoded) -> range:
    """Return the places of the last answer's tokens."""
    return range(*encoded.supervised[-1])


def _lay_out(calls: Calls, rows: Sequence[Encoded], most: int, room: int) -> dict:
    """Return whole conversations as rows, with the places of their answers."""
    batch = lay_out_parts(calls, [Part(row, 0, len(row.ids)) for row in rows], most)
    targets = np.full((len(rows), room), batch["tokens"].shape[1], np.int32)
    sources = np.zeros((len(rows), room), np.int32)
    for number, row in enumerate(rows):
        places = np.array(_answer(row), np.int32)
        targets[number, : len(places)], sources[number, : len(places)] = places, places - 1
    return {**batch, "targets": targets, "sources": sources}
