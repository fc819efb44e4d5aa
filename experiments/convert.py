"""Convert a Hugging Face folder into a checkpoint of this project, or the other way round.

python -m experiments.convert --from llava-1.5-7b-hf --to checkpoint
python -m experiments.convert --from runs/x/npo --to llava-unlearned-hf --verify
python -m experiments.convert --from runs/x/npo --to npo-adapter --adapter_for llava-hf
"""

import math
from pathlib import Path

import jax
from absl import flags

from experiments.common import DRY_RUN, define_path, run
from experiments.planning import end_of_plan
from mllm.api import load
from mllm.checkpoints.folder import describe_model
from mllm.checkpoints.hf_folder import chat_line, is_hf_folder, write_adapter_folder
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.new_folder import require_new

FROM = define_path("from", "folder, or .gguf file, to read", required=True)
TO = define_path("to", "folder to write, which must be new", required=True)
DTYPE = flags.DEFINE_enum(
    "dtype", None, ["float32", "bfloat16", "float16"], "dtype of all weights; default: as stored"
)
VERIFY = flags.DEFINE_bool(
    "verify", False, "compare with transformers stage by stage, in float32 (needs torch)"
)
ADAPTER_FOR = define_path(
    "adapter_for", "write only the adapter, in PEFT's format, for this exported model"
)


def main(_):
    source, target = FROM.value, TO.value
    require_new(target)
    if DRY_RUN.value:
        dry_run(source, target)
        return
    model = load(source, dtype=DTYPE.value)
    print(f"read {source}: {describe(model.loaded)}", flush=True)
    if is_hf_folder(source) and (line := chat_line(source, model.loaded)):
        print(line, flush=True)
    if ADAPTER_FOR.value is not None:
        write_adapter_folder(target, model.loaded, str(ADAPTER_FOR.value))
    elif is_hf_folder(source) or source.is_file():
        model.save(target)
    else:
        model.save(target, format="hf")
    print(f"wrote {target}", flush=True)
    if VERIFY.value:
        from experiments.verify import verify

        published, ours = (source, target) if is_hf_folder(source) else (target, source)
        verify(published, ours)


def dry_run(source: Path, target: Path) -> None:
    """Print what would be read and written."""
    if source.is_file():
        print(f"reads {source}, {source.stat().st_size / 1e6:,.1f} MB")
    else:
        model = describe_model(source)
        params = model.model.abstract(model.config)["params"]
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
        print(f"reads {source}: {model.family}, {count:,} parameters")
    if ADAPTER_FOR.value is not None:
        kind = f"the adapter for {ADAPTER_FOR.value}, in PEFT's format"
    else:
        kind = "our format" if is_hf_folder(source) or source.is_file() else "Hugging Face's format"
    checked = ", and compares both with transformers" if VERIFY.value else ""
    print(f"writes {target}: {kind}, weights {DTYPE.value or 'as stored'}{checked}")
    end_of_plan()


def describe(loaded: Loaded) -> str:
    """Return a line with family, size and dtype of a model."""
    leaves = jax.tree.leaves(loaded.variables)
    count = sum(math.prod(leaf.shape) for leaf in leaves)
    kinds = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
    return f"{loaded.family}, {count:,} parameters, {kinds}"


if __name__ == "__main__":
    run(main)
