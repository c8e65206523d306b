"""Edits of YAML change one field and nothing else: every comment, quote and line stays."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer_core.config.edit import set_value, unset
from trainer_core.config.plain_data import at, same, with_value, without
from trainer_core.config.yaml_file import Keys, parse_yaml
from trainer_core.errors import UserError

CONFIG = """\
# What this run is for.
model:
  base: tiny   # a folder
  dtype: 'auto'

data:
  train: "a.jsonl" # rows

# How it is trained.
training:
  steps:    3
  sample_prompts: # none of these is in train
    - What is it?
    # the second
    - Why?   # because
  # batch_size: 4

# What is written down.
logging:
"""


def read(text: str) -> dict[str, Any]:
    lines = text.removeprefix("\ufeff").splitlines()
    if all(not line.strip() or line.strip().startswith("#") for line in lines):
        return {}
    return parse_yaml(text.removeprefix("\ufeff"), "test").data


def check_set(text: str, keys: Keys, value: Any) -> str:
    """The edited text, which reads as the old one with that one change."""
    after = set_value(text, keys, value)
    assert same(read(after), with_value(read(text), keys, value))
    return after


@pytest.mark.parametrize(
    ("keys", "value", "old", "new"),
    [
        (("model", "base"), "other", "base: tiny   # a", "base: other   # a"),
        (("model", "base"), "a: b #c", "base: tiny   # a", "base: 'a: b #c'   # a"),
        (("model", "dtype"), "float32", "dtype: 'auto'", "dtype: float32"),
        (("data", "train"), ["a", "b"], '"a.jsonl" # rows', "[a, b] # rows"),
        (("training", "steps"), 2e-5, "steps:    3", "steps:    2e-5"),
        (("training", "sample_prompts", 0), "Who?", "- What is it?", "- Who?"),
        (("training", "sample_prompts"), ["What is it?"], "    - Why?   # because\n", ""),
        (
            ("training", "sample_prompts"),
            ["What is it?", "Who?", "Why?"],
            "is it?\n",
            "is it?\n    - Who?\n",
        ),
        (("logging", "level"), "DEBUG", "logging:\n", "logging:\n  level: DEBUG\n"),
        (("model", "revision"), "main", "'auto'\n", "'auto'\n  revision: main\n"),
        (
            ("training", "seed"),
            1,
            "# because\n",
            "# because\n  seed: 1\n",
        ),
        (("lora", "rank"), 8, "logging:\n", "logging:\n\nlora:\n  rank: 8\n"),
        (("preset",), "demo", "model:\n", "preset: demo\nmodel:\n"),
        (("data", "split", "seed"), 1, "# rows\n", "# rows\n  split:\n    seed: 1\n"),
        (
            ("data", "train"),
            {"path": "a"},
            'train: "a.jsonl" # rows\n',
            "train: # rows\n    path: a\n",
        ),
        (
            ("training", "sample_prompts"),
            [],
            "  sample_prompts: # none of these is in train\n    - What is it?\n    # the second\n"
            "    - Why?   # because\n",
            "  # the second\n  sample_prompts: []  # none of these is in train   # because\n",
        ),
    ],
)
def test_one_change(keys: Keys, value: Any, old: str, new: str) -> None:
    assert check_set(CONFIG, keys, value) == CONFIG.replace(old, new)


@pytest.mark.parametrize(
    ("keys", "old", "new"),
    [
        (("model", "base"), "  base: tiny   # a folder\n", ""),
        (("training", "steps"), "  steps:    3\n", ""),
        (("data", "train"), 'data:\n  train: "a.jsonl" # rows\n\n', ""),
        (("training", "sample_prompts", 1), "    - Why?   # because\n", ""),
        (("logging",), "logging:\n", ""),
        (("training", "epochs"), "", ""),
        (("nowhere", "at", "all"), "", ""),
    ],
)
def test_one_removal(keys: Keys, old: str, new: str) -> None:
    assert unset(CONFIG, keys) == CONFIG.replace(old, new)


def test_a_section_goes_with_its_last_field_and_leaves_its_comments() -> None:
    text = unset(unset(CONFIG, ("training", "steps")), ("training", "sample_prompts"))
    assert "training" not in read(text)
    assert "# How it is trained.\n  # batch_size: 4\n" in text


def test_the_last_field_of_all_leaves_an_empty_mapping() -> None:
    text = unset("# head\nmodel:\n  base: x # gone\n# end\n", ("model", "base"))
    assert read(text) == {}
    assert "# head\n" in text
    assert "# end\n" in text
    assert unset("{a: {b: 1}}", ("a", "b")) == "{}"
    assert set_value(text, ("model", "base"), "y") == "# head\nmodel:\n  base: y\n# end\n"


@pytest.mark.parametrize(
    ("text", "keys", "value", "after"),
    [
        ("", ("a", "b"), 1, "a:\n  b: 1\n"),
        ("# only this\n", ("a", "b"), 1, "# only this\n\na:\n  b: 1\n"),
        ("\ufeffa: 1\n", ("a",), 2, "\ufeffa: 2\n"),
        ("\ufeffa: {b: 1}\n", ("c",), 2, "\ufeffc: 2\na: {b: 1}\n"),
        ("a:\r\n  b: 1 # c\r\n", ("a", "d"), 2, "a:\r\n  b: 1 # c\r\n  d: 2\r\n"),
        ("a:\r\n  b: 1\r\n", ("c", "d"), 2, "a:\r\n  b: 1\r\n\r\nc:\r\n  d: 2\r\n"),
        ("a:\n  b: 1", ("a", "c"), 2, "a:\n  b: 1\n  c: 2"),
        ("a:\n  b: 1", ("c", "d"), 2, "a:\n  b: 1\n\nc:\n  d: 2"),
        ("a: {}  # c\n", ("a", "b"), 1, "a:  # c\n  b: 1\n"),
        ("a: null # c\n", ("a", "b"), 1, "a: # c\n  b: 1\n"),
        ("a: {b: 1} # c\n", ("a", "d"), "x, y", "a: {b: 1, d: 'x, y'} # c\n"),
        ("a: {b: 1, # c\n  d: 2}\n", ("a", "b"), 3, "a: {b: 3, # c\n  d: 2}\n"),
        ("a: [1, # c\n  2]\n", ("a",), [3], "a: [3]  # c\n"),
        ("a: |  # c\n  one\n  two\nb: 1\n", ("a",), "x", "a: x  # c\nb: 1\n"),
        ("a: |+\n  one\n\nb: 1\n", ("c", "d"), 2, "a: |+\n  one\n\nb: 1\n\nc:\n  d: 2\n"),
        ("b: 1\na:\n  x: |+\n    one\n\n", ("a", "y"), 2, None),
        ("a: 'one\n\n  two' # c\n", ("a",), "x", "a: x # c\n"),
        ("a: one\n  two # c\n", ("a",), "x", "a: x # c\n"),
        ("a:\n  one # c\n", ("a",), "x", "a: x # c\n"),
        ("a: one # c\n", ("a",), "two\nlines", 'a: "two\\nlines" # c\n'),
        ("a:\n- 1 # c\n- 2\n", ("a",), [1, 2, 3], "a:\n- 1 # c\n- 2\n- 3\n"),
        ("a:\n- 1 # c\n- 2\n", ("a",), [0, 1, 2], "a:\n- 0\n- 1 # c\n- 2\n"),
        ("a:\n  - x: 1 # c\n    y: 2\n", ("a", 0, "y"), 3, "a:\n  - x: 1 # c\n    y: 3\n"),
        ("a:\n  - x: 1\n    y: 2\n", ("a",), [{"x": 5, "y": 2}], "a:\n  - x: 5\n    y: 2\n"),
        ("a: &k one\nb: *k\n", ("b",), 2, "a: &k one\nb: 2\n"),
        ("a: &k one # c\nb: *k\n", ("a",), 2, "a: 2 # c\nb: one\n"),
        ("a: &k {x: 1}\nb: *k\n", ("b", "x"), 2, "a: &k {x: 1}\nb: {x: 2}\n"),
        ("a: |\n  one", ("b", "c"), 2, "a: |-\n  one\n\nb:\n  c: 2\n"),
        ("---\na: 1\n", ("a",), 2, "---\na: 2\n"),
        ("  a: 1\n  b: {c: 1}\n", ("d",), 2, "  d: 2\n  a: 1\n  b: {c: 1}\n"),
    ],
)
def test_every_way_to_write_it(text: str, keys: Keys, value: Any, after: str | None) -> None:
    edited = check_set(text, keys, value)
    assert after is None or edited == after


@pytest.mark.parametrize(
    ("text", "keys", "after"),
    [
        ("a: {b: 1, c: 2}\n", ("a", "b"), "a: {c: 2}\n"),
        ("a: {b: 1, c: 2}\n", ("a", "c"), "a: {b: 1}\n"),
        ("a: {\n  b: 1, # one\n  c: 2, # two\n}\n", ("a", "c"), None),
        ("a: [1, 2, 3]\n", ("a", 1), "a: [1, 3]\n"),
        ("a:\n  - x: 1\n    y: 2\n", ("a", 0, "x"), "a:\n  -\n    y: 2\n"),
        ("a:\n  - x: 1\n  - y: 2\n", ("a", 0, "x"), "a:\n  - y: 2\n"),
        ("a: 1\r\n\r\nb:\r\n  c: 1\r\n\r\nd: 1\r\n", ("b", "c"), "a: 1\r\n\r\nd: 1\r\n"),
        ("a: |+\n  x\n\nb: 1\n", ("b",), "a: |+\n  x\n\n"),
        ("a: 1\nb: 2", ("b",), "a: 1\n"),
        ("a: &k 1\nb: *k\nc: 1\n", ("a",), "b: 1\nc: 1\n"),
    ],
)
def test_every_way_to_remove_it(text: str, keys: Keys, after: str | None) -> None:
    edited = unset(text, keys)
    assert same(read(edited), without(read(text), keys))
    assert after is None or edited == after


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("a: [", ("a",), "not valid YAML"),
        ("- 1\n", ("a",), "no mapping"),
        ("a: 1\n", ("a", "b"), "a is a value, not a section"),
        ("a: [1]\n", ("a", 4), "there is no a.4"),
        ("? a\n? b\n", ("a",), "cannot be changed without"),
        ("a: 1\na: 2\n", ("a",), "appears twice"),
    ],
)
def test_what_cannot_be_edited_is_one_sentence(text: str, keys: Keys, words: str) -> None:
    with pytest.raises(UserError, match=words):
        set_value(text, keys, 1)


# --- any config, any edit ------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "a",
        "yes",
        "x y",
        "1e5",
        "",
        "a: b",
        "it's",
        '"',
        "a, b",
        "#",
        " - ",
        "é😀",
        "l1\nl2\n",
        "null",
    ]
)
SCALARS = st.one_of(
    WORDS, st.integers(-5, 10**6), st.booleans(), st.none(), st.floats(allow_nan=False, width=32)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)
    ),
    max_leaves=6,
)
SECTIONS = st.dictionaries(st.sampled_from("klmn"), VALUES, max_size=4)
CONFIGS = st.dictionaries(st.sampled_from("abcde"), VALUES | SECTIONS, min_size=1, max_size=4)


class Written:
    """Writes data as a person might: in any style, with numbered comments anywhere."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self.choose = choose
        self.comments = 0

    def config(self, data: dict[str, Any]) -> str:
        lines = [*self.above(0), *self.mapping(data, 0), *self.above(0)]
        newline = "\r\n" if self.choose(4) == 0 else "\n"
        text = newline.join(lines) + newline * (self.choose(3) > 0)
        return "\ufeff" * (self.choose(6) == 0) + text

    def comment(self) -> str:
        self.comments += 1
        return f"# no. {self.comments}."

    def above(self, indent: int) -> list[str]:
        blank = [""] * (self.choose(4) == 0)
        return blank + [" " * indent + self.comment()] * (self.choose(4) == 0)

    def behind(self) -> str:
        return f"{' ' * (1 + self.choose(2))}{self.comment()}" if self.choose(4) == 0 else ""

    def mapping(self, data: dict[str, Any], indent: int) -> list[str]:
        lines = []
        for key, value in data.items():
            lines += self.above(indent)
            first, *more = self.value(value, indent)
            lines += [f"{' ' * indent}{key}:{first}", *more]
        return lines

    def value(self, value: Any, indent: int) -> list[str]:
        """What follows a colon, and the lines below it."""
        step = indent + 2
        if isinstance(value, dict) and value and self.choose(3):
            return [self.behind(), *self.mapping(value, step)]
        if isinstance(value, list) and value and self.choose(3):
            dash = step if self.choose(2) else indent
            return [self.behind(), *self.items(value, dash)]
        if isinstance(value, list | dict) and self.choose(3) == 0:
            flow = self.flow(value).replace(", ", f",{self.behind()}\n{' ' * step}")
            return (
                [f" {flow}{self.behind()}"]
                if "'" not in flow and '"' not in flow
                else [f" {self.flow(value)}"]
            )
        if isinstance(value, str) and "\n" in value and self.choose(2):
            content = [" " * step + line for line in value.splitlines()]
            return [f" |{self.behind()}", *content]
        if value is None and self.choose(2):
            return [self.behind()]
        return [f" {self.flow(value)}{self.behind()}"]

    def items(self, values: list[Any], indent: int) -> list[str]:
        lines = []
        for value in values:
            lines += self.above(indent)
            if isinstance(value, dict) and value and self.choose(2):
                first, *more = self.mapping(value, indent + 2)
                if first.strip() and not first.strip().startswith("#"):
                    lines += [f"{' ' * indent}- {first.strip()}", *more]
                    continue
            first, *more = self.value(value, indent)
            lines += [f"{' ' * indent}-{first}", *more]
        return lines

    def flow(self, value: Any) -> str:
        if isinstance(value, dict):
            inner = ", ".join(f"{key}: {self.flow(part)}" for key, part in value.items())
            return f"{{{inner}}}"
        if isinstance(value, list):
            return f"[{', '.join(map(self.flow, value))}]"
        if isinstance(value, str) and self.choose(2) and re.fullmatch("[a-z]|x y", value):
            return value
        if isinstance(value, str):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'"{quoted}"'
        special = {None: "null", True: "true", False: "false"}
        if value is None or isinstance(value, bool):
            return special[value]
        return repr(value).replace("inf", ".inf")


