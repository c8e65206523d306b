"""Exactly what the assistant wrote is trained, whichever family the template is of: the real ones,
as the training libraries carry them."""

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.errors import UserError
from trainer_core.tokens import tokenizer
from trainer_core.tokens.chat_template import ChatTemplate
from trainer_core.tokens.tokenizer import load_tokenizer

FOLDER = Path(tokenizer.__file__).parent / "families"
TALK = Conversation(
    "rows.jsonl:1",
    (
        Turn("user", "What is a hen?"),
        Turn("assistant", "A bird."),
        Turn("user", "And a mango?"),
        Turn("assistant", "A fruit."),
    ),
)
SYSTEM = Conversation("rows.jsonl:2", (Turn("system", "Be brief."), *TALK.turns))
THOUGHT = Conversation(
    "rows.jsonl:3",
    (
        Turn("user", "What is a hen?"),
        Turn("assistant", "<think>\nIt clucks.\n</think>\n\nA bird."),
        Turn("user", "And a mango?"),
        Turn("assistant", "<think>\nIt grows.\n</think>\n\nA fruit."),
    ),
)
# A family's template, and what ends its turns.
FAMILIES = {
    "unsloth/llama3": "<|eot_id|>",
    "unsloth/llama31": "<|eot_id|>",
    "trl/llama3_2": "<|eot_id|>",
    "unsloth/chatml": "<|im_end|>",
    "unsloth/qwen25": "<|im_end|>",
    "unsloth/qwen3": "<|im_end|>",
    "trl/qwen3": "<|im_end|>",
    "unsloth/gemma": "<end_of_turn>",
    "unsloth/gemma3": "<end_of_turn>",
    "unsloth/mistral": "</s>",
    "unsloth/llama": " </s>",
    "unsloth/phi3": "<|end|>",
    "unsloth/phi4": "<|im_end|>",
    "trl/deepseek_r1_distill": "<｜end▁of▁sentence｜>",
    "trl/deepseekv3": "<｜end▁of▁sentence｜>",
    "unsloth/zephyr": "</s>",
    "unsloth/alpaca": "</s>",
    "trl/cohere2": "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
}


def source(name: str) -> str:
    library, _, family = name.partition("/")
    found = find_spec(library)
    if found is None or found.origin is None:
        pytest.skip(f"{library} is not installed")
    folder = Path(found.origin).parent
    if library == "trl":
        return (folder / "chat_templates" / f"{family}.jinja").read_text(encoding="utf-8")
    known: dict[str, Any] = {}
    for node in ast.parse((folder / "chat_templates.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                known[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return str(known[f"{family}_template"])


def made(source: str) -> ChatTemplate:
    return ChatTemplate(source, "<s>", "</s>", ["</s>"])


def trained(template: ChatTemplate, talk: Conversation, train_on: Any = "all") -> list[str]:
    text, spans = template.render_with_spans(talk, train_on)
    assert spans == sorted(spans)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family(name: str) -> None:
    template, end = made(source(name)), FAMILIES[name]
    for talk in (TALK, SYSTEM):
        assert trained(template, talk) == [f"A bird.{end}", f"A fruit.{end}"]
    assert trained(template, TALK, "last") == [f"A fruit.{end}"]
    first, last = trained(template, THOUGHT)  # some strip the thoughts of earlier turns
    assert first.endswith(f"A bird.{end}")
    assert last.endswith(f"A fruit.{end}")
    assert "hen" not in first
    assert "mango" not in last


OURS = {
    "llama-3": "trl/llama3",
    "chatml": "unsloth/chatml",
    "gemma": "unsloth/gemma3",
    "phi-3": "unsloth/phi3",
    "phi-4": "unsloth/phi4",
    "zephyr": "unsloth/zephyr",
    "mistral": "",
    "deepseek": "",
    "alpaca": "",
}


@pytest.mark.parametrize("name", OURS)
def test_a_family_by_name(name: str, demo: Path) -> None:
    assert {path.stem for path in FOLDER.glob("*.jinja")} == set(OURS)
    template = made(str(load_tokenizer(demo / "base", name).template))
    found = trained(template, SYSTEM)
    assert [answer.strip()[:7] for answer in found] == ["A bird.", "A fruit"]
    prompt = template.render(SYSTEM.turns[:2], prompt=True)
    text, spans = template.render_with_spans(SYSTEM)
    assert text.startswith(prompt)
    assert spans[0][0] == len(prompt)
    if OURS[name]:
        real = made(source(OURS[name]))
        assert text.strip() == real.render(SYSTEM.turns).strip()
        assert found == trained(real, SYSTEM)


def test_a_family_that_is_not_known(demo: Path) -> None:
    with pytest.raises(UserError, match="Did you mean chatml"):
        load_tokenizer(demo / "base", "chatlm")


def test_calls_of_tools_are_trained_and_their_results_are_not() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    tool = {"type": "function", "function": {"name": "add", "description": "Adds."}}
    talk = Conversation(
        "rows.jsonl:1",
        (
            Turn("user", "1 + 1?"),
            Turn("assistant", "I add.", {"tool_calls": [call]}),
            Turn("tool", "2", {"tool_call_id": "1"}),
            Turn("assistant", "It is 2."),
        ),
        tools=(tool,),
    )
    template = made(source("unsloth/qwen25"))
    text, spans = template.render_with_spans(talk)
    assert "Adds." in text
    first, second = (text[start:end] for start, end in spans)
    assert first.startswith("I add.")
    assert '"name": "add"' in first
    assert first.endswith("<|im_end|>")
    assert second == "It is 2.<|im_end|>"


MARKED = """{% for m in messages %}{{ '<|im_start|>' + m.role }}
{% if m.role == 'assistant' %}{% generation %}GENERATED{% endgeneration %}OUTSIDE
{% else %}{{ m.content + '<|im_end|>' }}
{% endif %}{% endfor %}"""


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("{{ m.content + '<|im_end|>' }}", ""),
        ("{{ m.content }}", "{{ '<|im_end|>' }}"),
        ("{{ m.content }}\n", "{{ '<|im_end|>' }}"),
    ],
)
def test_the_end_of_a_turn_is_trained_wherever_a_template_puts_its_marks(
    inside: str, outside: str
) -> None:
    marked = MARKED.replace("GENERATED", inside).replace("OUTSIDE", outside)
    found = trained(made(marked), TALK)
    assert [answer.replace("\n", "") for answer in found] == [
        "A bird.<|im_end|>",
        "A fruit.<|im_end|>",
    ]


def test_a_turn_that_is_not_to_be_learnt() -> None:
    turns = list(TALK.turns)
    turns[1] = Turn("assistant", "A bird.", trained=False)
    template = made(source("unsloth/chatml"))
    assert trained(template, Conversation("x:1", tuple(turns))) == ["A fruit.<|im_end|>"]


def test_a_text_that_was_templated_before() -> None:
    template = made(source("unsloth/chatml"))
    text = template.render(TALK.turns)
    found = trained(template, Conversation("x:1", text=text, templated=True))
    assert found == ["A bird.<|im_end|>", "A fruit.<|im_end|>"]
    other = made(source("unsloth/llama3"))
    with pytest.raises(UserError, match="templated for another model"):
        trained(other, Conversation("x:1", text=text, templated=True))
    assert trained(template, Conversation("x:1", text="Once.")) == ["Once."]


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__.keys() }}",
        "{{ raise_exception.__globals__.keys() }}",
        "{{ cycler.__init__.__globals__.os.system('touch PWN') }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_that_reaches_out(escape: str) -> None:
    with pytest.raises(UserError):
        made(escape).render_with_spans(TALK)
