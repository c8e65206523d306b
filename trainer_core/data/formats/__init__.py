"""Rows to conversations. What format rows have is told by their keys, never by a file's name."""

from trainer_core.data.formats.detection import LOOKED_AT, Detection, detect, in_turns, reader

__all__ = ["LOOKED_AT", "Detection", "detect", "in_turns", "reader"]
