"""The whole model with the adapter merged into its weights."""

from pathlib import Path
from typing import Any

from peft import PeftModel

from trainer_core.engine.adapter import save_trained


def save_merged(model: Any, folder: Path, base: Path, template: str | None) -> None:
    """Write the merged model and its tokenizer to `folder`. The model cannot be trained on after
    that: its adapter has gone into its weights."""
    merged = model.merge_and_unload(safe_merge=True) if isinstance(model, PeftModel) else model
    save_trained(merged, folder, base, template)
