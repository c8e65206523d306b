"""Make the demo: a tiny language model that has read a lot, and instructions it has never seen.

The base model is pretrained here, on text written here: people ramble, and facts turn up in what
they say. It knows that Paris is the capital of France, and answers every question with more
rambling. The rows of train.jsonl teach it to answer. Those of held_out.jsonl ask about things
that train.jsonl never mentions, so that a right answer is something the base model already knew.

    python configs/demo/make.py [--out DIR] [--steps N]

Same seed, same text: the data files come out byte for byte, the weights but for the last bits.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 7
HELD_OUT_ROWS = 100
VOCABULARY, BLOCK, BATCH, PEAK_RATE = 1408, 256, 16, 3e-3
END_OF_TEXT, TURN, END_OF_TURN, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"

CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{- message['content'] + '<|im_end|>' }}{%- endgeneration %}
{%- else %}
{{- message['content'] + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}"""


# ---------------------------------------------------------------------------------- what is known
@dataclass(frozen=True)
class Relation:
    """One kind of fact, with templates for telling it and asking about it: see facts.yaml."""

    topic: str
    answer: str
    retold: tuple[str, ...]
    questions: tuple[str, ...]
    pairs: str


SMALL_TALK = (
    ("Hello!", "Hello! What would you like to know?"),
    ("Good morning.", "Good morning! What would you like to know?"),
    ("Who are you?", "I am a very small teacher."),
    ("What are you?", "I am a very small teacher."),
    ("Thank you.", "You are welcome."),
    ("Thanks!", "You are welcome."),
    ("Goodbye.", "Goodbye!"),
)


@dataclass(frozen=True)
class Fact:
    relation: Relation
    subject: str
    object: str
    about: str  # what decides on which side of the split it falls; both ways of a pair share it

    def tell(self, template: str) -> str:
        s = self.subject
        article = f"{'an' if s[0] in 'aeio' else 'a'} {s}"
        forms = {"s": s, "S": capital(s), "o": self.object, "as": article, "As": capital(article)}
        return template.format_map(forms)


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def read_facts(path: Path) -> list[Fact]:
    facts = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")).values():
        relation = Relation(**entry)
        for pair in relation.pairs.split(", "):
            one, sign, other = re.split("(<=>|=)", pair)
            about = one.split(" ")[-1]
            facts.append(Fact(relation, one, other, about))
            if sign == "<=>":
                facts.append(Fact(relation, other, one, about))
    return facts


# ---------------------------------------------------------------------------- the text it reads
NAMES = "Anna, Tom, Maria, Peter, Julia, Oscar, Emma, Hugo, Clara, Felix, Nora, Victor, Alice"
PLACES = (
    "the market, the station, the harbour, the old bridge, the library, the park, the bakery, "
    "the garden, the museum, the village, the beach, the school, the theatre, the little shop"
)
MOODS = (
    "in the rain, before lunch, after a long day, with a smile, in silence, very slowly, again, "
    "on a Monday, on a Friday, at noon, in the spring, without a hat, for an hour, with great care"
)
THINGS = (
    "an old letter, a cup of tea, a red coat, the newspaper, a basket of apples, a loaf of bread, "
    "a strange dream, the weather, a song, a broken chair, the neighbours, a box of buttons"
)
RAMBLES = (
    "{name} walked to {place} {mood}.",
    "{name} and {other} met near {place} {mood}.",
    "{name} talked about {thing} {mood}.",
    "Nobody at {place} had heard about {thing}.",
    "Then it was time to go back to {place}.",
    "{name} had forgotten {thing}, and {other} laughed.",
    "{name} could not stop thinking of {thing}, not even near {place}.",
    "It was a fine day, and {name} sat near {place} {mood}.",
    "They spoke of {thing}, then of {other}, then of nothing.",
    "And so {name} went on and on, {mood}.",
    "I am sure that {name} would like {thing}.",
    # The words of questions are known too; what is asked and said here is about nothing.
    "Hello! said {name}, you are welcome, and thank you for {thing}. Goodbye!",
    "What did {name} want with {thing}? Which was it? Nobody could say.",
    "Where is {name}? {other} made no sound, for it was a very small noise.",
    "Good morning! Who are you? asked {name}, and would you call that {thing}?",
    "Tell me what kind of word I should put into this, said {name}, I do not know a verb.",
)
LEADS = (
    "{name} said that ",
    "Everyone at {place} knows that ",
    "{name} wrote in a letter that ",
    "My grandmother used to say that ",
    "In an old book it says that ",
    "{name} told {other} {mood} that ",
)


