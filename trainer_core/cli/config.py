"""`backprop config`: write, check, show, explain, mend and import configs."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.dashboard import open_dashboard
from trainer_core.cli.launch import check as check_run
from trainer_core.cli.options import Json, Overrides
from trainer_core.config.explain import explain as explained
from trainer_core.config.fields_list import json_schema
from trainer_core.config.imports import convert, tool_of
from trainer_core.config.load import load_config
from trainer_core.config.new_file import new_config
from trainer_core.config.presets import load_preset, shipped_presets
from trainer_core.config.yaml_file import dump_yaml, read_yaml
from trainer_core.errors import UserError
from trainer_core.text import clean, one_line

config = typer.Typer(
    help="Configs: new, check, show, explain, fix, import, presets, schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]


@config.command()
def new(
    file: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    preset: Annotated[list[str] | None, typer.Option(help="Start from it. Repeatable.")] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a folder, or owner/name.")] = None,
    data: Annotated[str | None, typer.Option(help="Rows to train on.")] = None,
    force: Force = False,
) -> None:
    """Write a config to start from, with what may be set as comments."""
    for name in preset or []:
        load_preset(name)
    _write(file, new_config(preset or [], model, data), force)
    typer.echo(f"{file}: now say what is missing, and look: backprop config check {file}")


@config.command()
def edit(config: Config) -> None:
    """Open a config on the Config screen of the dashboard."""
    if not config.exists():
        raise UserError(f"{config} does not exist", hint=f"Write it: backprop config new {config}")
    raise typer.Exit(open_dashboard(None, config=str(config)))


@config.command()
def check(config: Config, overrides: Overrides = None, json: Json = False) -> None:
    """Say whether a config is right: fields, files, what is installed. Exit status 2 if not."""
    try:
        loaded = load_config(config, overrides or [])
        check_run(loaded)
    except UserError as error:
        if json:
            facts = {"ok": False, "error": error.message, "where": error.where, "hint": error.hint}
            print(dumps(facts))
            raise typer.Exit(error.exit_status) from None
        raise
    if json:
        print(dumps({"ok": True, "notes": loaded.notes}))
        return
    for note in loaded.notes:
        typer.echo(f"note: {clean(note)}", err=True)
    typer.echo(f"{config}: right. What it will do: backprop plan {config}")


@config.command()
def show(config: Config, overrides: Overrides = None, json: Json = False) -> None:
    """Print a whole config, with presets and defaults filled in."""
    loaded = load_config(config, overrides or [])
    data = loaded.config.model_dump(mode="json")
    print(dumps(data) if json else dump_yaml(data), end="\n" if json else "")


@config.command()
def explain(
    field: Annotated[str, typer.Argument(help="A field, such as lora.rank; or a section.")],
) -> None:
    """Say what a field is for, what it takes, and its default."""
    typer.echo("\n".join(explained(field)))


@config.command()
def fix(config: Config) -> None:
    """Ask for what is missing or wrong, question by question, and mend the file."""
    from trainer_core.cli.config_fix import mend

    raise typer.Exit(mend(config))


@config.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A YAML of another tool.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; stdout if not given.")
    ] = None,
    force: Force = False,
) -> None:
    """Turn a config of treinar_unsloth, Axolotl or LLaMA-Factory into ours."""
    source = read_yaml(file)
    if tool_of(source.data) is None:
        raise UserError(
            f"{file} is not a config of a tool that is known here",
            hint="Known: treinar_unsloth, Axolotl, LLaMA-Factory.",
        )
    converted = convert(source)
    for note in converted.notes:
        typer.echo(f"note: {clean(note)}", err=True)
    text = f"# Made from {file.name}, a config of {converted.tool}.\n" + dump_yaml(
        converted.file.data
    )
    if output is None:
        sys.stdout.write(text)
        return
    _write(output, text, force)
    typer.echo(f"{output}: look: backprop config check {output}", err=True)


@config.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None,
    json: Json = False,
) -> None:
    """List the presets and recipes that ship with backprop."""
    found = [load_preset(known) for known in ([name] if name else shipped_presets())]
    if json:
        print(dumps([{"name": p.name, "about": p.about, "config": p.data} for p in found]))
        return
    for preset in found:
        title = one_line(preset.about.get("title", "a whole config"))
        typer.echo(f"{one_line(preset.name):<20} {title}")
        for key, words in preset.about.items():
            if name and key != "title":
                typer.echo(clean(f"    {key}: {words}"))
    if name:
        typer.echo("\n" + clean(dump_yaml(found[0].data).rstrip()))


@config.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors that complete YAML."""
    print(dumps(json_schema(), indent=2))


def _write(file: Path, text: str, force: bool) -> None:
    if file.exists() and not force:
        raise UserError(f"{file} exists", hint="Name another, or replace it with --force.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
