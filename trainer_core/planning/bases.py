"""What `model.base` names: a base model, here or on the hub, or an adapter to go on with."""

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainer_core.config.load import LoadedConfig
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning.adapter_config import ADAPTER_CONFIG, read_adapter_config
from trainer_core.planning.facts import ModelFacts, facts_of, is_local, model_facts

REACH_SECONDS = 3.0
# Settings of an adapter that a new one of the same rank would not have.
_NOT_CARRIED = ("rank_pattern", "alpha_pattern", "layers_to_transform", "modules_to_save")


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter's own settings, which stay when it is trained on."""

    base: str
    rank: int
    alpha: float
    targets: list[str]
    rslora: bool
    dora: bool


def follow_adapter(loaded: LoadedConfig) -> LoadedConfig:
    """Where `model.base` is the folder of an adapter, the same with its base model as the base, and
    that adapter to go on with. Raises UserError if it does not say what its base is."""
    base = Path(loaded.config.model.base).expanduser()
    try:
        if not (base / ADAPTER_CONFIG).is_file() or (base / "config.json").is_file():
            return loaded
    except (OSError, ValueError):  # no name of a folder
        return loaded
    if loaded.config.lora.adapter is not None:
        raise UserError(
            f"model.base is the adapter {base}, and lora.adapter names another",
            hint="Name the base model in model.base.",
        )
    adapter = adapter_facts(base)
    if not adapter.base:
        raise UserError(
            f"the adapter {base} does not say which model it belongs to",
            hint="Name the base model in model.base, and the adapter in lora.adapter.",
        )
    config = loaded.config.model_copy(deep=True)
    config.model.base, config.lora.adapter = adapter.base, str(base)
    return replace(loaded, config=config, given=loaded.given | {"lora.adapter"})


def adapter_facts(folder: Path) -> AdapterFacts:
    """Read an adapter's config. Raises UserError if it is no LoRA adapter."""
    try:
        data = read_adapter_config(folder)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no adapter (it has no {ADAPTER_CONFIG})",
            hint="Name the folder that PEFT saved, such as a run's adapter/last.",
        ) from None
    special = [name for name in _NOT_CARRIED if data.get(name)]
    if special:
        raise UserError(
            f"the adapter in {folder} has {special[0]}, which cannot be gone on with here",
            hint="Merge it into its base, and train a new adapter on that.",
        )
    targets = data.get("target_modules") or []
    listed = targets if isinstance(targets, list) else [targets]
    return AdapterFacts(
        base=str(data.get("base_model_name_or_path") or ""),
        rank=data["r"],
        alpha=float(data["lora_alpha"]),
        targets=sorted(str(name) for name in listed),
        rslora=bool(data.get("use_rslora")),
        dora=bool(data.get("use_dora")),
    )


def known_facts(
    config: RunConfig, preset: dict[str, Any], *, network: bool = False
) -> ModelFacts | None:
    """What is known of the base without its weights: from its folder, from what was fetched of it
    before, from the preset that names it, or, with `network`, from the hub. None if nothing is.

    Raises UserError for a folder that is not a model's.
    """
    base = config.model.base
    if is_local(base):
        path = Path(base).expanduser()
        if not path.is_dir():
            raise UserError(
                f"the model folder {base} does not exist",
                hint="Name a folder with a model, or a model on the hub such as owner/name.",
            )
        return model_facts(path)
    fetched = _fetched(base, config.model.revision)
    if fetched is None and preset:
        return facts_of(preset, base, where="the preset's facts")
    if fetched is None and network:
        fetched = _fetch(base, config.model.revision)
    return model_facts(fetched.parent) if fetched is not None else None


def _fetched(base: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(base, "config.json", revision=revision)
    except HFValidationError:
        raise UserError(
            f"{base[:80]} is neither a folder nor a name on the hub",
            hint="Name a folder with a model, or a model on the hub such as owner/name.",
        ) from None
    return Path(found) if isinstance(found, str) else None


def _fetch(base: str, revision: str | None) -> Path | None:
    """config.json from the hub; None where the hub cannot be reached or does not have it."""
    from huggingface_hub import constants, hf_hub_download

    host = urlsplit(constants.ENDPOINT)
    try:  # the hub's own client tries for half a minute
        with socket.create_connection((host.hostname, host.port or 443), REACH_SECONDS):
            pass
        return Path(hf_hub_download(base, "config.json", revision=revision))
    except Exception:  # of the network there are too many kinds
        return None
