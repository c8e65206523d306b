"""An export job from request to checked files: each stage is announced, then done."""

import json
import shutil
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from trainer_core.config.export_section import ExportRequest
from trainer_core.engine.base_model import quieten
from trainer_core.errors import BackpropError, StoppedError
from trainer_core.export.artefacts import Artefact, plan_artefacts
from trainer_core.export.card import write_card
from trainer_core.export.check import Reference, ask_trained, compare
from trainer_core.export.hand_on import hand_to_ollama, require_ollama
from trainer_core.export.prompts import prompts, strings
from trainer_core.export.push import push, require_token
from trainer_core.export.room import require_room
from trainer_core.export.source import Source, find_source
from trainer_core.export.transformers_speaker import trained_model
from trainer_core.export.workshop import Workshop
from trainer_core.files import remove_folder, size_of, sync_folder, write_atomically
from trainer_core.planning.facts import is_local
from trainer_core.runs.control import Control
from trainer_core.runs.events import Check, Exported, Finished, Notice, Progress, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.text import size

FORMAT = 1
PROGRESS_SECONDS = 0.3


def export(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    """Do what `request.json` in the job's folder asks.

    What is written lies in a folder of its own until it was checked. Raises UserError for what the
    user can mend, BackpropError for an export that does not speak like the trained model,
    StoppedError if stopped; then nothing half-made stays.
    """
    # A stop is seen between two blocks, and takes what is half made along.
    control.holds_work = True
    started = time.monotonic()
    request = ExportRequest.model_validate_json((folder.path / "request.json").read_bytes())
    job = _Job(folder, recorder, control, request)
    try:
        job.run()
    finally:
        shutil.rmtree(folder.half_made, ignore_errors=True)
    return Finished(
        outcome="finished",
        step=0,
        elapsed=time.monotonic() - started,
        saved=str(folder.path),
        message=job.summary,
        commands=job.commands,
    )


class _Job:
    """One export, and what it has made so far."""

    def __init__(
        self, folder: RunFolder, recorder: Recorder, control: Control, request: ExportRequest
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._request = request
        self._said = 0.0
        self._made: list[Exported] = []
        self._failed: list[str] = []
        self._reference: Reference | None = None
        self.commands: list[str] = []
        self.summary = ""

    def run(self) -> None:
        """Everything, in order."""
        self._stage("reading", self._request.source)
        quieten(offline=False)
        source = find_source(self._request)
        artefacts = plan_artefacts(self._request, source)
        require_ollama(self._request, self._notice)
        if self._request.push is not None:
            require_token()
        require_room(self._folder.path, self._request, source)
        shutil.rmtree(self._folder.half_made, ignore_errors=True)
        self._folder.half_made.mkdir(parents=True)
        source = source.settled(self._folder.half_made / "adapter-as-plain")
        if source.dequantized:
            self._notice(
                f"the base {source.base} was turned back from its quantised form",
                "What quantization rounded away stays lost.",
            )
        shop = Workshop(
            source, self._folder.half_made, self._control, self._stage, self._tell("bytes")
        )
        if self._request.check:
            self._reference = self._ask_trained(source)
        for artefact in artefacts:
            self._make(artefact, shop)
        self._hand_on(source)

    def _ask_trained(self, source: Source) -> Reference:
        asked, origin = prompts(source, self._stop_if_asked)
        self._stage("loading", "the trained model")
        model = trained_model(source)
        self._stage("answering", f"{len(asked)} prompts ({origin}), as trained ({model.dtype})")
        tell = self._tell("prompts")
        marks = model.marks([*chain.from_iterable(asked), *model.stop_ids])
        texts = [*strings([model.text(ids) for ids in asked]), *marks]
        try:
            return ask_trained(
                model, texts, asked, origin, source.template(), lambda done: tell(done, len(asked))
            )
        finally:
            model.close()

    def _make(self, artefact: Artefact, shop: Workshop) -> None:
        """Write one thing, check it, and only then give it its name."""
        began = time.monotonic()
        half = self._folder.half_made / artefact.path
        for note in artefact.make(shop, half):
            self._notice(f"{artefact.path}: {note}")
        check = self._check(artefact, shop, half) if self._reference is not None else None
        place = self._folder.path / artefact.path
        if check is not None and not check.passed:
            place = self._folder.path / "failed" / artefact.path
            self._failed.append(
                f"{artefact.path} does not speak like the trained model: {check.failure}"
            )
        _move(half, place)
        path = place.relative_to(self._folder.path).as_posix()
        made = Exported(
            format=artefact.format,
            path=path,
            size=size_of(place),
            seconds=time.monotonic() - began,
            check=check,
            commands=artefact.commands(place) if check is None or check.passed else [],
        )
        self._made.append(made)
        self._write_check(shop.source)  # each time: an export may end at any moment
        self._recorder.record(made)

    def _check(self, artefact: Artefact, shop: Workshop, half: Path) -> Check:
        assert self._reference is not None  # noqa: S101 - the caller looked
        self._stage("checking", artefact.path)
        total, tell = len(self._reference.answered), self._tell("prompts")
        speaker = artefact.speak(shop, half)
        try:
            found = compare(
                self._reference, speaker, artefact.limits, lambda done: tell(done, total)
            )
            return found if shop.source.may_be_shown else found.model_copy(update={"spoken": []})
        finally:
            speaker.close()

    def _hand_on(self, source: Source) -> None:
        """What is done with it all: the card, Ollama, the hub. Nothing that failed goes further."""
        good = [made for made in self._made if made.check is None or made.check.passed]
        write_card(self._folder.path, source, good)
        if self._failed:
            raise BackpropError(
                "; ".join(self._failed),
                hint=f"It is in {self._folder.path / 'failed'}, to look at and not to use.",
            )
        self.commands += hand_to_ollama(
            self._request,
            source,
            good,
            self._folder.path,
            self._stage,
            self._notice,
            self._tell("bytes"),
        )
        if self._request.push is not None:
            self._stage("uploading", self._request.push)
            if is_local(source.base_name):
                self._notice(f"what is uploaded names its base as {source.base_name}")
            self.commands.append(
                push(
                    self._folder.path,
                    self._request.push,
                    [made.path for made in good],
                    self._tell("bytes"),
                )
            )
        taken = size(sum(made.size for made in good))
        how = "written and checked" if self._request.check else "written, NOT checked"
        self.summary = f"{len(good)} {how}, {taken}"

    def _write_check(self, source: Source) -> None:
        """check.json: what is made so far, what was compared with what, and every number of it."""
        reference = self._reference
        found: dict[str, object] = {
            "format": FORMAT,
            "checked": reference is not None,
            "source": str(source.folder),
            "base": source.base_name,
            "dequantized": source.dequantized,
        }
        if reference is not None:
            found["compared_with"] = f"the trained model in transformers, {reference.dtype}"
            found["prompts"] = f"{len(reference.answered)}, {reference.origin}"
            found["strings"] = len(reference.tokens)
        found["artefacts"] = {
            made.path: None
            if made.check is None
            else {"passed": made.check.passed, **made.check.model_dump()}
            for made in self._made
        }
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self._folder.path / "check.json", text.encode())

    def _stage(self, stage: str, detail: str) -> None:
        self._stop_if_asked()
        self._said = 0.0
        self._recorder.record(Stage(stage=stage, detail=detail))

    def _notice(self, message: str, hint: str = "") -> None:
        self._recorder.record(Notice(message=message, hint=hint))

    def _tell(self, unit: str) -> Callable[[int, int], None]:
        """Something that hears of progress, and sees that the user wants to end."""
        began = time.monotonic()
        first: int | None = None
        last = -1

        def tell(done: int, total: int) -> None:
            nonlocal began, first, last
            self._stop_if_asked()
            now = time.monotonic()
            if first is None or done < first:  # another thing has begun
                began, first = now, done
            ends = done == total != last
            if not ends and (done == last or now - self._said < PROGRESS_SECONDS):
                return
            self._said, last = now, done
            passed = now - began
            rate = (done - first) / passed if passed > 0 and done > first else None
            stage = self._recorder.stage
            self._recorder.record(
                Progress(stage=stage, done=done, total=total, unit=unit, rate=rate)
            )

        return tell

    def _stop_if_asked(self) -> None:
        if self._control.stopping:
            raise StoppedError("stopped; nothing half-made stays")


def _move(half: Path, place: Path) -> None:
    """Under its name, in place of what had it before (only --force comes here then)."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        remove_folder(place)
    half.replace(place)
    sync_folder(place.parent)
