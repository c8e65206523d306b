"""`backprop export`: from what was trained to what other programs run, each thing checked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trainer_core.cli.dashboard import no_dashboard_because, open_dashboard
from trainer_core.cli.headless import follow
from trainer_core.cli.options import Json
from trainer_core.config.export_section import FORMATS, ExportRequest
from trainer_core.runs.folder import run_name
from trainer_core.runs.registry import find_run
from trainer_core.worker.launching import launch_export, source_folder


def export(
    source: Annotated[
        str, typer.Argument(help="A run (id, path, last), or the folder of an adapter or a model.")
    ] = "last",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help=f"{', '.join(FORMATS)}; repeatable, or with commas. None: the Export screen.",
        ),
    ] = None,
    quantization: Annotated[
        list[str] | None,
        typer.Option(
            "--quantization", "-q", help="Types of GGUF: q8_0, q4_k_m, f16…; one file each."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="best, last, step-N or run-NN of a run; the best if not given."),
    ] = None,
    base: Annotated[str | None, typer.Option(help="The 16-bit base to merge into.")] = None,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Merge into the quantised base, turned back.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option(help="Of merged weights: float32, bfloat16 or float16.")
    ] = None,
    onnx_precision: Annotated[str | None, typer.Option(help="fp32, fp16 or int4.")] = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not compare it with the trained model.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What the files are called.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; the run's exports/N if not given.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what has the same names there.")
    ] = False,
    ollama: Annotated[bool, typer.Option("--ollama", help="Register the GGUF with Ollama.")] = (
        False
    ),
    ollama_name: Annotated[
        str | None, typer.Option(help="Its name there; implies --ollama.")
    ] = None,
    ollama_base: Annotated[
        str | None, typer.Option(help="For adapter-gguf: the model in Ollama that it stands on.")
    ] = None,
    ollama_host: Annotated[str | None, typer.Option(help="Instead of OLLAMA_HOST.")] = None,
    ollama_remote: Annotated[
        bool, typer.Option("--ollama-remote", help="Allow an Ollama that is not on this machine.")
    ] = False,
    push: Annotated[
        str | None, typer.Option(help="Upload to this repository of the hub (owner/name).")
    ] = None,
    json: Json = False,
) -> None:
    """Export: backprop export RUN --format gguf --quantization q4_k_m --ollama-name my-model."""
    if not formats and not json and not no_dashboard_because():
        raise typer.Exit(open_dashboard(find_run(source).folder, page="export"))
    given: dict[str, Any] = {
        "source": source,
        "formats": _listed(formats),
        "quantizations": _listed(quantization) or None,
        "checkpoint": checkpoint,
        "base": base,
        "dequantize": dequantize,
        "dtype": dtype,
        "onnx_precision": onnx_precision,
        "check": not no_check,
        "name": name,
        "ollama": ollama_name or (_ollama_name(name, source) if ollama else None),
        "ollama_base": ollama_base,
        "ollama_host": ollama_host,
        "ollama_remote": ollama_remote,
        "push": push,
    }
    folder = launch_export(ExportRequest.of(given), output, force=force)
    raise typer.Exit(follow(folder, as_json=json))


def _ollama_name(name: str | None, source: str) -> str:
    """What is exported, in Ollama's spelling."""
    return run_name(name or source_folder(source).name).lower()


def _listed(values: list[str] | None) -> list[str]:
    """`-q a,b -q c` as a list."""
    return [word.strip().lower() for value in values or [] for word in value.split(",") if word]
