"""Rows with a prompt and its completion, under these or other names."""

from dataclasses import replace

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.formats.cells import Columns, as_text, cell
from trainer_core.data.formats.messages import tools_of, turns_of, with_system
from trainer_core.data.rows import Row

PROMPT_COMPLETION = "prompt and completion"
ALPACA = "Alpaca"
QUESTION_ANSWER = "question and answer"

# Which columns make which format.
PAIRS: dict[str, dict[str, str]] = {
    PROMPT_COMPLETION: {"prompt": "prompt", "completion": "completion"},
    ALPACA: {"prompt": "instruction", "input": "input", "completion": "output"},
    QUESTION_ANSWER: {"prompt": "question", "completion": "answer"},
}


def read_pair(row: Row, columns: Columns) -> Conversation:
    """Two texts, or lists of messages. Raises RowError."""
    prompt, completion = cell(row, columns["prompt"]), cell(row, columns["completion"])
    in_turns = isinstance(prompt, list) or isinstance(completion, list)
    if in_turns:
        turns = _talk(row, columns, prompt, completion)
    else:
        turns = [_asked(row, columns, prompt), _answered(row, columns, completion)]
    return Conversation(
        row.where,
        with_system(row, columns, turns),
        pair=not in_turns,
        tools=tools_of(row, columns),
    )


def read_prompt(row: Row, columns: Columns) -> tuple[Turn, ...]:
    """What a row asks, whether or not it has an answer. Raises RowError."""
    return with_system(row, columns, _before(row, columns, cell(row, columns["prompt"])))


def _before(row: Row, columns: Columns, prompt: object) -> list[Turn]:
    """The prompt as turns."""
    if isinstance(prompt, list):
        return turns_of(row, prompt, name=f"{columns['prompt']}, message")
    return [_asked(row, columns, prompt)]


def _talk(row: Row, columns: Columns, prompt: object, completion: object) -> list[Turn]:
    """Both sides as turns; the answers in a prompt are not what the row is there to teach."""
    before = _before(row, columns, prompt)
    after = (
        turns_of(row, completion, name=f"{columns['completion']}, message")
        if isinstance(completion, list)
        else [_answered(row, columns, completion)]
    )
    known = [replace(turn, trained=False) if turn.role == "assistant" else turn for turn in before]
    return known + after


def _asked(row: Row, columns: Columns, prompt: object) -> Turn:
    """The prompt, and what it is about, if that stands in a column of its own."""
    text = as_text(row, prompt, f"`{columns['prompt']}`")
    about = row.data.get(columns["input"]) if "input" in columns else None
    if about is None or about == "":
        return Turn("user", text)
    added = as_text(row, about, f"`{columns['input']}`")
    return Turn("user", f"{text}\n\n{added}" if text else added)


def _answered(row: Row, columns: Columns, completion: object) -> Turn:
    return Turn("assistant", as_text(row, completion, f"`{columns['completion']}`"))
