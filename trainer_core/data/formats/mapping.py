"""The columns that the config names: only fields that we know, only columns that are there."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from trainer_core.data.formats.cells import listed, quoted
from trainer_core.data.rows import Row
from trainer_core.errors import UserError

# The fields that go together.
_TOGETHER = (
    ("messages", "system", "tools"),
    ("prompt", "completion", "input", "system", "tools"),
    ("text",),
)
FIELDS = tuple(dict.fromkeys(name for names in _TOGETHER for name in names))


def checked(columns: Mapping[str, str], seen: Sequence[Row]) -> dict[str, str]:
    """`columns`, with prompt and completion both named if one of them is.

    Raises UserError for a field or a column that does not exist, naming the nearest, and for
    fields that do not go together.
    """
    mapped = dict(columns)
    for field in mapped:
        if field not in FIELDS:
            hint = f"{_nearest(field, FIELDS)}Fields: {', '.join(FIELDS)}."
            raise UserError(
                f"`columns` names a field `{quoted(field)}` that there is not", hint=hint
            )
    if not any(mapped.keys() <= set(names) for names in _TOGETHER):
        raise UserError(
            f"`columns` names fields that do not go together: {', '.join(mapped)}",
            hint="Name messages; or prompt and completion; or text.",
        )
    if ("prompt" in mapped) != ("completion" in mapped):
        for field in ("prompt", "completion"):
            mapped.setdefault(field, field)
    there = dict.fromkeys(key for row in seen for key in row.data)
    for field, column in mapped.items():
        if column not in there:
            raise UserError(
                f"no column `{quoted(column)}` for {field}",
                where=seen[0].where,
                hint=f"{_nearest(column, there)}Columns: {listed(there)}.",
            )
    return mapped


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name[:100], [known[:100] for known in names], n=1)
    return f"Did you mean `{quoted(near[0])}`? " if near else ""
