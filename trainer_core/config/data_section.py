"""The `data` section of the config: sources, checks and splits."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from trainer_core.config.fields import Count, Positive, Section, Text

DATA_SUFFIXES = r"\.(jsonl?|ndjson|csv|tsv|parquet|txt|md|gz|zst)$"
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
# The words that people and earlier tools use for them.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "treino"), "train"),
    **dict.fromkeys(
        ("validation", "val", "valid", "dev", "eval", "validacao", "validação"), "validation"
    ),
    **dict.fromkeys(("avaliacao", "avaliação"), "validation"),
    **dict.fromkeys(("test", "teste"), "test"),
}


class PairsSection(Section):
    """Input files and answer files that belong together by their name without extension."""

    inputs: Text = Field(description="Folder of the inputs; or a Parquet file, with input_column.")
    input_mask: Text = Field("*.txt", description="Which files of the folder are inputs (a glob).")
    input_column: Text | None = Field(None, description="Column of the Parquet file with the text.")
    id_column: Text = Field("id", description="Column of the Parquet file with the base name.")
    answers: Text = Field(description="Folder of the answers.")
    answer_mask: Text = Field("*.txt", description="Which files of the folder are answers.")
    prompt: Text | None = Field(
        None, description="A file with the prompt; the input's text takes the placeholder's place."
    )
    placeholder: Text = Field(
        "<text>",
        description="What the input replaces in the prompt; without it the input comes after.",
    )


class EncryptionSection(Section):
    """Fernet tokens instead of text. Nothing decrypted is ever written to disk."""

    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="Name of the environment variable that holds the key; never the key itself."
    )
    columns: list[Text] | None = Field(
        None,
        description="The encrypted columns, each cell a token; the whole file if not given, of "
        "pairs each file.",
    )


class DataSource(Section):
    """One place that rows come from: files, a dataset on the hub, or folders of pairs."""

    path: Text | None = Field(
        None,
        description="A file, a folder or a glob: JSONL, JSON, CSV, TSV, Parquet, text, Markdown; "
        "also compressed (.gz, .zst).",
    )
    hub: Text | None = Field(None, description="A dataset's name on the Hugging Face hub.")
    subset: Text | None = Field(None, description="The hub dataset's configuration.")
    split: Text | None = Field(None, description="The hub dataset's split (its train split).")
    revision: Text | None = Field(None, description="The hub dataset's branch, tag or commit.")
    pairs: PairsSection | None = Field(None, description="Folders of inputs and answers.")
    columns: dict[Text, Text] = Field(
        {},
        description="Names of our fields (messages, prompt, input, completion, system, tools, "
        "text) to the columns that hold them, where the keys alone do not tell.",
    )
    limit: Count | None = Field(None, description="Use at most this many rows.")
    weight: Positive = Field(
        1.0, description="How often each row counts in an epoch: 2 twice, 0.5 a half, by seed."
    )
    encryption: EncryptionSection | None = Field(None, description="How the rows are encrypted.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return {"hub": value.removeprefix("hub:")} if names_hub(value) else {"path": value}

    @model_validator(mode="after")
    def _one_place(self) -> "DataSource":
        if sum(place is not None for place in (self.path, self.hub, self.pairs)) != 1:
            raise ValueError("name exactly one of path, hub and pairs")
        if self.hub is None and (self.subset or self.split or self.revision):
            raise ValueError("subset, split and revision are for a dataset on the hub")
        if self.hub is not None and self.encryption and self.encryption.columns is None:
            raise ValueError("of a dataset on the hub name the encrypted columns")
        return self

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.path or self.hub or (self.pairs.inputs if self.pairs else "")


def names_hub(text: str) -> bool:
    """Whether a source given as plain text is a dataset on the hub: `hub:…`, or owner/name."""
    is_name = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", text) is not None
    return text.startswith("hub:") or (is_name and not re.search(DATA_SUFFIXES, text))


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | dict | DataSource) else value


def _named(value: object) -> object:
    """A mapping, whatever form it came in: a list of shares or of mappings, or text."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        value = {name: share for item in value for name, share in item.items()}
    if isinstance(value, list):
        return dict(zip(SPLITS, value, strict=False)) if len(value) <= len(SPLITS) else value
    if isinstance(value, dict):
        return {SPLIT_WORDS.get(str(name).lower(), name): share for name, share in value.items()}
    return value


