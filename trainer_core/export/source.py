"""What is exported: a run's weights, a checkpoint, an adapter's folder or a whole model's, and the
16-bit base that goes with it."""

import logging
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from trainer_core.config.export_section import ExportRequest
from trainer_core.config.model_section import Quantization
from trainer_core.config.schema import RunConfig
from trainer_core.data.conversations import Turn
from trainer_core.data.problems import RowError
from trainer_core.engine.adapter import plain
from trainer_core.engine.base_model import fetch
from trainer_core.errors import UserError
from trainer_core.export.adapter import read_adapter
from trainer_core.export.dequantized import DequantizedWeights
from trainer_core.export.merge import MergedWeights, untied
from trainer_core.export.model import ExportModel
from trainer_core.export.weights import SafetensorsFolder, Weights
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.reading import read_object, read_text
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.trained import ADAPTER_CONFIG, MODEL_CONFIG, run_of, trained_places
from trainer_core.tokens.renderer import renderer_of
from trainer_core.tokens.tokenizer import Tokenizer, load_tokenizer, named_template

log = logging.getLogger(__name__)
# How Unsloth and others call the 4-bit copy of a model.
_QUANTISED = re.compile(r"-(unsloth-)?bnb-4bit$")


@dataclass(frozen=True)
class Source:
    """Weights that were trained. `folder` holds them: an adapter for `base`, the folder of a 16-bit
    model (`dequantized`: of a quantised one that is turned back), or a whole model. `trained_on` is
    the base as it was trained on, `base_name` how the user knows it. `config` is the run's, if the
    weights came from one. `begun_from` is the model that a whole model's training began with, where
    only that has the tokenizer: a checkpoint holds weights alone."""

    kind: Literal["adapter", "model"]
    folder: Path
    base: Path | None
    base_name: str
    trained_on: Path | None
    name: str
    run: RunFolder | None
    checkpoint: str
    config: RunConfig | None
    dequantized: bool = False
    begun_from: Path | None = None

    @property
    def tokenizer(self) -> Path:
        """The folder with the tokenizer it was trained with."""
        if (self.folder / "tokenizer.json").is_file():
            return self.folder
        return self.base or self.begun_from or self.folder

    @property
    def packed(self) -> Quantization:
        """The bits into which the run packed its base as it was loaded; none for a base that is
        stored so."""
        bits = self.config.model.quantization if self.config is not None else "none"
        base = self.trained_on or self.base
        if bits == "auto" or base is None or "quantization_config" in _json(base / MODEL_CONFIG):
            return "none"
        return bits

    @property
    def may_be_shown(self) -> bool:
        """Whether its data is in clear: what was encrypted shall stand in no file as text."""
        if self.config is None:
            return True
        parts = (self.config.data.train, self.config.data.validation, self.config.data.test)
        return not any(one.encryption for part in parts for one in part or [])

    def template(self) -> str | None:
        """The chat template it was trained with, if there is one."""
        path = self.folder / "chat_template.jinja"
        if path.is_file():
            return read_text(path)
        if self.config is not None and self.config.model.template is not None:
            return named_template(self.config.model.template)
        return load_tokenizer(self.tokenizer).template

    def talking(self) -> Tokenizer:
        """The tokenizer with the chat template of the training. Raises UserError for what is no
        template or takes too much: long before an export comes to its check."""
        tokenizer = replace(load_tokenizer(self.tokenizer), template=self.template())
        if tokenizer.template is not None:
            with suppress(RowError):
                renderer_of(tokenizer.template, tokenizer).render([Turn("user", "Hello.")])
        return tokenizer

    def config_json(self) -> dict[str, Any]:
        """The model's config.json, without what says that its weights are quantised."""
        path = (self.base or self.folder) / MODEL_CONFIG
        config = _json(path)
        config.pop("quantization_config", None)
        if not isinstance(config.get("text_config") or {}, dict):
            raise UserError(f"{path} cannot be used: its text_config is no JSON object")
        return config

    def model(self, *, trained: bool = True) -> ExportModel:
        """The model with what was `trained` in it, or its base; nothing is read yet but headers.

        Raises UserError if the pieces do not fit.
        """
        base = self.base or self.folder
        stored: Weights = SafetensorsFolder(base)
        if "quantization_config" in _json(base / MODEL_CONFIG):
            stored = DequantizedWeights(stored, base)
        weights, config = stored, self.config_json()
        if self.kind == "adapter" and trained:
            adapter = read_adapter(self.folder)
            whole = untied(stored, adapter)
            if whole is not stored:
                config["tie_word_embeddings"] = False
            weights = MergedWeights(whole, adapter)
        return ExportModel(
            self.name,
            weights,
            config,
            self.tokenizer,
            self.template(),
            _main_dtype(stored),
        )

    def settled(self, work: Path) -> "Source":
        """The same, with an adapter that means something to the base as it is: that of a checkpoint
        which began in the base's weights is made plain, in `work`. And for a checkpoint, which has
        only weights, the tokenizer stays the base's."""
        initial = self.run.adapter / "initial" if self.run is not None else None
        if initial is None or not initial.is_dir() or not self.checkpoint.startswith("step-"):
            return self
        shutil.copytree(self.folder, work, ignore=shutil.ignore_patterns("optimizer*", "random*"))
        plain(work, initial)
        return replace(self, folder=work)


