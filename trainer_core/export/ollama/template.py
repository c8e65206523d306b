"""The chat template a model was trained with, as Ollama's Go template, proved to write the same.

Ollama before 0.30 does not run the Jinja template in a GGUF; it guesses one. So what it is given is
made from the template of the training: taken apart (pieces.py), put together again as Go, rendered
(go_template.py), and compared with what the Jinja writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer_core.data.conversations import Turn
from trainer_core.data.problems import RowError
from trainer_core.export.ollama.go_template import literal, render
from trainer_core.export.ollama.pieces import NoPiecesError, Pieces, find_pieces
from trainer_core.tokens.renderer import Renderer, renderer_of
from trainer_core.tokens.tokenizer import Tokenizer

Messages = list[dict[str, str]]
# For a model without a chat template: it goes on with a text.
_PLAIN = "{{ .Prompt }}"


@dataclass(frozen=True)
class OllamaTemplate:
    """What Ollama must know of a chat. `go` is None where the template cannot be written as Go;
    `notes` are sentences on what a person should know."""

    go: str | None
    stops: tuple[str, ...] = ()
    system: str = ""
    notes: tuple[str, ...] = ()


def ollama_template(source: str | None, tokenizer: Tokenizer) -> OllamaTemplate:
    """Of the Jinja template `source` that the model was trained with.

    Raises UserError if `source` is not a template, or takes too much.
    """
    if source is None:
        note = "The model has no chat template, so Ollama goes on with a text as it is."
        return OllamaTemplate(_PLAIN, notes=(note,))
    jinja = renderer_of(source, tokenizer)
    bos = tokenizer.bos if _adds_bos(tokenizer) else ""
    try:
        pieces = find_pieces(jinja, bos)
    except NoPiecesError as error:
        return OllamaTemplate(None, _ends(tokenizer), notes=(_refusal(str(error)),))
    go = _write(pieces)
    proof = _Proof(jinja, bos, go, pieces)
    differs = proof.differs(_CONVERSATIONS)
    if differs:
        return OllamaTemplate(None, _stops(pieces, tokenizer), notes=(_refusal(differs),))
    return OllamaTemplate(
        go, _stops(pieces, tokenizer), pieces.system.default, tuple(_notes(proof, source))
    )


def as_ollama_renders(go: str, system: str, messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt that Ollama makes of a chat: the model's system prompt goes first if the chat has
    none, and turns of one role in a row become one.

    Source: template.Execute and collate in Ollama's template/template.go.
    """
    talk = [dict(message) for message in messages]
    if system and talk[0]["role"] != "system":
        talk.insert(0, {"role": "system", "content": system})
    collated: list[dict[str, str]] = []
    for message in talk:
        if collated and collated[-1]["Role"] == message["role"]:
            collated[-1]["Content"] += "\n\n" + message["content"]
        else:
            collated.append({"Role": message["role"], "Content": message["content"]})
    prompts = [message["content"] for message in talk if message["role"] == "system"]
    return render(go, {"System": "\n\n".join(prompts), "Messages": collated})


def _write(pieces: Pieces) -> str:
    """The Go template. No action trims, so that what stands between them is what is written."""
    lead, own = literal(pieces.lead), pieces.system.place == "own"
    if lead and own:
        lead = "{{ if not .System }}" + lead + "{{ end }}"
    closing = literal(pieces.answer_close)
    prompt = literal(pieces.prompt)
    return "".join(
        [
            lead,
            "{{ $system := .System }}" if pieces.system.place == "first" else "",
            "{{ $first := true }}" if pieces.first_user_open != pieces.user_open else "",
            "{{ range $i, $_ := .Messages }}",
            "{{ $last := eq (len (slice $.Messages $i)) 1 }}",
            '{{ if eq .Role "user" }}',
            _user_turn(pieces),
            '{{ else if eq .Role "assistant" }}',
            literal(pieces.answer_open) + "{{ .Content }}",
            # An answer at the end is one to go on with.
            "{{ if not $last }}" + closing + "{{ end }}" if closing else "",
            '{{ else if eq .Role "system" }}' if own else "",
            _around(pieces.system.opening, ".Content", pieces.system.closing) if own else "",
            "{{ end }}",
            '{{ if and $last (ne .Role "assistant") }}' + prompt + "{{ end }}" if prompt else "",
            "{{ end }}",
        ]
    )


def _user_turn(pieces: Pieces) -> str:
    opening = literal(pieces.user_open)
    if pieces.first_user_open != pieces.user_open:
        first = literal(pieces.first_user_open)
        opening = "{{ if $first }}" + first + "{{ else }}" + opening + "{{ end }}"
        opening += "{{ $first = false }}"
    prompt = {
        "first": "{{ if $system }}"
        + _around(pieces.system.opening, "$system", pieces.system.closing)
        + '{{ $system = "" }}{{ end }}',
        "last": "{{ if and $last $.System }}"
        + _around(pieces.system.opening, "$.System", pieces.system.closing)
        + "{{ end }}",
    }.get(pieces.system.place, "")
    return opening + prompt + "{{ .Content }}" + literal(pieces.user_close)