_Source = str | DataSource
Sources = Annotated[
    list[DataSource],
    BeforeValidator(_as_list, json_schema_input_type=_Source | list[_Source]),
]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Shares = Annotated[
    dict[SplitName, Share],
    BeforeValidator(_named, json_schema_input_type=dict[str, Share] | list[Share] | str),
]


class SplitSection(Section):
    """Which rows are for training, validation and test."""

    fractions: Shares | None = Field(
        None,
        description="Shares of the rows, as a mapping or a list (train, validation, test); 5 % for "
        "validation, at most 200 rows, if not given.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(42, description="Seed of the draw.")
    group: Text | None = Field(
        None, description="Column whose equal values stay on one side (a conversation, a person)."
    )
    stratify: Text | None = Field(
        None, description="Column whose values are shared out evenly between the splits."
    )
    file: Text | None = Field(
        None, description="A CSV with each row's split: made where missing, else followed."
    )
    id: Text | None = Field(
        None, description="Column that names a row in the CSV; its number where not given."
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitSection":
        if self.fractions is None:
            return self
        total = sum(self.fractions.values())
        if "train" not in self.fractions:
            if total >= 1:
                raise ValueError("nothing is left for train")
        elif abs(total - 1) > 0.01:
            raise ValueError(f"the shares sum to {total:g}, not 1")
        elif self.fractions["train"] == 0:
            raise ValueError("train gets nothing")
        return self

    @property
    def shares(self) -> dict[SplitName, float] | None:
        """The share of each split that was named, train the rest."""
        if self.fractions is None:
            return None
        rest = 1 - sum(share for name, share in self.fractions.items() if name != "train")
        return {**self.fractions, "train": rest}


class DataSection(Section):
    """Where the rows come from, which of them are used, and how they are split."""

    train: Sources = Field(
        min_length=1, description="The rows to train on: a file, a hub dataset, or a list of them."
    )
    validation: Sources = Field([], description="Rows to validate on; else a part of train is.")
    test: Sources = Field([], description="Rows kept for scoring, never trained on.")
    limit: Count | None = Field(None, description="Use at most this many rows of train.")
    split: SplitSection = Field(default_factory=SplitSection)
    problems: Literal["strict", "skip"] = Field(
        "strict",
        description="A row that cannot be used as it is: strict stops there, skip drops and "
        "reports it.",
    )
    duplicates: Literal["keep", "drop", "strict"] = Field(
        "keep", description="Rows that say the same as an earlier one; reported in any case."
    )
    near_duplicates: Literal["keep", "drop", "strict"] = Field(
        "keep", description="Rows that say almost the same as an earlier one (9 parts in 10)."
    )
    too_long: Literal["drop", "truncate", "split", "strict"] = Field(
        "drop",
        description="Rows over model.max_length: drop them, cut them off, go on in a further "
        "example, or stop. Always counted.",
    )
    min_tokens: Annotated[int, Field(ge=0, le=2**24)] = Field(
        0, description="Rows of fewer tokens are a problem: too short."
    )
    train_on: Literal["all", "last"] = Field(
        "all", description="Which turns of the assistant are trained: every one, or the last."
    )
    workers: Count | None = Field(
        None, description="Processes that tokenise; as many as there are cores if not given."
    )

    @property
    def name(self) -> str:
        """The training data in a few words."""
        first, *more = self.train
        return f"{first.name} and {len(more)} more" if more else first.name

    @model_validator(mode="after")
    def _one_way_to_split(self) -> "DataSection":
        if (self.validation or self.test) and (self.split.fractions or self.split.file):
            raise ValueError("name the files of the other splits or how to split, not both")
        return self

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> "DataSection":
        column = self.split.id if self.split.file else None
        for source in self.train:
            secret = source.encryption
            if column is None:
                break
            if secret and source.pairs is None and column in (secret.columns or [column]):
                raise ValueError(
                    f"the split file would hold the encrypted {column!r} in clear: name another "
                    "column in split.id"
                )
        return self
