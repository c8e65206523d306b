"""A model to be used: a base, or what was trained, ready to answer and to be scored."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import PeftModel

from trainer_core.config.schema import RunConfig
from trainer_core.engine.adapter import plain
from trainer_core.engine.base_model import cannot_load, fetch
from trainer_core.engine.transformers_backend import load_whole
from trainer_core.runs.trained import ADAPTER_CONFIG
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.tokenizer import load_tokenizer


@dataclass(frozen=True)
class UsableModel:
    """A model that is not trained any more, with the encoder of its training. `base` is the folder
    with its tokenizer."""

    model: Any
    encoder: Encoder
    base: Path

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """The base alone, while the block runs."""
        adapted = isinstance(self.model, PeftModel)
        with self.model.disable_adapter() if adapted else nullcontext():
            yield


def load_usable(config: RunConfig, weights: Path | None) -> UsableModel:
    """Load what `weights` holds, a LoRA adapter or a whole model; the base alone if it is None.

    `config` is that of the training, with nothing open under `model`: a base is packed and computed
    with as it was then. Raises UserError for what cannot be loaded.
    """
    wish = config.model
    whole = weights is not None and not (weights / ADAPTER_CONFIG).is_file()
    if weights is not None and whole and (weights / "tokenizer.json").is_file():
        base = weights
    else:  # an adapter's folder has no generation config, which says what ends an answer
        base = fetch(wish.base, wish.revision, code=wish.trust_remote_code)
    place = weights if weights is not None and whole else base
    try:
        model = load_whole(place, wish, getattr(torch, wish.dtype))
        if weights is not None and not whole:
            model = _with_adapter(model, weights)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise cannot_load(str(weights or wish.base), error) from error
    tokenizer = load_tokenizer(base, wish.template)
    return UsableModel(model.eval(), Encoder(tokenizer, wish.base, config.data.train_on), base)


def _with_adapter(model: Any, folder: Path) -> Any:
    """The model with an adapter on it. That of a checkpoint whose training began in the base's own
    weights means nothing to the base as it is, before it is made plain."""
    initial = folder.parent.parent / "adapter" / "initial"
    if folder.parent.name != "checkpoints" or not initial.is_dir():
        return PeftModel.from_pretrained(model, str(folder))
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        unneeded = shutil.ignore_patterns("optimizer*", "random*")
        shutil.copytree(folder, copy, ignore=unneeded)
        plain(copy, initial)
        return PeftModel.from_pretrained(model, str(copy))