def _around(before: str, field: str, after: str) -> str:
    return literal(before) + "{{ " + field + " }}" + literal(after)


class _Proof:
    """The same conversations through both templates."""

    def __init__(self, jinja: Renderer, bos: str, go: str, pieces: Pieces) -> None:
        self._jinja, self._bos, self._go, self._pieces = jinja, bos, go, pieces

    def differs(self, conversations: Sequence[Messages]) -> str:
        """What differs, in words; empty if nothing does."""
        for messages in conversations:
            if messages[0]["role"] == "system" and self._pieces.system.place == "none":
                continue
            try:
                text = self._text(messages)
            except RowError as error:
                return error.message
            ours = as_ollama_renders(self._go, self._pieces.system.default, messages)
            if text.removeprefix(self._bos) != ours:
                return f"{len(messages)} turns come out otherwise than the chat template has them"
        return ""

    @property
    def without_system(self) -> bool:
        """Whether the template has no place for a system prompt."""
        return self._pieces.system.place == "none"

    @property
    def without_bos(self) -> bool:
        """Whether the runtime adds a BOS token that the template does not write."""
        if not self._bos:
            return False
        return not self._text(_CONVERSATIONS[0]).startswith(self._bos)

    def _text(self, messages: Messages) -> str:
        turns = [Turn(message["role"], message["content"]) for message in messages]
        return self._jinja.render(turns, prompt=True)


def _notes(proof: _Proof, source: str) -> list[str]:
    found = []
    if proof.without_system:
        found.append("The chat template has no place for a system prompt; Ollama leaves it out.")
    if proof.without_bos:
        found.append(
            "The chat template writes no BOS token, and the tokenizer adds one to every prompt."
        )
    if proof.differs([_PADDED]):
        found.append(
            "The chat template cuts white space around what is said, which Ollama's cannot."
        )
    if "think" in source and proof.differs([_THOUGHT]):
        found.append(
            "The chat template leaves out the thoughts of earlier answers, which Ollama's keeps."
        )
    if "tools" in source:
        found.append("Tools are not part of Ollama's template.")
    if "strftime_now" in source:
        found.append("The date in Ollama's template is that of the export.")
    return found


def _refusal(why: str) -> str:
    return (
        "The chat template cannot be written as Ollama's own "
        f"({why}); Ollama 0.30 and newer run the one inside the GGUF."
    )


def _stops(pieces: Pieces, tokenizer: Tokenizer) -> tuple[str, ...]:
    """What ends an answer: the special tokens around turns, in their order; where an opening of the
    user or a closing of the assistant has none, the text itself."""
    added = tokenizer.backend.get_added_tokens_decoder().values()
    special = {token.content for token in added if token.special}
    if tokenizer.bos != tokenizer.eos:
        special.discard(tokenizer.bos)
    found: list[str] = []
    for text, needed in (
        (pieces.user_open, True),
        (pieces.user_close, False),
        (pieces.answer_open, False),
        (pieces.answer_close, True),
    ):
        inside = sorted((token for token in special if token in text), key=text.index)
        found += inside or ([text.strip()] if needed and text.strip() else [])
    return tuple(dict.fromkeys(found))


def _ends(tokenizer: Tokenizer) -> tuple[str, ...]:
    tokens = (tokenizer.backend.id_to_token(stop) for stop in tokenizer.stop_ids)
    return tuple(token for token in tokens if token)


def _adds_bos(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer, and so the runtime, puts BOS before every prompt."""
    if not tokenizer.bos:
        return False
    return tokenizer.encode("a", special=True)[:1] == [tokenizer.backend.token_to_id(tokenizer.bos)]


def _talk(*words: str, system: str = "") -> Messages:
    turns = [{"role": "assistant" if n % 2 else "user", "content": w} for n, w in enumerate(words)]
    return ([{"role": "system", "content": system}] if system else []) + turns


_CODE = 'if (a) {{ print("{{ x }}") }} \\ """'
_CONVERSATIONS: list[Messages] = [
    _talk("What is a hen?"),
    _talk("What is a hen?", system="Be brief."),
    _talk("What is a hen?", "A bird.", "And a mango?"),
    _talk("Zwei Zeilen\n\nund \t mehr: 你好 🐓", "Ja.", _CODE, _CODE, "é", system="Sé\nbreve."),
    _talk("a", "b", "c", "d", "e", "f", "g", system="<s> </s> <|im_end|> [INST]"),
]
_PADDED = _talk("  What is a hen? \n", "\n A bird. ", " And a mango?")
_THOUGHT = _talk("What is a hen?", "<think>\nIt clucks.\n</think>\n\nA bird.", "And a mango?")
