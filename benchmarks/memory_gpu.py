"""How close memory estimates are to what training took on a GPU: an H200, torch 2.11, CUDA 13.0,
transformers 5.17, TRL 1.14, Unsloth 2026.10 (with PyTorch's attention: xFormers did not load).

    python benchmarks/memory_gpu.py [--measure FILE]

Prints each row of memory_gpu.jsonl: what tensors took at most (torch.cuda.max_memory_allocated),
our estimate without the CUDA context, and the signed error; then the worst and the mean of each
backend. --measure trains the same cases on the GPU that is here, through a run's own job, on models
of random weights, and writes such rows to FILE. All sizes are in bytes: `loaded` after loading,
`held` before a step, `forward`, `backward` and `step` the peaks of its parts.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from trainer_core.planning.memory import MemorySettings, estimate  # noqa: E402
from trainer_core.planning.shape import ModelShape, model_shape  # noqa: E402

ROWS = ROOT / "benchmarks" / "memory_gpu.jsonl"
DEMO = ROOT / "configs" / "demo"
STEPS = 5
MIB = 1 << 20
_NAMES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "intermediate_size", "vocab_size"),
)


def _config(model_type: str, *sizes: int, tied: bool = True) -> dict[str, Any]:
    """What is in a config.json; the sizes in the order of _NAMES."""
    return {
        "model_type": model_type,
        **dict(zip(_NAMES, sizes, strict=True)),
        "tie_word_embeddings": tied,
        "max_position_embeddings": 16384,
        "eos_token_id": 2,
        "pad_token_id": 3,
        "bos_token_id": None,
    }


MODELS = {
    "Llama-3.2-1B": _config("llama", 2048, 16, 32, 8, 64, 8192, 128256),
    "Llama-3.2-3B": _config("llama", 3072, 28, 24, 8, 128, 8192, 128256),
    "Llama-3.1-8B": _config("llama", 4096, 32, 32, 8, 128, 14336, 128256, tied=False),
    "Qwen3-0.6B": _config("qwen3", 1024, 28, 16, 8, 128, 3072, 151936),
    "Gemma-3-1B": _config("gemma3_text", 1152, 26, 4, 1, 256, 6912, 262144),
    "Phi-4-mini": _config("phi3", 3072, 32, 24, 8, 128, 8192, 200064),
}


@dataclass(frozen=True)
class Row:
    """One measured run and our estimate of it, both without the CUDA context, in bytes."""

    backend: str
    method: str
    setting: str
    measured: int
    ours: int

    @property
    def error(self) -> float:
        """Ours as a share of the measured, less one."""
        return self.ours / self.measured - 1

    def __str__(self) -> str:
        sizes = f"{self.measured / MIB:>9,.0f} {self.ours / MIB:>9,.0f} {self.error:>+7.1%}"
        return f"{self.backend:12} {self.setting:68} {sizes}"


def measured_rows(path: Path = ROWS) -> list[Row]:
    """Every row of a file of measurements."""
    return [_row(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _row(case: dict[str, Any]) -> Row:
    shape, settings = _shape(case), _settings(case)
    found = estimate(shape, settings)
    return Row(
        backend=case["backend"],
        method=settings.method,
        setting=_words(case, settings),
        measured=max(case["forward"], case["backward"], case["step"]),
        ours=found.total - found.context,
    )


def _shape(case: dict[str, Any]) -> ModelShape:
    shape = model_shape(MODELS[case["model"]])
    assert shape is not None
    return shape


def _settings(case: dict[str, Any]) -> MemorySettings:
    unsloth = case["backend"] == "unsloth"
    given = {name: case[name] for name in case if name in MemorySettings.__dataclass_fields__}
    return MemorySettings(
        loss="chunked" if unsloth else "trl",
        upcast=not unsloth,
        packed="packing" in case,
        memory=140 << 30,
        **given,
    )


def _words(case: dict[str, Any], settings: MemorySettings) -> str:
    bits = settings.dtype if settings.quantization == "none" else settings.quantization
    method = f"lora r{settings.rank}" if settings.method == "lora" else "full"
    parts = [case["model"], f"{settings.batch_size}x{settings.tokens}", method, bits]
    parts.append(settings.optimizer)
    parts += [f"checkpointing {settings.checkpointing}"] * (settings.checkpointing != "off")
    parts += [case[name] for name in ("attention", "packing") if name in case]
    return " ".join(parts)


def print_rows() -> None:
    """Every row, then each backend."""
    print(f"{'MiB':81} {'measured':>9} {'ours':>9}   error")
    rows = measured_rows()
    for row in rows:
        print(row)
    for backend in dict.fromkeys(row.backend for row in rows):
        errors = [abs(row.error) for row in rows if row.backend == backend]
        print(f"{backend}: worst {max(errors):.1%}, mean {statistics.mean(errors):.1%}")
    print(WHY)


WHY = """\
Full fine-tuning without gradient_accumulation is overestimated: its gradients come as activations
go. With accumulation they are there from the start. Unsloth keeps a little more with PyTorch's
attention than with FlashAttention or xFormers, which the estimate is for."""


def measure(target: Path) -> None:
    """Train every case of memory_gpu.jsonl here."""
    cases = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    results = ("loaded", "held", "forward", "backward", "step")
    cases = [{n: v for n, v in case.items() if n not in results} for case in cases]
    with tempfile.TemporaryDirectory() as folder, target.open("a", encoding="utf-8") as file:
        for backend in ("transformers", "unsloth"):
            child = Path(folder) / f"{backend}.json"
            child.write_text(json.dumps([c for c in cases if c["backend"] == backend]))
            # A process for each: Unsloth changes the libraries for good.
            command = [sys.executable, __file__, "--cases", str(child)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            file.writelines(f"{line}\n" for line in done.stdout.splitlines() if line[:1] == "{")


def _measure_all(cases: list[dict[str, Any]]) -> None:
    from trainer_core.engine.base_model import quieten

    quieten(offline=True)
    if cases and cases[0]["backend"] == "unsloth":
        import unsloth  # noqa: F401 - before all others
    import torch

    if not torch.cuda.is_available():
        sys.exit("there is no GPU here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            model = _model(folder / "models", case["model"])
            peaks = _Peaks()
            _train(case, model, folder / "run", peaks)
            print(json.dumps({**case, **peaks.found}), flush=True)
            shutil.rmtree(folder / "run")


def _model(folder: Path, name: str) -> Path:
    """A model of random weights with the demo's tokenizer, made once."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    place = folder / name
    if not place.is_dir():
        config = AutoConfig.for_model(**MODELS[name])
        with torch.device("cuda"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.save_pretrained(place)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(DEMO / "base" / file, place / file)
        del model
        torch.cuda.empty_cache()
    return place


class _Peaks:
    """What tensors take in the parts of a step, beyond what others held before."""

    def __init__(self) -> None:
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()
        self._cuda = torch.cuda
        self._before = torch.cuda.memory_allocated()
        self.found = dict.fromkeys(("loaded", "held", "forward", "backward", "step"), 0)

    def now(self, name: str) -> None:
        self.found[name] = self._cuda.memory_allocated() - self._before

    def peak(self, name: str) -> None:
        """The peak since the one before."""
        peak = self._cuda.max_memory_allocated() - self._before
        self.found[name] = max(self.found[name], peak)
        self._cuda.reset_peak_memory_stats()


def _train(case: dict[str, Any], model: Path, folder: Path, peaks: _Peaks) -> None:
    """A run of a few steps as any other, watched from within."""
    import trainer_core.engine.train as engine
    from trainer_core.config.load import dump_config, validate
    from trainer_core.engine.loop import Loop
    from trainer_core.runs.control import Control
    from trainer_core.runs.folder import RunFolder
    from trainer_core.runs.recorder import Recorder

    run = RunFolder(folder)
    folder.mkdir()
    run.config.write_text(dump_config(validate(_run_config(case, model, folder))), encoding="utf-8")
    before = engine._load_model, Loop.compute_loss, Loop.training_step

    def load(*arguments: Any) -> Any:
        loaded = before[0](*arguments)
        peaks.now("loaded")
        return loaded

    def watched(part: Callable[..., Any], begins: str | None, ends: str) -> Callable[..., Any]:
        def watch(*arguments: Any, **named: Any) -> Any:
            if begins is not None:
                peaks.peak(begins)
                peaks.now("held")
            result = part(*arguments, **named)
            peaks.peak(ends)
            return result

        return watch

    engine._load_model = load
    Loop.compute_loss = watched(before[1], "step", "forward")
    Loop.training_step = watched(before[2], None, "backward")
    recorder = Recorder(run, lambda _: None)
    try:
        engine.train(run, recorder, Control())
        peaks.peak("step")
    finally:
        engine._load_model, Loop.compute_loss, Loop.training_step = before
        recorder.close()


def _run_config(case: dict[str, Any], model: Path, folder: Path) -> dict[str, Any]:
    training = {name: case[name] for name in ("method", "batch_size", "optimizer") if name in case}
    return {
        "model": {
            "base": str(model),
            "backend": case["backend"],
            "max_length": case["tokens"],
            "dtype": case.get("dtype", "bfloat16"),
            "quantization": case.get("quantization", "none"),
            "attention": case.get("attention"),
        },
        "lora": {"rank": case.get("rank", 16)},
        "data": {
            "train": str(_rows(folder, case)),
            "too_long": "truncate",
            "workers": 1,
            "split": {"fractions": {"train": 1.0}},
        },
        "training": {
            **training,
            "steps": STEPS,
            "gradient_accumulation": case.get("gradient_accumulation", 1),
            "gradient_checkpointing": case["checkpointing"],
            "packing": case.get("packing", "off"),
        },
        "safety": {"probe": "off", "over_memory": "warn"},
    }


def _rows(folder: Path, case: dict[str, Any]) -> Path:
    """Three of four longer than a row may be; of examples to be packed all short."""
    words = (DEMO / "train.jsonl").read_text(encoding="utf-8").replace('"', " ").split()
    path = folder / "rows.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(600 if "packing" in case else 48):
            length = 100 if case.get("packing") == "pack" else case["tokens"]
            length = length // 2 if number % 4 == 3 else length
            start = 37 * number
            text = " ".join((words * 9)[start : start + length])
            file.write(json.dumps({"prompt": f"Row {number}", "completion": text}) + "\n")
    return path


def main() -> None:
    """Print the comparison, or measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", type=Path, metavar="FILE")
    parser.add_argument("--cases", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cases is not None:
        _measure_all(json.loads(options.cases.read_text(encoding="utf-8")))
    elif options.measure is not None:
        measure(options.measure)
    else:
        print_rows()


if __name__ == "__main__":
    main()
