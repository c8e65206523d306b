"""What this installation of backprop can do: its own requirements, and its extras."""

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from trainer_core.hardware.doctor.finding import Finding, note, ok, problem
from trainer_core.hardware.doctor.locks import lock_folder
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "extras"
OURS = "backprop-tui"
# Each in the words of a person who wonders whether to install it.
PURPOSES = {
    "train": "training with transformers and PEFT",
    "unsloth": "training with Unsloth, faster and in less memory",
    "export": "K-quants, and the check of GGUF files, with llama.cpp",
    "onnx": "ONNX models, and their check",
    "tracking": "TensorBoard, W&B, Trackio and MLflow",
    "web": "the dashboard in a browser",
}
# Sums of the others, and the tools of those who change backprop itself.
NOT_SHOWN = {"standard", "full", "dev"}
# What pip cannot do well, or not quickly.
REMARKS = {
    "train": " On a machine without a GPU, `make install` in a checkout is smaller.",
    "unsloth": " On a machine without a GPU, take `make install` in a checkout.",
    "export": " llama-cpp-python is compiled, which takes some minutes and a C++ compiler.",
}
# What a checkout installs pinned.
TARGETS = {
    "export": "install-export",
    "onnx": "install-export",
    "tracking": "install-tracking",
}
# Without this, llama.cpp is built for all that the CPU can do; with AMX among it, quantised models
# crash.
SETTINGS = {"export": "CMAKE_ARGS=-DGGML_NATIVE=OFF "}


def look(place: Surroundings, folder: Path | None = None) -> Iterator[Finding]:
    """What backprop itself needs, then each extra. `folder` has the locks (those of this
    installation if None), in a checkout or not."""
    checkout = ((folder or lock_folder()).parent / "Makefile").is_file()
    if OURS not in place.packages:
        yield note(
            AREA,
            "backprop runs from its sources and is not installed, so its extras are not known.",
            "Install it, in its checkout:",
            "pip install --no-deps -e .",
        )
        return
    unfit = [one for one in requirements(place) if not _is_met(place, one)]
    if unfit:
        yield problem(
            AREA,
            "What backprop itself needs is missing or of another version: "
            f"{', '.join(_have(place, one) for one in unfit)}.",
            "Install what it needs.",
            "pip install " + " ".join(f"'{one.name}{one.specifier}'" for one in unfit),
        )
    for extra in extras(place):
        if extra not in NOT_SHOWN:
            yield _extra(place, extra, checkout)


def extras(place: Surroundings) -> list[str]:
    """The extras that our metadata name."""
    return place.packages[OURS].metadata.get_all("Provides-Extra") or []


def requirements(place: Surroundings, extra: str = "") -> list[Requirement]:
    """What `extra` adds; without one, what backprop needs in any case."""
    every = [Requirement(line) for line in place.packages[OURS].requires or []]
    always = [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    added = [one for one in every if one not in always and one.marker is not None]
    return [one for one in added if one.marker and one.marker.evaluate({"extra": extra})]


def missing(place: Surroundings, extra: str) -> list[str]:
    """What of an extra is not installed."""
    wanted = [one.name for one in requirements(place, extra)]
    return [name for name in wanted if canonicalize_name(name) not in place.versions]


def _extra(place: Surroundings, extra: str, checkout: bool) -> Finding:
    lacking, purpose = missing(place, extra), PURPOSES.get(extra, "")
    title = f"{extra}: {purpose}" if purpose else extra
    if not lacking:
        return ok(AREA, f"{title}; installed.")
    adds = [one.name for one in requirements(place, extra)]
    state = "not installed" if len(lacking) == len(adds) else f"without {', '.join(lacking)}"
    return note(
        AREA,
        f"{title}; {state}.",
        f"It adds {', '.join(adds)}.{REMARKS.get(extra, '')}",
        f"make {TARGETS[extra]}"
        if checkout and extra in TARGETS
        else f"{SETTINGS.get(extra, '')}pip install '{OURS}[{extra}]'",
    )


def _is_met(place: Surroundings, wanted: Requirement) -> bool:
    version = place.versions.get(canonicalize_name(wanted.name))
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def _have(place: Surroundings, wanted: Requirement) -> str:
    version = place.versions.get(canonicalize_name(wanted.name), "nothing")
    return f"{wanted.name}{wanted.specifier} (here: {version})"
