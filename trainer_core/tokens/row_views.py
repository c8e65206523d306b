"""A row as the screen shows it, made of what the pass over the data makes of it."""

from collections.abc import Callable, Iterator

import numpy as np

from trainer_core.config.data_section import DataSection
from trainer_core.data.conversations import Conversation
from trainer_core.data.formats import reader
from trainer_core.data.opening import OpenSource, first_conversations, open_sources
from trainer_core.data.pages import Pages
from trainer_core.data.problems import RowError
from trainer_core.data.row_view import MAX_TOKENS, RowView, ShownToken, ShownTurn, shortened
from trainer_core.data.rows import Chunk, Row, row_of
from trainer_core.data.sources.several import Held
from trainer_core.tokens.encode_chunk import EncoderSetup, ReadingSetup, encode_chunk
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.store import StoreWriter

# A longer row is not encoded for a look at it alone: that could take seconds.
LONG = 1 << 20  # characters
LATER = "so long that its tokens are shown only when all rows are prepared"


def view_of(
    row: Row,
    read: Callable[[Row], Conversation],
    example: Example,
    encoder: Encoder | None,
    limit: int | None,
) -> RowView:
    """The row with its turns and tokens; those from `limit` on are lost."""
    view = RowView(where=row.where, limit=limit)
    try:
        conversation = read(row)
    except RowError:
        view.text = str(row.data)
        return shortened(view)
    answers = [n for n, turn in enumerate(conversation.turns) if turn.role == "assistant"]
    if encoder is not None and encoder.train_on == "last":
        answers = answers[-1:]
    view.turns = [
        ShownTurn(role=turn.role, content=turn.content, trained=turn.trained and number in answers)
        for number, turn in enumerate(conversation.turns)
    ]
    view.text = conversation.text or ""
    if encoder is not None:
        view.tokens = list(_tokens(example, encoder, limit))
        view.left_out = len(example.ids) - len(view.tokens)
    return shortened(view)


def _tokens(example: Example, encoder: Encoder, limit: int | None) -> Iterator[ShownToken]:
    ids = example.ids[:MAX_TOKENS].tolist()
    for index, (token, (text, special), trained) in enumerate(
        zip(ids, encoder.tokenizer.pieces(ids), example.trained.tolist(), strict=False)
    ):
        yield ShownToken(
            id=token,
            text=text,
            special=special,
            trained=trained,
            lost=limit is not None and index >= limit,
        )


class RowsAsRead:
    """Rows of the first source before all of the data was read: each is read, checked and encoded
    when it is asked for, by what the pass itself calls."""

    def __init__(
        self, data: DataSection, setup: EncoderSetup | None, max_length: int | None
    ) -> None:
        """Open the source, find out its format, try the template. Raises UserError."""
        source: OpenSource = open_sources(data)[0]
        self._pages = Pages(source.source)
        self._reading = ReadingSetup(source.detection)
        self._read = reader(source.detection)
        self._limit = max_length if data.too_long != "split" else None
        self._encoder = setup.make() if setup is not None else None
        if self._encoder is not None and self._encoder.template is not None:
            self._encoder.template.render_with_spans(list(first_conversations(data, source)))

    def view(self, number: int, chunk: Chunk | None = None, index: int = 0) -> RowView:
        """A row by its number over the rows as read, from 0, or by its index in a chunk.

        Raises IndexError, UserError.
        """
        row = row_of(chunk, index) if chunk is not None else self._pages.row(number)
        if row is None:
            raise IndexError(number)
        short = len(str(row.data)) <= LONG
        encoder = self._encoder if short else None
        encoded = encode_chunk(Held((row,)), self._reading, encoder)
        writer = StoreWriter(None)
        writer.add(encoded)
        example = writer.finish(lambda *_: np.empty(0)).example(0)
        view = view_of(row, self._read, example, encoder, self._limit)
        view.index = view.row = number
        view.problems = [problem.message for problem in encoded.problems]
        if self._encoder is not None and encoder is None:
            view.problems.append(LATER)
        return view
