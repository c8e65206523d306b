"""A config to start from: what must be said, and the commonest of what may be."""

from collections.abc import Sequence

from trainer_core.config.yaml_file import dump_yaml

_SCHEMA_HINT = (
    "# Every field: backprop config explain SECTION. What it costs: backprop plan THIS_FILE.\n"
)
_OPTIONAL = """\
# lora:
#   rank: auto            # as the number of trained tokens asks for
# training:
#   steps: 200            # or epochs: 1; planned from the data if neither is set
#   learning_rate: auto
#   effective_batch: 16
#   sample_prompts:
#     - What is the capital of France?
"""


def new_config(presets: Sequence[str], model: str | None, data: str | None) -> str:
    """The text of a new config. What is not known yet is left empty, for `config fix` to ask."""
    parts = [_SCHEMA_HINT]
    if presets:
        parts.append(dump_yaml({"preset": presets[0] if len(presets) == 1 else list(presets)}))
    if model is not None or not presets:
        comment = "" if model else "   # a folder, or owner/name on the Hugging Face hub"
        parts.append("model:\n  base:" + (f" {_scalar(model)}" if model else comment) + "\n")
    comment = "" if data else "   # rows: a file, a folder, or a dataset on the hub"
    parts.append("data:\n  train:" + (f" {_scalar(data)}" if data else comment) + "\n")
    return "".join([*parts, _OPTIONAL])


def _scalar(value: str) -> str:
    return dump_yaml({"x": value}).removeprefix("x: ").rstrip("\n")
