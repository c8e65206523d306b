"""A Modelfile says to Ollama what the API would: it is read back here by Ollama's rules."""

from pathlib import Path

from tests.export.ollama.tokenizers_here import tokenizer
from trainer_core.export.ollama.model import OllamaModel
from trainer_core.export.ollama.modelfile import write_modelfile
from trainer_core.export.ollama.template import ollama_template
from trainer_core.tokens.tokenizer import named_template


def parsed(text: str) -> list[tuple[str, str]]:
    """The commands of a Modelfile, by the rules of Ollama's parser/parser.go."""
    found: list[tuple[str, str]] = []
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        command, _, value = line.partition(" ")
        if command == "PARAMETER":
            name, _, value = value.partition(" ")
            command += " " + name
        while (unquoted := _unquote(value.strip())) is None:
            value += next(lines)
        found.append((command, unquoted))
    return found


def _unquote(text: str) -> str | None:
    for quotes in ('"""', '"'):
        if text.startswith(quotes):
            closed = len(text) >= 2 * len(quotes) and text.endswith(quotes)
            return text[len(quotes) : len(text) - len(quotes)] if closed else None
    return text


def test_it_says_what_was_meant(tmp_path: Path) -> None:
    made = ollama_template(named_template("alpaca"), tokenizer())
    assert made.go is not None
    (tmp_path / "hen.gguf").touch()
    model = OllamaModel(
        files={"hen.gguf": tmp_path / "hen.gguf"},
        adapters={"lora.gguf": tmp_path / "lora.gguf"},
        template=made.go,
        system='Say "yes"\nor "no"',
        stops=("<|im_end|>", '"', "\n\n", " x"),
        parameters={"num_ctx": 4096, "temperature": 0.7, "penalize_newline": True},
    )
    path = write_modelfile(tmp_path, model)
    assert path.name == "Modelfile"
    assert parsed(path.read_text(encoding="utf-8")) == [
        ("FROM", "./hen.gguf"),
        ("ADAPTER", "./lora.gguf"),
        ("TEMPLATE", made.go),
        ("SYSTEM", 'Say "yes"\nor "no"'),
        ("PARAMETER stop", "<|im_end|>"),
        ("PARAMETER stop", '"'),
        ("PARAMETER stop", "\n\n"),
        ("PARAMETER stop", " x"),
        ("PARAMETER num_ctx", "4096"),
        ("PARAMETER temperature", "0.7"),
        ("PARAMETER penalize_newline", "true"),
    ]


def test_three_quotes_end_nothing_early(tmp_path: Path) -> None:
    """A template quotes them its own way; a system prompt that cannot be said is left out."""
    source = "{% for m in messages %}{{ '\"\"\"\n' + m.content + '</s>' }}{% endfor %}"
    made = ollama_template(source, tokenizer())
    assert made.go is not None
    model = OllamaModel({}, base="llama3.2", template=made.go, system='"""\nFROM /etc/passwd')
    text = write_modelfile(tmp_path, model).read_text(encoding="utf-8")
    assert parsed(text) == [("FROM", "llama3.2"), ("TEMPLATE", made.go)]
    assert "SYSTEM is left out" in text


def test_a_file_elsewhere(tmp_path: Path) -> None:
    model = OllamaModel({"hen.gguf": tmp_path / "hen.gguf"})
    (tmp_path / "inside").mkdir()
    text = write_modelfile(tmp_path / "inside", model).read_text(encoding="utf-8")
    assert parsed(text) == [("FROM", str(tmp_path / "hen.gguf"))]
