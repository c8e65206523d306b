"""TensorBoard: event files in the run folder, written with its own writer, without TensorFlow."""

import json
import time

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from trainer_core.tracking.tracker import About, Ending, Notes, Row, as_markdown


class TensorBoardRun:
    """A file for each process that told of the run; TensorBoard shows them as one."""

    def __init__(self, about: About, notes: Notes) -> None:
        self._writer = EventFileWriter(str(about.folder / "tensorboard"))
        self._step = 0
        self.notes = {"begun": "yes"}
        if not notes:
            rows = [f"| `{name}` | {json.dumps(value)} |" for name, value in about.config.items()]
            self._write(
                0, time.time(), [_text("config", "\n".join(["| field | value |", "|-|-|", *rows]))]
            )

    def log(self, row: Row) -> None:
        found = [Summary.Value(tag=tag, simple_value=x) for tag, x in row.values.items()]
        if row.answers:
            found.append(_text("answers", as_markdown(row.answers)))
        self._write(row.step, row.time, found)
        self._step = row.step

    def flush(self) -> None:
        self._writer.flush()

    def finish(self, ending: Ending) -> None:
        found = [
            Summary.Value(tag=f"summary/{name}", simple_value=x)
            for name, x in ending.summary.items()
        ]
        words = f"{ending.outcome} {ending.message}".strip()
        self._write(self._step, time.time(), [*found, _text("outcome", words)])
        self._writer.close()

    def _write(self, step: int, when: float, values: list[Summary.Value]) -> None:
        self._writer.add_event(Event(step=step, wall_time=when, summary=Summary(value=values)))


def _text(tag: str, text: str) -> Summary.Value:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
