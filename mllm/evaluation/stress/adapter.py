"""An adapter scaled down, or taken away."""

from mllm.ops.lora import merge_lora


def with_share(variables: dict, *, share: float) -> dict | None:
    """Return {"params"} with ``share`` of the adapter's update merged, ``w + share * a @ b``; None
    for a model without an adapter.

    With share 0 the model is the one that the adapter was trained on, to the bit.
    """
    if "lora" not in variables:
        return None
    if share == 0:
        return {"params": variables["params"]}
    return merge_lora({**variables, "lora": _scaled(variables["lora"], share)})


def _scaled(tree: dict, share: float) -> dict:
    """Return an adapter whose matrices ``b`` are multiplied by ``share``."""
    return {
        name: _scaled(part, share)
        if isinstance(part, dict)
        else part * share
        if name == "b"
        else part
        for name, part in tree.items()
    }
