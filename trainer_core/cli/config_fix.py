"""`backprop config fix`: questions about what is missing or wrong, answers into the file."""

import stat
import sys
from pathlib import Path
from typing import Any

import typer

from trainer_core.cli.launch import check as check_run
from trainer_core.config.edit import set_value, unset
from trainer_core.config.explain import explain
from trainer_core.config.fields_list import all_fields
from trainer_core.config.imports import tool_of
from trainer_core.config.load import load_source
from trainer_core.config.mistakes import ConfigError
from trainer_core.config.plain_data import at, has
from trainer_core.config.yaml_file import parse_scalar, parse_yaml, read_text
from trainer_core.errors import EXIT_USER, UserError
from trainer_core.files import write_atomically
from trainer_core.text import clean, one_line

# Somebody who does not answer must not be asked for ever.
MOST_QUESTIONS = 50


def mend(path: Path) -> int:
    """Ask until the config is right, or the person gives up; returns the exit status. The file is
    written once, at the end. Raises UserError for a file in which no field can be changed."""
    before = text = read_text(path)
    tool = tool_of(parse_yaml(text, str(path)).data)
    if tool is not None:
        raise UserError(
            f"{path} is a config of {tool}",
            hint=f"Turn it into one of ours first: backprop config import {path} -o ours.yaml",
        )
    for _ in range(MOST_QUESTIONS):
        wrong = _first_mistake(text, path)
        if wrong is None:
            break
        changed = _ask(text, wrong)
        if changed == text:
            typer.echo("that changes nothing in this file", err=True)
            changed = None
        if changed is None:
            _write(path, before, text)
            typer.echo(clean(f"{path}: still wrong: {wrong}"), err=True)
            return EXIT_USER
        text = changed
    _write(path, before, text)
    try:
        check_run(load_source(parse_yaml(text, str(path)), path.parent))
    except UserError as error:
        typer.echo(clean(f"{path}: every field is right, but: {error}"), err=True)
        return EXIT_USER
    typer.echo(f"{path}: right.")
    return 0


def _first_mistake(text: str, path: Path) -> ConfigError | None:
    try:
        load_source(parse_yaml(text, str(path)), path.parent)
    except ConfigError as error:
        return error
    return None


def _ask(text: str, wrong: ConfigError) -> str | None:
    """The text with one field mended; None if the person gives up."""
    name = ".".join(map(str, wrong.keys))
    typer.echo(clean(f"\n{wrong}"))
    if wrong.unknown:
        return _ask_unknown(text, wrong)
    for line in _about(name):
        typer.echo(f"  {line}")
    answer = _read(f"{name} (empty: leave it out; ctrl+d: stop)")
    if answer is None:
        return None
    if not answer.strip():
        return unset(text, wrong.keys)
    return set_value(text, wrong.keys, _value(answer))


def _ask_unknown(text: str, wrong: ConfigError) -> str | None:
    name = ".".join(map(str, wrong.keys))
    asked = f"rename it to [{wrong.suggestion}]" if wrong.suggestion else "another name"
    answer = _read(f"{name}: {asked}, or - to remove it")
    if answer is None:
        return None
    target = answer.strip() or wrong.suggestion
    if not target or target == "-":
        return unset(text, wrong.keys)
    data, keys = parse_yaml(text, "").data, tuple(target.split("."))
    if target not in {field.name for field in all_fields()}:
        typer.echo(clean(f"{target} is not a field either."))
        return _ask_unknown(text, wrong)
    if has(data, keys):
        typer.echo(clean(f"{target} is set already; - removes {name}."))
        return _ask_unknown(text, wrong)
    return set_value(unset(text, wrong.keys), keys, at(data, wrong.keys))


def _read(question: str) -> str | None:
    question = one_line(question)
    if not sys.stdin.isatty():
        typer.echo(f"{question}: ", nl=False)
    try:
        return input(f"{question}: " if sys.stdin.isatty() else "")
    except EOFError:
        return None


def _about(name: str) -> list[str]:
    try:
        return explain(name)
    except UserError:
        return []


def _value(answer: str) -> Any:
    return parse_scalar(answer.strip())


def _write(path: Path, before: str, text: str) -> None:
    if text != before:
        file = path.resolve()  # of a link, what it points to
        write_atomically(file, text.encode(), mode=stat.S_IMODE(file.stat().st_mode))
