"""A dataset on the Hugging Face hub: its files are fetched, and read like any others; of a dataset
with a row limit only its first rows are (sources/hub_rows.py)."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainer_core.config.data_section import DATA_SUFFIXES, DataSource
from trainer_core.data.rows import Chunk
from trainer_core.errors import UserError

_SPLIT_WORDS = ("train", "test", "validation", "valid", "val", "dev", "eval")


@dataclass(frozen=True)
class HubDataset:
    """Files of one split; each is fetched when its rows are asked for."""

    given: DataSource

    @property
    def name(self) -> str:
        """Its name on the hub."""
        return self.given.hub or ""

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """The chunks of each file."""
        from trainer_core.data.sources.hub_rows import first_rows
        from trainer_core.data.sources.kinds import open_file

        limit, files = self.given.limit, self.files()
        if limit is not None:
            kept = self._asked(lambda: first_rows(self.name, self._listing.commit, files, limit))
            yield from open_file(kept).chunks()
            return
        for file in files:
            yield from open_file(self._fetch(file)).chunks()

    def files(self) -> list[str]:
        """The files of the split. Raises UserError."""
        return self._split_files

    def fingerprint(self) -> str:
        """Of the commit and the files."""
        facts = "\n".join([self._listing.commit, *self.files()])
        return hashlib.sha256(facts.encode()).hexdigest()

    @cached_property
    def _listing(self) -> "_Listing":
        """The files that can be read, of each split."""
        info = self._info(self.given.revision)
        every = _names(info)
        found = self._configured(info, every) or _by_name(every, self.given.subset)
        if not found and self.given.revision is None:
            # Of most datasets, those made by a script too, the hub keeps a copy as Parquet.
            with suppress(UserError):
                info = self._info("refs/convert/parquet")
            found = self._converted(_names(info))
        if not found:
            raise UserError(
                f"the dataset {self.name} has no files that can be read here",
                hint="It may be made by a script; download it as JSONL or Parquet.",
            )
        return _Listing(str(info.sha), found)

    def _info(self, revision: str | None) -> Any:
        from huggingface_hub import HfApi

        return self._asked(lambda: HfApi().dataset_info(self.name, revision=revision))

    @cached_property
    def _split_files(self) -> list[str]:
        named, wanted = self._listing.splits, self.given.split
        if wanted is None:
            starting = [split for split in named if split.startswith("train")]
            wanted = "train" if "train" in named else starting[0] if len(starting) == 1 else None
            if len(named) == 1:
                wanted = next(iter(named))
        if wanted not in named:
            asked = f"no split {wanted!r}" if wanted else "no split train"
            raise UserError(
                f"the dataset {self.name} has {asked}",
                hint=f"Name one in split: {', '.join(sorted(named))}.",
            )
        return named[wanted]

    def _converted(self, every: list[str]) -> dict[str, list[str]]:
        """Splits of the hub's own copy: SUBSET/SPLIT/0000.parquet."""
        subsets: dict[str, dict[str, list[str]]] = {}
        for file in every:
            if file.endswith(".parquet") and file.count("/") == 2:
                subset, split, _ = file.split("/")
                split = split.removeprefix("partial-")  # of a very large dataset only the beginning
                subsets.setdefault(subset, {}).setdefault(split, []).append(file)
        wanted = self.given.subset
        if wanted is None:
            wanted = "default" if "default" in subsets else next(iter(subsets), None)
        if subsets and wanted not in subsets:
            raise UserError(
                f"the dataset {self.name} has no subset {wanted!r}",
                hint=f"It has: {', '.join(subsets)}.",
            )
        return subsets[wanted] if wanted is not None else {}

    def _configured(self, info: Any, every: list[str]) -> dict[str, list[str]]:
        """Splits as the dataset's own card has them."""
        import fnmatch

        card = getattr(info, "card_data", None)
        configs = (card.to_dict() if card is not None else {}).get("configs")
        if not isinstance(configs, list) or not configs:
            return {}
        wanted = self.given.subset
        chosen = [
            config
            for config in configs
            if isinstance(config, dict)
            and (config.get("config_name") == wanted or (wanted is None and config.get("default")))
        ] or ([configs[0]] if wanted is None and isinstance(configs[0], dict) else [])
        if not chosen:
            names = ", ".join(str(c.get("config_name")) for c in configs if isinstance(c, dict))
            raise UserError(
                f"the dataset {self.name} has no subset {wanted!r}", hint=f"It has: {names}."
            )
        files = chosen[0].get("data_files")
        if isinstance(files, str):
            files = [{"split": "train", "path": files}]
        found: dict[str, list[str]] = {}
        for entry in files if isinstance(files, list) else []:
            if isinstance(entry, dict):
                masks = entry.get("path")
                for mask in masks if isinstance(masks, list) else [masks]:
                    matching = [file for file in every if fnmatch.fnmatch(file, str(mask))]
                    found.setdefault(str(entry.get("split", "train")), []).extend(matching)
        return {split: files for split, files in found.items() if files}

    def _fetch(self, file: str) -> str:
        from huggingface_hub import hf_hub_download

        return str(
            self._asked(
                lambda: hf_hub_download(
                    self.name, file, repo_type="dataset", revision=self._listing.commit
                )
            )
        )

    def _asked(self, ask: Any) -> Any:
        """What the hub answers, or one sentence on why it does not."""
        from httpx import HTTPError

        from trainer_core.data.sources.hub_rows import RemoteError

        try:
            return ask()
        except RemoteError as error:
            raise self._sentence(error.__cause__ or error) from None
        except (HTTPError, OSError, ValueError) as error:  # those of the client are among them
            raise self._sentence(error) from None

    def _sentence(self, error: BaseException) -> UserError:
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, GatedRepoError):
            return UserError(
                f"the dataset {self.name} is gated",
                hint="Ask for access on its page, and set HF_TOKEN.",
            )
        if isinstance(error, RevisionNotFoundError):
            return UserError(f"the dataset {self.name} has no revision {self.given.revision!r}")
        if isinstance(error, RepositoryNotFoundError):
            return UserError(
                f"the hub has no dataset {self.name} (or it is private)",
                hint="Check its name, and HF_TOKEN if it is private. A file here needs its suffix.",
            )
        reason = (str(error).strip().splitlines() or ["no answer"])[-1][:200]
        return UserError(
            f"the dataset {self.name} cannot be had from the hub: {reason}",
            hint="Check the connection, or download it and name the files.",
        )


@dataclass(frozen=True)
class _Listing:
    """What is there at one commit."""

    commit: str
    splits: dict[str, list[str]]


def _names(info: Any) -> list[str]:
    return sorted(sibling.rfilename for sibling in info.siblings or [])


def _by_name(every: list[str], subset: str | None) -> dict[str, list[str]]:
    """Splits as file and folder names have them: train-00000-of-00004.parquet, data/test.jsonl,
    train_sft/0.parquet; files without such a word are the train split."""
    found: dict[str, list[str]] = {}
    for file in every:
        if not re.search(DATA_SUFFIXES, file.lower()) or file.lower().endswith((".md", ".txt")):
            continue
        if (
            subset is not None
            and subset not in file.split("/")[:-1]
            and not file.startswith(subset)
        ):
            continue
        parts = [*reversed(file.split("/"))]
        names = [re.sub(r"-\d{5}-of-\d{5}.*|\..*", "", part) for part in parts]
        split = next((n for n in names if n.lower().startswith(_SPLIT_WORDS)), "train")
        found.setdefault(split, []).append(file)
    return found
