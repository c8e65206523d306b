"""A model card says what is known, what was checked, and nothing that is only this machine's."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from trainer_core.config.schema import RunConfig
from trainer_core.export.card import card, write_card
from trainer_core.export.licence import licence_of
from trainer_core.export.source import Source
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import write_resolved
from trainer_core.runs.events import Check, Exported, Finished, Log, Measure, Spoken, encode
from trainer_core.runs.folder import RunFolder

SPOKEN = Spoken(prompt="a secret row", trained="its own words", exported="its own words")
CHECK = Check(
    runtime="llama.cpp",
    measures=[
        Measure(name="strings tokenized alike", value=96, limit=96, at_least=True),
        Measure(name="divergence in nats, mean", value=0.00124, limit=0.02),
    ],
    spoken=[SPOKEN],
)


def exported(kind: str, path: str, check: Check | None = CHECK) -> Exported:
    commands = [f"llama-cli -m /home/me/runs/1/exports/1/{path}"]
    return Exported(format=kind, path=path, size=3 << 20, seconds=1, check=check, commands=commands)


MADE = [
    exported("adapter", "adapter"),
    exported("adapter-gguf", "hen-lora-F16.gguf"),
    exported("merged", "merged"),
    exported("gguf q8_0", "hen-Q8_0.gguf"),
    exported("onnx fp32", "onnx", check=None),
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "hub" / "base"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Hen\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """What a run leaves that a card reads."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    values: dict[str, Any] = {
        "model": {"base": "henhouse/hen-1b", "dtype": "float32", "max_length": 64},
        "lora": {"rank": 16},
        "data": {
            "train": [{"path": "/home/me/secret place/train.jsonl"}, "hub:henhouse/eggs"],
            "validation": ["/home/me/held_out.jsonl"],
        },
        "training": {"learning_rate": 2e-3, "effective_batch": 32, "optimizer": "adamw"},
    }
    config = RunConfig.model_validate(values)
    write_resolved(
        folder.resolved, ResolvedRun(config=config, total_steps=240, epochs=1.25, origins={})
    )
    counts = "508 examples, 13,979 tokens of which 4,993 are trained, longest 43"
    events = [
        Log(level="INFO", message="/home/me/train.jsonl: 508 rows, OpenAI messages"),
        Log(level="INFO", message=f"train: {counts}"),
        Log(
            level="INFO",
            message="test: 20 examples, 600 tokens of which 200 are trained, longest 31",
        ),
        Finished(
            outcome="finished",
            step=240,
            elapsed=60,
            summary={"first_loss": 2.06, "last_loss": 0.38, "best_eval_loss": 0.4704},
        ),
    ]
    folder.events.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    return folder


@pytest.fixture
def source(base: Path, run: RunFolder) -> Source:
    return Source(
        kind="adapter",
        folder=base,
        base=base,
        base_name="henhouse/hen-1b",
        trained_on=base,
        name="hen",
        run=run,
        checkpoint="best",
        config=None,
    )


def test_a_run(tmp_path: Path, source: Source) -> None:
    write_card(tmp_path, source, MADE)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    head = ModelCard(text).data.to_dict()
    assert head == {
        "base_model": "henhouse/hen-1b",
        "base_model_relation": "finetune",
        "license": "apache-2.0",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "datasets": ["henhouse/eggs"],
        "tags": ["backprop", "gguf", "onnx", "lora", "conversational"],
    }
    for line in (
        "| method | LoRA, rank 16, alpha 32 (alpha / rank) |",
        "| steps | 240 (1.25 epochs) |",
        "| learning rate | 0.002, linear |",
        "- train: train.jsonl, henhouse/eggs (508 examples, 13,979 tokens of which 4,993 are "
        "trained, longest 43)",
        "- validation: held\\_out.jsonl",
        "- test: a part of train (20 examples, 600 tokens of which 200 are trained, longest 31)",
        "| best validation loss | 0.4704 |",
        "| hen-Q8\\_0.gguf | gguf q8\\_0 | 3.0 MiB |",
        "| hen-Q8\\_0.gguf | llama.cpp | divergence in nats, mean | 0.00124 | at most 0.02 "
        "| right |",
        "| adapter | llama.cpp | strings tokenized alike | 96 | at least 96 | right |",
        "**Not checked**: `onnx`.",
        "llama-cli -m hen-Q8_0.gguf -cnv",
        "ollama create hen-q8_0 -f Modelfile",
        "ollama run hen-q8_0",
        "llama-cli -m BASE.gguf --lora hen-lora-F16.gguf -cnv",
    ):
        assert line in text.splitlines(), line
    for secret in ("/home/me", "secret", str(tmp_path), "its own words"):
        assert secret not in text


