"""What every part of a training needs, from the first answer to the last step.

Light at import: a backend must be imported before the loop is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer_core.config.schema import RunConfig
from trainer_core.config.training_section import TrainingSection
from trainer_core.engine.preparing import Ready
from trainer_core.engine.room import Room
from trainer_core.runs.control import Control
from trainer_core.runs.flight import Flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.tokens.packing import Bins
from trainer_core.tokens.prepare import Examples

if TYPE_CHECKING:
    from trainer_core.engine.loop import Loop, Place
    from trainer_core.engine.outcome import Outcome


@dataclass(frozen=True)
class Session:
    """A training that is under way. `tokenizer` is the one that TRL insists on."""

    folder: RunFolder
    recorder: Recorder
    control: Control
    backend: Any
    ready: Ready
    model: Any
    tokenizer: Any
    room: Room
    flight: Flight
    # Whether the run may go on with other settings or data than a checkpoint was made with.
    warm: bool = False

    @property
    def config(self) -> RunConfig:
        """The config with nothing open."""
        return self.ready.run.config

    def loop(
        self,
        folder: RunFolder,
        training: TrainingSection,
        rows: Examples,
        bins: Bins | None,
        place: "Place",
        outcome: "Outcome",
    ) -> "Loop":
        """A loop of `training.steps` steps over `rows`, with its checkpoints in `folder`; `outcome`
        shows between steps what it has learnt."""
        from trainer_core.engine.batches import collator, rows_of_step, to_dataset
        from trainer_core.engine.loop import Loop
        from trainer_core.engine.loop_config import loop_config

        ready, config = self.ready, self.config.model_copy(update={"training": training})

        def rows_at(step: int) -> list[str]:
            size, accumulation = int(training.batch_size), int(training.gradient_accumulation)
            count = len(rows) if bins is None else len(bins)
            numbers = rows_of_step(count, size, accumulation, training.seed, step)
            chosen = numbers if bins is None else [int(x) for row in numbers for x in bins[row]]
            return [rows[number].where for number in chosen]

        loop = Loop(
            folder=folder,
            recorder=self.recorder,
            record=self.folder,
            wishes=self.control,
            settings=training,
            safety=config.safety,
            place=place,
            room=self.room,
            flight=self.flight,
            rows_at=rows_at,
            warm=self.warm,
            model=self.model,
            args=loop_config(config, int(training.steps), self.folder, bool(ready.validation)),
            train_dataset=to_dataset(rows, bins),
            eval_dataset=(
                to_dataset(ready.validation, ready.validation_bins) if ready.validation else None
            ),
            data_collator=collator(training.packing, ready.encoder.tokenizer.pad_id),
            processing_class=self.tokenizer,
        )
        loop.on_samples = lambda step: outcome.answer("during", step)
        loop.on_score = outcome.score
        return loop
