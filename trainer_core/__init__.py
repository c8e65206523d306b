"""Everything of backprop but the screen. `from trainer_core import Trainer` is lazy and light."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer_core.api import (
        EvalResult,
        ExportResult,
        ForgettingResult,
        MultiRunResult,
        Plan,
        Prediction,
        RunResult,
        Trainer,
        TrainResult,
    )

__version__ = "0.1.0"
__all__ = [
    "EvalResult",
    "ExportResult",
    "ForgettingResult",
    "MultiRunResult",
    "Plan",
    "Prediction",
    "RunResult",
    "TrainResult",
    "Trainer",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # PEP 562: `import trainer_core` costs nothing until someone asks for the trainer.
    if name in __all__:
        from trainer_core import api

        return getattr(api, name)
    raise AttributeError(f"module 'trainer_core' has no attribute {name!r}")