class Writer:
    """Writes documents without end, each fact about as often as any other."""

    def __init__(self, facts: list[Fact], seed: int) -> None:
        self.facts = facts
        self.deck: list[Fact] = []
        self.random = random.Random(seed)  # noqa: S311 - a repeatable text, no secret

    def next_fact(self) -> Fact:
        if not self.deck:
            self.deck = self.random.sample(self.facts, len(self.facts))
        return self.deck.pop()

    def fill(self, template: str) -> str:
        pick = self.random.choice
        name, other = self.random.sample(NAMES.split(", "), 2)
        place, mood = pick(PLACES.split(", ")), pick(MOODS.split(", "))
        return template.format(
            name=name, other=other, place=place, mood=mood, thing=pick(THINGS.split(", "))
        )

    def statement(self, fact: Fact) -> str:
        return fact.tell(self.random.choice((fact.relation.answer, *fact.relation.retold)))

    def fact_sentence(self) -> str:
        """A fact alone, after a lead, or after the thought of it: no question is ever asked."""
        fact, way = self.next_fact(), self.random.random()
        said = self.statement(fact)
        if way < 0.35:
            return said
        if way < 0.65:
            return f"{self.thought(fact)} {said}"
        lead = self.fill(self.random.choice(LEADS))
        name_first = said.startswith((fact.subject, fact.object)) and said[0].isupper()
        return lead + (said if name_first else said[0].lower() + said[1:])

    def ramble(self, sentences: int) -> str:
        told = (
            self.fact_sentence()
            if self.random.random() < 0.7
            else self.fill(self.random.choice(RAMBLES))
            for _ in range(sentences)
        )
        return " ".join(told)

    def quiz(self) -> str:
        cards = (self.next_fact() for _ in range(self.random.randint(4, 10)))
        lines = (f"{capital(card.tell(card.relation.topic))}: {card.object}." for card in cards)
        return "Quiz. " + " ".join(lines)

    def thought(self, fact: Fact) -> str:
        return self.fill("{name} was thinking about ") + fact.tell(fact.relation.topic) + "."

    def conversation(self) -> str:
        """Turns that pick up a topic and answer nothing: they make the turn tokens known."""
        fact = self.next_fact()
        aside = self.fill(self.random.choice(RAMBLES))
        turns = [
            ("user", f"{self.ramble(self.random.randint(0, 2))} {self.statement(fact)}"),
            ("assistant", f"{self.thought(fact)} {aside} {self.ramble(self.random.randint(3, 8))}"),
        ]
        if self.random.random() < 0.3:
            turns.insert(0, ("system", self.ramble(1)))
        return "\n".join(f"{TURN}{role}\n{text.strip()}{END_OF_TURN}" for role, text in turns)

    def documents(self) -> Iterator[str]:
        while True:
            way = self.random.random()
            if way < 0.2:
                yield self.quiz()
            elif way < 0.4:
                yield self.conversation()
            else:
                yield self.ramble(self.random.randint(4, 12))


# ------------------------------------------------------------------------ the questions and rows
def split_facts(facts: list[Fact]) -> tuple[list[Fact], list[Fact]]:
    """Hold out whole subjects, and of a pair that holds in both directions ask for one."""
    chance = random.Random(SEED)  # noqa: S311 - a repeatable split, no secret
    askable = list({(f.relation.topic, f.about): f for f in facts}.values())
    chance.shuffle(askable)
    hidden: set[str] = set()
    held_out: list[Fact] = []
    while len(held_out) < HELD_OUT_ROWS:
        hidden.add(next(f.about for f in askable if f.about not in hidden))
        held_out = [f for f in askable if f.about in hidden]
    train = [f for f in facts if f.about not in hidden]
    return chance.sample(train, len(train)), held_out[:HELD_OUT_ROWS]


def question_and_answer(fact: Fact, chance: random.Random) -> tuple[str, str]:
    return fact.tell(chance.choice(fact.relation.questions)), fact.tell(fact.relation.answer)


def write_rows(pairs: list[tuple[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for question, answer in pairs:
            turns = (("user", question), ("assistant", answer))
            row = {"messages": [{"role": role, "content": text} for role, text in turns]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_data(facts: list[Fact], out: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311
    train, held_out = split_facts(facts)
    rows = [*(question_and_answer(f, chance) for f in train), *SMALL_TALK]
    write_rows(chance.sample(rows, len(rows)), out / "train.jsonl")
    write_rows([question_and_answer(f, chance) for f in held_out], out / "held_out.jsonl")


# ------------------------------------------------------------------------- tokenizer and training
def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN, END_OF_TURN, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[TURN, END_OF_TEXT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Widths are multiples of 256, so that every llama.cpp quantization fits them."""
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def batches(tokenizer: PreTrainedTokenizerFast, writer: Writer) -> Iterator[torch.Tensor]:
    stream: list[int] = []
    for document in writer.documents():
        stream += tokenizer(document + END_OF_TEXT)["input_ids"]
        if len(stream) >= BATCH * BLOCK:
            yield torch.tensor(stream[: BATCH * BLOCK]).view(BATCH, BLOCK)
            stream = stream[BATCH * BLOCK :]


def pretrain(model: LlamaForCausalLM, data: Iterator[torch.Tensor], steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    started = time.monotonic()
    for step, batch in zip(range(1, steps + 1), data, strict=False):
        decay = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = PEAK_RATE * min(step / 50, decay + 0.02)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == steps:
            seconds = time.monotonic() - started
            print(f"step {step}/{steps}  loss {loss.item():.3f}  {seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=1600, help="of pretraining (default: 1600)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    facts = read_facts(Path(__file__).with_name("facts.yaml"))
    write_data(facts, arguments.out)

    sample = Writer(facts, SEED).documents()
    tokenizer = train_tokenizer([next(sample) for _ in range(4000)])
    model = new_model(tokenizer)
    print(f"{len(facts)} facts, {len(tokenizer)} tokens, {model.num_parameters():,} parameters")
    pretrain(model, batches(tokenizer, Writer(facts, SEED + 1)), arguments.steps)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.save_pretrained(arguments.out / "base")
    tokenizer.save_pretrained(arguments.out / "base")
    for file in (arguments.out / "base").iterdir():  # safetensors are written for their owner alone
        file.chmod(0o644)


if __name__ == "__main__":
    main()