def test_the_programs_in_it_are_programs(source: Source) -> None:
    programs = re.findall(r"```python\n(.*?)```", card(source, MADE), re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        ast.parse(program)


def test_an_adapter_alone(source: Source) -> None:
    head = ModelCard(card(source, MADE[:1])).data.to_dict()
    assert head["base_model_relation"] == "adapter"
    assert head["library_name"] == "peft"


def test_a_folder_without_a_run(tmp_path: Path, source: Source) -> None:
    bare = tmp_path / "a base"
    bare.mkdir()
    (bare / "chat_template.jinja").write_text("", encoding="utf-8")
    text = card(
        replace(source, folder=bare, base=bare, base_name=str(bare), run=None, kind="model"),
        [exported("gguf f16", "hen-F16.gguf")],
    )
    head = ModelCard(text).data.to_dict()
    assert "license" not in head
    assert "base_model" not in head
    assert "licence of the base was not found" in text
    assert "nothing is known here of how it was trained" in text
    assert "a local folder (`a base`)" in text
    assert str(tmp_path) not in text


def test_a_run_that_goes_on(source: Source, run: RunFolder) -> None:
    run.events.write_bytes(b"")
    assert "| the run | had not ended |" in card(source, MADE)


def test_a_quantised_base_turned_back_is_said(source: Source) -> None:
    assert "turned back into 16 bits" in card(replace(source, dequantized=True), MADE)


def test_names_from_outside_stay_text(source: Source) -> None:
    wicked = "x/../\x1b[31m|\n# <script>`![a](http://b)"
    text = card(
        replace(source, base_name=wicked, name=wicked),
        [exported("adapter", f"adapter|{wicked}")],
    )
    assert "\x1b" not in text
    page = MarkdownIt("commonmark").enable("table").render(text.partition("---\n\n")[2])
    assert "<script>" not in page
    assert "<img" not in page
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    (file,) = [row for row in rows if "<td>3.0 MiB</td>" in row]
    assert file.count("<td>") == 3
    assert "&lt;script&gt;`![a](http://b)" in file


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README.md": "---\nlicense: llama3.2\n---\n", "LICENSE": "MIT License"}, "llama3.2"),
        ({"README.md": "---\nlicense: [a, b]\n---\n"}, ""),
        ({"README.md": "---\n: {\n---\n", "LICENSE": "MIT License\n"}, "mit"),
        ({"README.md": "# no front matter\nlicense: mit"}, ""),
        ({"LICENSE": "   Apache License\n      Version 2.0, January 2004"}, "apache-2.0"),
        ({"LICENSE.txt": "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT"}, "llama3.1"),
        ({"LICENSE.a": "MIT License", "LICENSE.b": "MIT License"}, "mit"),
        ({"LICENSE": "MIT License", "COPYING": "my own terms"}, ""),
        ({"LICENSE": "my own terms"}, ""),
        ({}, ""),
    ],
)
def test_the_licence_of_the_base(tmp_path: Path, files: dict[str, str], licence: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert licence_of(tmp_path) == licence
