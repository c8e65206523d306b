"""What Ollama makes of a chat is what the model was trained on, whichever template it has."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.export.ollama.tokenizers_here import tokenizer
from trainer_core.data.conversations import Turn
from trainer_core.errors import UserError
from trainer_core.export.ollama.go_template import literal, render
from trainer_core.export.ollama.template import OllamaTemplate, as_ollama_renders, ollama_template
from trainer_core.tokens import tokenizer as tokenizer_module
from trainer_core.tokens.chat_template import ChatTemplate
from trainer_core.tokens.tokenizer import load_tokenizer, named_template

FAMILIES = sorted((Path(tokenizer_module.__file__).parent / "families").glob("*.jinja"))
STOPS = {
    "alpaca": ("### Instruction:", "</s>"),
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "deepseek": ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "llama-3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "mistral": ("[INST]", "[/INST]", "</s>"),
    "phi-3": ("<|user|>", "<|end|>", "<|assistant|>"),
    "phi-4": ("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
    "zephyr": ("<|user|>", "</s>", "<|assistant|>"),
}
TALK = [
    {"role": "user", "content": "What is a hen?\n\nIn {{ braces }}?"},
    {"role": "assistant", "content": "A bird. 🐓"},
    {"role": "user", "content": "And a mango?"},
]
SYSTEM = {"role": "system", "content": 'Say "yes".'}


def chat(made: OllamaTemplate, messages: list[dict[str, str]]) -> str:
    assert made.go is not None, made.notes
    return as_ollama_renders(made.go, made.system, messages)


def trained_on(source: str, messages: list[dict[str, str]]) -> str:
    """The prompt as in training, without the BOS token, which the runtime puts before it."""
    turns = [Turn(message["role"], message["content"]) for message in messages]
    return ChatTemplate(source, "<s>", "</s>").render(turns, prompt=True).removeprefix("<s>")


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_families(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    made = ollama_template(source, tokenizer())
    for messages in (TALK[:1], TALK, [SYSTEM, *TALK[:1]], [SYSTEM, *TALK]):
        assert chat(made, messages) == trained_on(source, messages)
    assert made.stops == STOPS[path.stem]


def test_the_template_is_written_out() -> None:
    """What a person sees in `ollama show --template`."""
    assert ollama_template(named_template("chatml"), tokenizer(adds_bos=False)) == OllamaTemplate(
        "{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}'
        "{{ if not $last }}<|im_end|>\n{{ end }}"
        '{{ else if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n{{ end }}'
        '{{ if and $last (ne .Role "assistant") }}<|im_start|>assistant\n{{ end }}{{ end }}',
        ("<|im_start|>", "<|im_end|>"),
    )


def test_the_demo(demo: Path) -> None:
    own = load_tokenizer(demo / "base")
    made = ollama_template(own.template, own)
    assert chat(made, [SYSTEM, *TALK]) == trained_on(own.template or "", [SYSTEM, *TALK])
    assert made.stops == ("<|im_start|>", "<|im_end|>")
    assert not made.notes


def test_a_default_system_prompt_becomes_ollamas(shared: Path) -> None:
    own = load_tokenizer(shared / "tokenizers" / "qwen2")
    made = ollama_template(own.template, own)
    assert made.system == "You are a helpful assistant."
    assert made.go is not None
    assert "helpful" not in made.go
    assert chat(made, TALK) == trained_on(own.template or "", TALK)
    assert chat(made, [SYSTEM, *TALK]) == trained_on(own.template or "", [SYSTEM, *TALK])


LLAMA_2 = """{% if messages[0]['role'] == 'system' %}
{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}
{% else %}
{% set loop_messages = messages %}{% set system_message = 'Be safe.' %}
{% endif %}
{% for message in loop_messages %}
{% if loop.index0 == 0 %}
{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}
{% else %}
{% set content = message['content'] %}
{% endif %}
{% if message['role'] == 'user' %}
{{ bos_token + '[INST] ' + content + ' [/INST]' }}
{%- else %}
{{ ' ' + content + ' ' + eos_token }}
{%- endif %}
{% endfor %}"""
MISTRAL_3 = """{{ bos_token }}
{%- if messages[0].role == 'system' %}
{%- set system = messages[0].content %}{%- set messages = messages[1:] %}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' and loop.last and system is defined %}
{{- '[INST] ' + system + '\n\n' + message.content + '[/INST]' }}
{%- elif message.role == 'user' %}
{{- '[INST] ' + message.content + '[/INST]' }}
{%- else %}
{{- ' ' + message.content + eos_token }}
{%- endif %}
{%- endfor %}"""
LLAMA_3_1 = """{{ bos_token }}
{%- if messages[0].role == 'system' %}
{%- set system = messages[0].content %}{%- set messages = messages[1:] %}
{%- else %}{%- set system = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n' + system }}
{{- '<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content }}
{{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}"""
PHI_3 = """{% for message in messages %}
{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"""


@pytest.mark.parametrize(
    "source",
    [LLAMA_2, MISTRAL_3, LLAMA_3_1, PHI_3],
    ids=["BOS in every turn", "system last", "lead", "end of text"],
)
def test_what_else_templates_do(source: str) -> None:
    made = ollama_template(source, tokenizer())
    longer = [*TALK, {"role": "assistant", "content": "A fruit."}, TALK[0]]
    for messages in (TALK[:1], TALK, longer, [SYSTEM, *TALK[:1]], [SYSTEM, *longer]):
        assert chat(made, messages) == trained_on(source, messages)
    assert made.system == ("Be safe." if source is LLAMA_2 else "")


def test_bos_stays_where_the_tokenizer_adds_none() -> None:
    source = named_template("llama-3")
    alone = chat(ollama_template(source, tokenizer(adds_bos=False)), TALK)
    assert alone == "<s>" + chat(ollama_template(source, tokenizer()), TALK)


def test_an_answer_at_the_end_is_gone_on_with() -> None:
    made = ollama_template(named_template("llama-3"), tokenizer())
    begun = chat(made, [TALK[0], {"role": "assistant", "content": "A bird is"}])
    assert begun.endswith("<|start_header_id|>assistant<|end_header_id|>\n\nA bird is")


def test_no_place_for_a_system_prompt_is_said() -> None:
    source = (
        "{% for message in messages %}{% if message.role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ '<start_of_turn>' + message.role + '\n' + message.content + '<end_of_turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>assistant\n' }}{% endif %}"
    )
    made = ollama_template(source, tokenizer())
    assert chat(made, TALK) == trained_on(source, TALK)
    assert made.notes[0].startswith("The chat template has no place for a system prompt")


def test_what_go_cannot_do_is_said() -> None:
    source = (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
        "{{ message.content.split('</think>')[-1] | trim + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    made = ollama_template(source, tokenizer(adds_bos=False))
    assert chat(made, TALK) == trained_on(source, TALK)
    white, thoughts = made.notes
    assert "white space" in white
    assert "thoughts of earlier answers" in thoughts


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ messages[-1].content | upper }}", "words once"),
        ("{% for m in messages %}{{ loop.index ~ m.content }}{% endfor %}", "around each turn"),
        ("{{ raise_exception('no') }}", "refuses"),
        (  # right for short words alone
            "{% for m in messages %}{{ m.role + ': ' }}"
            "{{ m.content.replace('h', 'H') if 'hen' in m.content else m.content }}{{ '\n' }}"
            "{% endfor %}",
            "otherwise",
        ),
    ],
)
def test_a_template_that_cannot_be_followed(source: str, why: str) -> None:
    made = ollama_template(source, tokenizer())
    assert made.go is None
    (note,) = made.notes
    assert why in note
    assert "Ollama 0.30" in note
    assert made.stops  # the end of an answer, at least


def test_a_template_that_takes_too_much() -> None:
    with pytest.raises(UserError, match="too much memory"):
        ollama_template("{{ 'x' * 10 ** 9 }}", tokenizer())


def test_no_template() -> None:
    assert ollama_template(None, tokenizer()).go == "{{ .Prompt }}"
    with pytest.raises(UserError, match="not valid"):
        ollama_template("{% if %}", tokenizer())


@pytest.mark.parametrize("text", ["{{ .X }}", "{", "a{{{b", '"""', '}} {{- "\\" -}}', "é\n"])
def test_text_that_looks_like_a_template(text: str) -> None:
    written = literal(text) + "{{ .System }}"
    assert render(written, {"System": "!"}) == text + "!"
    assert '"""' not in written


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ end }}", "without a beginning"),
        ("{{ if true }}", "no end"),
        ("{{ upper .X }}", "'upper' is not known"),
        ("{{ $x }}", "no variable"),
    ],
)
def test_what_is_not_known_of_go(template: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        render(template, {"X": "x"})


@pytest.mark.parametrize("name", ["gemma3", "llama3_2", "phi3", "qwen2_5", "qwen3"])
def test_the_templates_that_trl_carries(name: str) -> None:
    found = find_spec("trl")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "chat_templates" / f"{name}.jinja"
    source = path.read_text(encoding="utf-8")
    made = ollama_template(source, tokenizer())
    assert chat(made, TALK) == trained_on(source, TALK)
    assert chat(made, [SYSTEM, *TALK]) == trained_on(source, [SYSTEM, *TALK])
