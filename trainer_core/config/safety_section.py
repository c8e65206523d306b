"""What keeps a run from ending badly: limits of memory, of the numbers, of time and of the GPU."""

from typing import Annotated, Literal

from pydantic import Field

from trainer_core.config.fields import Auto, Section

Degrees = Annotated[float, Field(ge=30, le=120, allow_inf_nan=False)]


class SafetySection(Section):
    """What keeps a run from ending badly."""

    memory_limit: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None,
        description="Memory in GiB that the run may plan with, of the GPU, or of RAM without one; "
        "all that is free if not given.",
    )
    over_memory: Literal["stop", "warn"] = Field(
        "stop", description="When the estimate says that the run will not fit: stop it, or warn."
    )
    probe: Auto | Literal["on", "off"] = Field(
        "auto",
        description="Measure memory before the run, in two real steps on its longest examples. "
        "auto: before runs of 500 steps or more.",
    )
    on_oom: Literal["shrink", "stop"] = Field(
        "shrink",
        description="When memory runs out in a step: take half as many examples at a time (the "
        "effective batch and the order of the data stay), or stop.",
    )
    bad_loss: Literal["stop", "warn"] = Field(
        "stop",
        description="When the loss is not a number: stop the run, its last checkpoint stands, or "
        "warn.",
    )
    exploding_loss: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = Field(
        3.0,
        description="Stop when the average loss of 10 steps is this many times the lowest such "
        "average before, and above the first. null: never.",
    )
    zero_gradients: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        20,
        description="Stop after this many steps in a row whose gradient is zero: nothing is "
        "learnt. null: never.",
    )
    stuck_seconds: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        1800.0,
        description="End the job after this many seconds without a sign of life (four times as "
        "many while it loads or downloads); the last checkpoint stands. null: never.",
    )
    full_disk: Literal["wait", "stop"] = Field(
        "wait",
        description="When there is no room for what is saved: wait, visibly, until there is, or "
        "stop.",
    )
    gpu_watch: Literal["on", "off"] = Field(
        "on", description="Watch the GPUs' temperature, throttling and memory errors."
    )
    gpu_warn: Degrees | None = Field(
        None, description="°C at which to warn; 5 below gpu_pause if not given."
    )
    gpu_pause: Degrees | None = Field(
        None,
        description="°C at which the run pauses until the GPU is 5 degrees cooler; the device's "
        "own slowdown limit if not given, 87 where it names none.",
    )
    gpu_stop: Degrees | None = Field(
        None,
        description="°C at which the run saves and stops; 2 below the device's own shutdown limit "
        "if not given, 92 where it names none.",
    )
    throttling: Literal["pause", "warn", "off"] = Field(
        "warn",
        description="When a GPU slows down for heat or a failing power supply: pause until it is "
        "over, or warn. To be held at its power limit is normal.",
    )
    memory_errors: Literal["stop", "warn", "off"] = Field(
        "stop",
        description="When a GPU reports new uncorrected memory (ECC) errors: save nothing more and "
        "stop, the last checkpoint stands, or warn.",
    )
