"""A prediction job: prompts and rows answered by what was trained, its base or an export of it."""

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer_core.answering.memory_log import MemoryLog
from trainer_core.answering.models import AskedModel, load_asked, name_of, subject_of
from trainer_core.config.data_section import SPLITS, DataSection, SplitName
from trainer_core.config.predict_section import PredictRequest
from trainer_core.data.asked import Asked, asked_in_file, asked_in_words, asked_of
from trainer_core.data.splits import spread
from trainer_core.engine.base_model import fetch, quieten
from trainer_core.engine.evaluate import all_of, prepared_like
from trainer_core.engine.subject import Subject
from trainer_core.errors import StoppedError, UserError
from trainer_core.files import write_atomically
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished, Notice, Predicted, Progress, Scored, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import other_material, read_identity
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.trained import run_of
from trainer_core.scoring.answers import score_answers
from trainer_core.scoring.perplexity import PERPLEXITY, Known, perplexity
from trainer_core.tokens.examples import Example
from trainer_core.tokens.prepare import Prepared

FORMAT = 1
# Of the splits that a run has, the first of these is asked.
_FIRST: tuple[SplitName, ...] = ("test", "validation", "train")
PROGRESS_SECONDS = 0.3


def predict(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    """Do what `request.json` in the job's folder asks.

    Each answer is a line of predictions.jsonl as soon as it is there; in the end they are put into
    the order of the prompts. Raises UserError for what the user can mend, StoppedError if stopped:
    what was answered until then stays.
    """
    control.holds_work = True  # a stop is seen between two tokens
    started = time.monotonic()
    request = PredictRequest.model_validate_json((folder.path / "request.json").read_bytes())
    job = _Job(folder, recorder, control, request)
    try:
        job.run()
    finally:
        job.finish()
    return Finished(
        outcome="finished",
        step=0,
        elapsed=time.monotonic() - started,
        saved=str(folder.predictions_file),
        message=job.words,
        summary=job.summary,
    )


class _Job:
    """One prediction job, and what was answered so far."""

    def __init__(
        self, folder: RunFolder, recorder: Recorder, control: Control, request: PredictRequest
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._request = request
        self._memory = MemoryLog(folder.path)
        self._made: dict[int, Predicted] = {}
        self._scored: Scored | None = None
        self._split: SplitName | None = None
        self._tokens = 0
        self._seconds = self._said = 0.0
        self.runtime = ""

    def run(self) -> None:
        """Everything, in order: what is asked is known before the model is loaded."""
        request = self._request
        self._stage("reading", request.source)
        quieten(offline=False)
        subject = subject_of(request)
        asked = self._asked(subject)
        self._stage("loading", name_of(request, subject))
        with self._memory:
            model = load_asked(request, subject)
            self.runtime = model.runtime
            known = self._known(model, asked, subject)
            self._answer(model, asked, known)
        self._tell_of_cuts()
        self._score()

    def finish(self) -> None:
        """Put what was answered into order, with its summary and the memory it took."""
        if not self._made:
            return
        lines = [_line(self._made[row]) for row in sorted(self._made)]
        write_atomically(self._folder.predictions_file, b"".join(lines))
        facts = {"format": FORMAT, **self._request.model_dump(), "runtime": self.runtime}
        facts |= {"split": self._split}
        if self._scored is not None:
            facts |= self._scored.model_dump(include={"scores"})
        text = json.dumps({**facts, **self.summary}, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self._folder.path / "summary.json", text.encode())
        self._memory.draw()

    @property
    def summary(self) -> dict[str, float | None]:
        """Numbers of the whole."""
        rows, tokens, seconds = len(self._made), self._tokens, self._seconds or None
        return {
            "rows": rows,
            "cut": self._ended["length"] + self._ended["context"],
            "tokens": tokens,
            "seconds": self._seconds,
            "rows_per_second": rows / seconds if seconds else None,
            "tokens_per_second": tokens / seconds if seconds else None,
            "peak_ram": self._memory.peak_ram,
            "peak_gpu": self._memory.peak_gpu,
        }

    @property
    def words(self) -> str:
        """The summary for a person."""
        found = self.summary
        words = f"{len(self._made):,} answer{'s' if len(self._made) != 1 else ''}"
        if found["rows_per_second"] and found["tokens_per_second"]:
            words += f", {found['rows_per_second']:.1f} rows/s, "
            words += f"{found['tokens_per_second']:,.0f} tokens/s"
        return words

    def _asked(self, subject: Subject | None) -> list[Asked]:
        request = self._request
        if request.prompt is not None:
            return [asked_in_words(request.prompt)]
        if request.prompts is not None:
            asked = asked_in_file(Path(request.prompts))
            return [asked[row] for row in spread(len(asked), request.count)]
        if subject is not None and request.data is not None:
            return self._rows(subject, all_of(request.data, subject.config))
        if subject is None or not subject.knows_its_data:
            raise UserError(
                f"{request.source} lies in no run, so its data is not known",
                hint="Name prompts: --prompts FILE.",
            )
        return self._rows(subject, subject.config.data)

    def _rows(self, subject: Subject, data: DataSection) -> list[Asked]:
        if any(one.encryption for part in SPLITS for one in getattr(data, part) or []):
            raise UserError(
                "the data is encrypted, and predictions would hold it in clear",
                hint="Ask other prompts: --prompts FILE.",
            )
        model = subject.config.model
        base = fetch(model.base, model.revision, code=model.trust_remote_code)
        self._stage("data", data.name)
        prepared = prepared_like(
            subject.config, base, data, progress=lambda _rows, _seconds: self._stop_if_asked()
        )
        if data is subject.config.data:
            chosen = self._split = self._chosen(prepared, data.name)
            self._see_that_nobody_learnt(prepared, chosen)
        else:
            chosen = "train"  # all of another file
        talks = prepared.conversations(chosen, self._request.count)
        asked = [one for talk in talks if (one := asked_of(talk)) is not None]
        if not asked:
            raise UserError(
                f"the rows of {data.name} are texts, which ask nothing",
                hint="Name prompts: --prompts FILE.",
            )
        return asked

    def _chosen(self, prepared: Prepared, name: str) -> SplitName:
        """The split that was asked for; else test, if there is one, else validation, else train."""
        there = [split for split in _FIRST if len(prepared.splits[split])]
        chosen = self._request.split or there[0]
        if chosen not in there:
            hint = f"There are: {', '.join(there)}."
            raise UserError(f"{name} has no rows for {chosen}", hint=hint)
        return chosen

    def _see_that_nobody_learnt(self, prepared: Prepared, chosen: SplitName) -> None:
        """Say where the rows that are asked were, or may have been, in the training."""
        if chosen == "train":
            if self._request.split is None:
                self._notice("nothing is held out of the data: its rows were trained on")
            return
        run = run_of(Path(self._request.source))
        before = read_identity(run) if run is not None else None
        if before is None or not isinstance(before.get("data"), dict):
            return
        train = prepared.splits["train"]
        now = {**before, "data": {"train": [len(train), train.fingerprint()]}}
        if changes := other_material(before, now):
            self._notice(
                f"the data has changed since the training ({'; '.join(changes)}): rows of {chosen} "
                "may have been trained on"
            )

    def _known(
        self, model: AskedModel, asked: Sequence[Asked], subject: Subject | None
    ) -> dict[int, Known]:
        """Of each row whose answer is expected: how well the model knows its trained tokens."""
        rows = [row for row, one in enumerate(asked) if one.expected is not None]
        encoder = model.encoder(subject)
        if not rows or encoder is None:
            return {}
        self._stage("scoring", f"the trained tokens of {len(rows):,} rows")
        made = encoder.encode_batch([asked[row].answered for row in rows])
        examples = {
            row: example
            for row, example in zip(rows, made, strict=True)
            if isinstance(example, Example)
            and (model.context is None or len(example.ids) <= model.context)
        }
        scores = model.knows([*examples.values()], self._request.batch_size, self._control)
        found = zip(examples, scores.losses.tolist(), scores.tokens.tolist(), strict=True)
        known = {row: (nats, tokens) for row, nats, tokens in found if math.isfinite(nats)}
        if len(known) < len(examples):
            broken = f"the loss of {len(examples) - len(known):,} rows is no number"
            self._notice(f"{broken}: the weights may be damaged, or have diverged")
        return known

    def _answer(
        self, model: AskedModel, asked: Sequence[Asked], known: Mapping[int, Known]
    ) -> None:
        ids = [model.ids(one.turns, one.tools) for one in asked]
        fit = [n for n, one in enumerate(ids) if model.context is None or len(one) < model.context]
        if len(fit) < len(ids):
            left_out = len(ids) - len(fit)
            sentence = (
                f"{left_out:,} of {len(ids):,} prompts are as long as the model's context "
                f"({model.context:,} tokens) or longer"
            )
            if not fit:
                raise UserError(sentence, hint="Shorten them: an answer needs room too.")
            self._notice(f"{sentence}, and are left out")
        self._stage("answering", f"{len(fit):,} prompt{'s' if len(fit) != 1 else ''}")
        began = time.monotonic()
        answers = model.answers(
            [ids[n] for n in fit],
            self._request.sampling,
            self._request.batch_size,
            self._control,
            self._memory.count,
        )
        try:
            for place, made in answers:
                row = fit[place]
                one, (nats, trained) = asked[row], known.get(row, (None, None))
                self._made[row] = event = Predicted(
                    row=row,
                    where=one.where,
                    prompt=one.prompt,
                    tools=[dict(tool) for tool in one.tools],
                    expected=one.expected,
                    answer=made.text,
                    tokens=made.tokens,
                    seconds=made.seconds,
                    ended=made.ended,
                    nats=nats,
                    trained_tokens=trained,
                )
                self._recorder.record(event)
                self._tokens += made.tokens
                self._seconds = time.monotonic() - began
                self._tell(len(fit))
        except StoppedError:
            raise StoppedError(
                f"stopped; {len(self._made):,} of {len(fit):,} answers are there"
            ) from None

    def _score(self) -> None:
        """Compare with what was expected, of the rows where that is known."""
        # In the order of the file, as whoever scores that draws rows again.
        known = [one for _, one in sorted(self._made.items()) if one.expected is not None]
        if not known:
            return
        self._stage("scoring", f"{len(known):,} answers")
        answers = [made.answer for made in known]
        scores = score_answers(answers, [made.expected or "" for made in known])
        measured = [
            (made.nats, made.trained_tokens)
            for made in known
            if made.nats is not None and made.trained_tokens
        ]
        if measured:
            scores[PERPLEXITY] = perplexity(measured)
        self._scored = Scored(rows=len(known), scores=scores)
        self._recorder.record(self._scored)

    @property
    def _ended(self) -> Counter[str]:
        """How many answers ended in which way."""
        return Counter(made.ended for made in self._made.values())

    def _tell_of_cuts(self) -> None:
        """Say once how many answers are not whole."""
        most, ended = self._request.sampling.max_tokens, self._ended
        where = {"length": f"at {most:,} tokens", "context": "where the model's context was full"}
        cuts = [
            f"{_were(ended[how], len(self._made))} cut {place}"
            for how, place in where.items()
            if ended[how]
        ]
        if cuts:
            hint = "--max-tokens lets answers be longer." if ended["length"] else ""
            self._recorder.record(Notice(message=", ".join(cuts), hint=hint))

    def _tell(self, total: int) -> None:
        done, last = len(self._made), len(self._made) == total
        self._memory.answers = done
        if self._seconds - self._said < PROGRESS_SECONDS and not last:
            return
        self._said = self._seconds
        rate = done / self._seconds if self._seconds else None
        stage = self._recorder.stage
        self._recorder.record(
            Progress(stage=stage, done=done, total=total, unit="answers", rate=rate)
        )

    def _stage(self, stage: str, detail: str) -> None:
        self._stop_if_asked()
        self._recorder.record(Stage(stage=stage, detail=detail))

    def _notice(self, message: str) -> None:
        self._recorder.record(Notice(message=message))

    def _stop_if_asked(self) -> None:
        self._control.beat()
        if self._control.stopping:
            raise StoppedError("stopped before anything was answered")


def _were(some: int, of: int) -> str:
    """Some of the answers, as a sentence begins."""
    if of == 1:
        return "the answer was"
    return f"{some:,} of {of:,} answers {'was' if some == 1 else 'were'}"


def _line(made: Predicted) -> bytes:
    return json.dumps(made.facts(), ensure_ascii=False).encode() + b"\n"
