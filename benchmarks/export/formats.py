"""What each number format changes of a trained model, the numbers behind export/limits.py.

    python benchmarks/export/formats.py RUN [RUN…]

Every type of GGUF is made of each run's weights, run in llama.cpp and compared with the trained
model in transformers, by the export's own check.
"""

import sys
import tempfile
from pathlib import Path

from trainer_core.config.export_section import WRITTEN_HERE, ExportRequest, GgufType
from trainer_core.export.check import Reference, ask_trained, compare
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.quantize import quantize
from trainer_core.export.gguf.write import write_gguf
from trainer_core.export.limits import limits_of
from trainer_core.export.prompts import MOST_TOKENS, prompts, strings
from trainer_core.export.source import Source, find_source
from trainer_core.export.transformers_speaker import trained_model

KINDS: tuple[GgufType, ...] = (
    "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m", "q4_k_s",
    "q4_1", "q4_0", "mxfp4", "q3_k_l", "q3_k_m", "q3_k_s", "q2_k", "tq1_0", "tq2_0",
)  # fmt: skip


def main() -> None:
    """Print a table for each run."""
    for run in sys.argv[1:]:
        source = find_source(ExportRequest(source=run, formats=["gguf"]))
        print(
            f"{source.name}: {sum(f.size for f in source.model().weights.tensors.values()):,} bytes"
        )
        reference = _reference(source)
        with tempfile.TemporaryDirectory() as folder:
            for kind in KINDS:
                _row(Path(folder), source, reference, kind)


def _reference(source: Source) -> Reference:
    asked, origin = prompts(source, lambda: None)
    model = trained_model(source)
    texts = strings([model.text(ids) for ids in asked])
    return ask_trained(model, texts, asked, origin, source.template(), lambda _: None)


def _row(folder: Path, source: Source, reference: Reference, kind: GgufType) -> None:
    path = folder / f"{kind}.gguf"
    if kind in WRITTEN_HERE:
        write_gguf(source.model(), path, kind, lambda _: None)
    else:
        quantize(folder / "f32.gguf", path, kind)
    speaker = LlamaSpeaker(path, context=MOST_TOKENS)
    try:
        limits = limits_of(kind, other_base=False)
        found = compare(reference, speaker, limits, lambda _: None)
    finally:
        speaker.close()
    values = "  ".join(f"{one.value:8.5f} of {one.limit:<6g}" for one in found.measures[1:])
    print(f"{kind:8} {'passes' if found.passed else 'FAILS '}  {values}", flush=True)


if __name__ == "__main__":
    main()