def find_source(request: ExportRequest) -> Source:
    """What `request` names. Raises UserError if it is not there, or its base is not."""
    path = Path(request.source).expanduser().absolute()
    run = run_of(path)
    if run is None and not path.is_dir():
        raise UserError(
            f"{request.source} is neither a run nor a folder with an adapter or a model",
            hint="`backprop runs` lists the runs.",
        )
    folder, checkpoint = _weights_of(run, path, request) if run is not None else (path, "")
    config = _config_of(run) if run is not None else None
    name = request.name or _name(run, path, config)
    if (folder / ADAPTER_CONFIG).is_file():
        return _with_base(folder, run, checkpoint, config, name, request)
    if (folder / MODEL_CONFIG).is_file():
        known = config.model.base if config is not None else ""
        quantised = "quantization_config" in _json(folder / MODEL_CONFIG)
        if quantised and not request.dequantize:
            raise UserError(
                f"the model in {folder} is quantised",
                hint="--dequantize turns it back into 16 bits; what was rounded away stays lost.",
            )
        begun_from = None
        if config is not None and not (folder / "tokenizer.json").is_file():
            begun_from = fetch(known, config.model.revision)
        return Source(
            "model", folder, None, known, folder, name, run, checkpoint, config, quantised,
            begun_from,
        )  # fmt: skip
    raise UserError(
        f"{folder} holds neither an adapter nor a model",
        hint=f"It would have {ADAPTER_CONFIG} or {MODEL_CONFIG} in it.",
    )


def _config_of(run: RunFolder) -> RunConfig | None:
    """The run's config; None where another version wrote it, for its weights are good all the
    same."""
    try:
        resolved = read_resolved(run.resolved)
    except UserError as error:
        log.warning("the run's settings cannot be read, so only its weights are used: %s", error)
        return None
    return resolved.config if resolved is not None else None


def _weights_of(run: RunFolder, path: Path, request: ExportRequest) -> tuple[Path, str]:
    """The folder of the weights in a run, and what it is called there."""
    places = trained_places(run)
    if path != run.path:
        return path, path.name
    if not places:
        raise UserError(
            f"{run.path} has trained nothing yet",
            hint="A checkpoint can be exported as soon as there is one; `c` on the Train screen "
            "saves one.",
        )
    if request.checkpoint is None:
        return places[0].path, places[0].name
    for place in places:
        if place.name == request.checkpoint:
            return place.path, place.name
    there = ", ".join(place.name for place in places)
    raise UserError(f"{run.path} has no {request.checkpoint}", hint=f"There are: {there}.")


def _with_base(
    folder: Path,
    run: RunFolder | None,
    checkpoint: str,
    config: RunConfig | None,
    name: str,
    request: ExportRequest,
) -> Source:
    recorded = str(_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    known = config.model.base if config is not None else recorded
    if not known and request.base is None:
        raise UserError(
            f"the adapter {folder} does not say which model it belongs to",
            hint="Name it with --base.",
        )
    revision = config.model.revision if config is not None else None
    trained_on = _had(known, revision)
    base = fetch(request.base) if request.base is not None else trained_on
    dequantized = False
    if base is None:
        raise UserError(f"the base model {known} cannot be had", hint="Name it with --base.")
    if trained_on is None:
        log.warning("whether %s is the model it was trained on, the check cannot tell", base)
    if "quantization_config" in _json(base / MODEL_CONFIG):
        found = None if request.base is not None else _sixteen_bits(known)
        dequantized = found is None
        if found is None and not request.dequantize:
            raise UserError(
                f"the base {request.base or known} is quantised, and merging needs one of 16 bits",
                hint="Name it with --base; or --dequantize turns the quantised one back, and what "
                "was rounded away stays lost.",
            )
        base = found or base
    return Source(
        "adapter", folder, base, known or str(base), trained_on or base, name, run, checkpoint,
        config, dequantized,
    )  # fmt: skip


def _main_dtype(weights: Weights) -> str:
    """The number format of most weights."""
    counts: dict[torch.dtype, int] = {}
    for facts in weights.tensors.values():
        if facts.dtype.is_floating_point:
            counts[facts.dtype] = counts.get(facts.dtype, 0) + facts.size
    most = max(counts, key=lambda dtype: counts[dtype], default=torch.float32)
    return str(most).removeprefix("torch.")


def _had(base: str, revision: str | None = None) -> Path | None:
    """The model called so, if it can be had: one that has gone since the training is no reason to
    stop where another is named."""
    try:
        return fetch(base, revision) if base else None
    except UserError as error:
        log.warning("%s", error.message)
        return None


def _sixteen_bits(name: str) -> Path | None:
    """The model whose 4-bit copy is called `name`, if it can be had."""
    plain = _QUANTISED.sub("", name.rstrip("/"))
    if plain == name.rstrip("/"):
        return None
    found = _had(plain)
    if found is None or "quantization_config" in _json(found / MODEL_CONFIG):
        return None
    return found


def _name(run: RunFolder | None, path: Path, config: RunConfig | None) -> str:
    if config is not None:
        return config.run.name or run_name(config.model.base)
    return run_name(str(run.path if run is not None else path))


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}") from None
