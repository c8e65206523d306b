"""Where an export works: what is half made, and what several artefacts are made from."""

from collections.abc import Callable
from pathlib import Path

from trainer_core.config.export_section import GgufType
from trainer_core.export.gguf.write import write_gguf
from trainer_core.export.merged import write_merged
from trainer_core.export.model import ExportModel
from trainer_core.export.source import Source
from trainer_core.runs.control import Control

# GGUF's name of each number format.
GGUF_OF: dict[str, GgufType] = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class Workshop:
    """What the artefacts of one export share. Intermediate files are made when first asked for, and
    lie in `folder`, which is removed at the end.

    `announce` hears the stage and what it is about; `tell` how many bytes of tensors were read, of
    how many: it raises StoppedError if the user wants to end.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        control: Control,
        announce: Callable[[str, str], None],
        tell: Callable[[int, int], None],
    ) -> None:
        self.source = source
        self.model = source.model()
        self.control = control
        self.announce = announce
        self._folder = folder
        self.tell_parts = tell

    def tell(self, done: int) -> None:
        """So many bytes of the model's tensors were read."""
        self.tell_parts(done, self.model.size)

    def whole_gguf(self) -> Path:
        """The model in the number format that its base is kept in, to be quantised by others."""
        return self._gguf(self.model, "whole.gguf")

    def base_gguf(self) -> Path:
        """The base without what was trained, for a GGUF adapter to stand on."""
        return self._gguf(self.source.model(trained=False), "base.gguf")

    def merged(self) -> Path:
        """The merged model's folder, for a converter that reads one."""
        place = self._folder / "merged"
        if not place.exists():
            self.announce("merging", "for the ONNX builder")
            base = self.source.base or self.source.folder
            write_merged(self.model, base, place, self.model.dtype, self.tell)
        return place

    def _gguf(self, model: ExportModel, name: str) -> Path:
        place = self._folder / name
        if not place.exists():
            kind = GGUF_OF[self.model.dtype]
            self.announce("converting", f"{name} ({kind})")
            write_gguf(model, place, kind, lambda done: self.tell_parts(done, model.size))
        return place