@st.composite
def written(draw: st.DrawFn) -> str:
    def choose(below: int) -> int:
        return draw(st.integers(0, below - 1))

    return Written(choose).config(draw(CONFIGS))


def all_keys(data: Any, keys: Keys = ()) -> list[Keys]:
    children = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in children:
        found.append((*keys, key))
        if isinstance(value, dict | list):
            found += all_keys(value, (*keys, key))
    return found


def comments_of(text: str) -> set[str]:
    return set(re.findall(r"# no\. \d+\.", text))


def own_lines(text: str) -> set[str]:
    """The comments that stand on lines of their own."""
    lines = [line for line in text.splitlines() if line.strip("\ufeff ").startswith("#")]
    return comments_of("\n".join(lines))


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(written(), st.data())
def test_any_value_of_any_config_is_set_and_no_comment_is_lost(text: str, data: st.DataObject):
    places = all_keys(read(text))
    new = [(section, field) for section in "abcde" for field in "klmn"]
    keys = data.draw(st.sampled_from([*places, *new, ("a",), ("e",)]))
    value = data.draw(VALUES)
    try:
        with_value(read(text), keys, value)
    except UserError:
        return
    after = check_set(text, keys, value)
    lost = comments_of(text) - comments_of(after)
    parts_went = type(value) is type(at(read(text), keys)) and isinstance(value, dict | list)
    assert parts_went or not lost
    assert after.count("\ufeff") == text.count("\ufeff")
    assert ("\r\n" in after) == ("\r\n" in text) or "\n" not in text
    assert set_value(after, keys, value) == after


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(written(), st.data())
def test_any_value_of_any_config_is_removed(text: str, data: st.DataObject):
    keys = data.draw(st.sampled_from(all_keys(read(text))))
    after = unset(text, keys)
    assert same(read(after), without(read(text), keys))
    lost = comments_of(text) - comments_of(after)
    assert isinstance(at(read(text), keys), dict | list) or not lost & own_lines(text)
