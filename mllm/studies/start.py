"""What a study starts from: its data, and weights that are random, published or its parent's."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
from jax.sharding import Mesh

from mllm.checkpoints.contents import digests_of
from mllm.checkpoints.folder import load_model, save_model, write_description
from mllm.checkpoints.hf_folder import chat_line, is_hf_folder
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.new_folder import new_folder
from mllm.checkpoints.parents import folder_content
from mllm.checkpoints.pretrained import PRETRAINED, files_of
from mllm.data.chat import CHAT_FORMATS
from mllm.data.codes import CodesConfig, with_code_tokens
from mllm.data.processor import Processor, ProcessorConfig, is_template_file, read_tokenizer
from mllm.models import MODELS, config_from_dict
from mllm.parallel.launch import in_turn, is_first
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import make_on, place
from mllm.registry import lookup
from mllm.studies.run import BEGINNING, Run
from mllm.studies.stage import Stage
from mllm.studies.system import System


def prepare(system: System, config, progress: Callable[[str], None]):
    """Return the benchmark of a configuration, written unless it is there.

    The first process goes first: on a disk that all share the others find what it wrote, each on a
    disk of its own writes the same bytes.
    """
    with in_turn("prepare"):
        return system.prepare(config, progress)


def device_mesh(config) -> Mesh:
    """Return the mesh of all devices of all processes, in the shape of ``config.mesh``."""
    return make_mesh(**config.mesh)


def fresh_model(config, benchmark, mesh: Mesh, model=None) -> Loaded:
    """Return a model of random weights with the benchmark's tokenizer.

    Args:
      model: section with family and sizes, ``config.model`` if None.

    Raises:
      ValueError: the section describes no model, or config.processor.chat_format is not set.
    """
    described = described_model(config, benchmark, model)
    init = partial(described.model.init, described.config)
    return replace(described, variables=make_on(mesh, init, jax.random.key(config.seed)))


def described_model(config, benchmark, model=None) -> Loaded:
    """Return the model of ``fresh_model`` without its weights."""
    described = config.model if model is None else model
    family, shape = config_from_dict(described.to_dict(), "the section of the model")
    lookup(CHAT_FORMATS, config.processor.chat_format, "config.processor.chat_format")
    tokenizer = read_tokenizer(benchmark.tokenizer_path)
    own = getattr(shape, "pictures", {})  # what a family itself says about its pictures
    options = {**config.processor, **own, "image_tokens": shape.image_tokens}
    if (hearing := getattr(shape, "audio", None)) is not None:
        options["audio"] = {**options.get("audio", {}), **hearing.sounds}
    if shape.vision is None and hearing is not None:
        options["image"] = None
    options["instructed"] = MODELS[family].instructed
    if (codec := getattr(shape, "codec", None)) is not None:
        # The codes of a codebook are the last tokens, and pictures are shown as codes alone.
        codes = CodesConfig(size=codec.codes, length=codec.length)
        tokenizer = with_code_tokens(tokenizer, codes)
        options |= {"codes": codes, "image": None, "image_size": codec.image_size}
        if (needed := tokenizer.get_vocab_size()) > shape.decoder.vocab_size:
            raise ValueError(
                f"decoder.vocab_size is {shape.decoder.vocab_size}, expected {needed} or more: the "
                f"tokens of text, {codes.size} codes and two marks"
            )
    return Loaded(family, shape, {}, Processor(ProcessorConfig(**options), tokenizer))


def imported_files(
    name: str, chat_format: str | None = None, model: dict | None = None
) -> dict[str, str]:
    """Return the digests of the files that ``import_pretrained`` reads, by their names below the
    folder or the package. Where they are is no part of this.

    Args:
      chat_format: of the configuration; a template is read from the file that it names.
      model: the section of the configuration, of which a model of parts is assembled.

    Raises:
      FileNotFoundError, ValueError: there are none; the message names what is there.
    """
    if name in PRETRAINED:
        return digests_of(files_of(name, model or {}))
    if not Path(name).is_dir():
        raise FileNotFoundError(
            f"weights to start from are {name!r}: no such folder, and none of "
            f"{', '.join(PRETRAINED)}. Nothing is downloaded: get a model of the Hugging Face Hub "
            "with `hf download NAME --local-dir FOLDER`, and give the folder"
        )
    chat = {"chat_format": Path(chat_format)} if is_template_file(chat_format) else {}
    return {**folder_content(Path(name)), **digests_of(chat)}


def imported_by(stage: Stage, config) -> dict[str, str] | None:
    """Return the ``imported_files`` of a stage that imports weights, None for any other stage."""
    if stage.schedule is not None or stage.answerer is not None:
        return None
    chat_format = None if stage.own_format else config.get("processor", {}).get("chat_format")
    name = stage.pretrained or config.pretrained
    return imported_files(name, chat_format, config.model.to_dict())


def import_pretrained(
    run: Run, name: str, begin: Callable[[], None], *, own_format: bool = False
) -> None:
    """Make a run of published weights: those of packages are assembled into a model folder, and to
    a folder that exists the run only points.

    Args:
      name: of packages, or the path of a folder; ``imported_files`` has found it.
      begin: claims the run's folder, once the weights have been read.
      own_format: see ``Stage``.
    """
    model = run.config.model.to_dict()
    mesh, folder = device_mesh(run.config), Path(name)
    if name in PRETRAINED:
        loaded = PRETRAINED[name](model, run.config.processor.to_dict(), run.config.seed)
        loaded = replace(loaded, variables=place(loaded.variables, mesh))
        begin()
        save_model(run.folder, loaded)
    else:
        dtype = model.get("dtype")
        loaded = load_model(folder, dtype=dtype, mesh=mesh)
        chat = None if own_format else run.config.processor.chat_format
        if chat is not None:
            loaded = replace(loaded, processor=loaded.processor.with_chat_format(chat))
        if is_hf_folder(folder) and is_first() and (line := chat_line(folder, loaded)):
            print(line, file=sys.stderr, flush=True)
        begin()
        described = replace(loaded, variables={}, lora=None)
        write_description(run.folder, described, collections=[], parent=folder, dtype=dtype)
    cost = run.cost(loaded, 0)
    run.write("finished", checkpoint_digest=loaded.digest(), parent=None, cost=cost)


def keep_beginning(folder: Path, start: Loaded) -> Path:
    """Write the random weights that a run starts from, of which only a part trains, into the run's
    folder, unless they are there; return where. The run takes from them what it does not train.
    """
    beginning = folder / BEGINNING
    if not beginning.is_dir():
        with new_folder(beginning) as temporary:
            save_model(temporary, start)
    return beginning


def pass_on(run: Run, start: Loaded, parent: Path | None, begin: Callable[[], None]) -> None:
    """Finish a run that trains nothing: its folder points at that of its parent.

    Args:
      start: the parent's model, with the system prompt of this run.
      parent: the parent's folder. begin: claims the run's folder.

    Raises:
      ValueError: there is no parent to point at.
    """
    if parent is None:
        raise ValueError(
            f"{run.method} has no examples or no epochs, and no weights to start from: set "
            "config.pretrained, or choose a benchmark with examples to learn from"
        )
    begin()
    described = replace(start, variables={}, lora=None)
    write_description(run.folder, described, collections=[], parent=parent)
    digest = Run(parent, "", run.config).record()["checkpoint_digest"]  # known: not hashed again
    where = f"../{parent.name}"
    run.write("finished", checkpoint_digest=digest, parent=where, cost=run.cost(start, 0))
