"""Every row is in one split; the shares are kept; groups are never torn; files are checked."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.config.data_section import SplitSection
from trainer_core.data.leakage import leaks
from trainer_core.data.split_file import read_split_file
from trainer_core.data.splits import RowKeys, assign, key_hash, weighted
from trainer_core.errors import UserError

shares = st.tuples(st.integers(1, 10), st.integers(0, 10), st.integers(0, 10)).map(
    lambda parts: [part / sum(parts) for part in parts]
)


def section(**settings: object) -> SplitSection:
    return SplitSection.model_validate(settings)


@given(st.integers(0, 500), shares, st.integers(0, 5))
def test_exact_shares_the_same_every_time(rows: int, wanted: list[float], seed: int) -> None:
    split = section(fractions=wanted, seed=seed)
    found = assign(split, RowKeys(rows))
    assert (found == assign(split, RowKeys(rows))).all()
    for number, share in enumerate(wanted):
        assert abs(int((found == number).sum()) - share * rows) <= 1


@given(st.lists(st.integers(0, 8), min_size=1, max_size=200), shares)
def test_a_group_is_on_one_side(groups: list[int], wanted: list[float]) -> None:
    hashes = np.array([key_hash(group) for group in groups], dtype=np.uint64)
    found = assign(section(fractions=wanted), RowKeys(len(groups), groups=hashes))
    for group in set(groups):
        rows = [row for row, name in enumerate(groups) if name == group]
        assert len(set(found[rows].tolist())) == 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), shares)
def test_every_stratum_is_shared_out_alike(strata: list[int], wanted: list[float]) -> None:
    hashes = np.array([key_hash(stratum) for stratum in strata], dtype=np.uint64)
    found = assign(section(fractions=wanted), RowKeys(len(strata), strata=hashes))
    for stratum in set(strata):
        inside = found[[row for row, name in enumerate(strata) if name == stratum]]
        for number, share in enumerate(wanted):
            assert abs(int((inside == number).sum()) - share * len(inside)) <= 1


@pytest.mark.parametrize(
    ("rows", "held"), [(0, 0), (1, 0), (2, 1), (10, 1), (100, 5), (4000, 200), (10_000, 200)]
)
def test_where_nothing_is_said_a_few_rows_are_held_back(rows: int, held: int) -> None:
    assert int((assign(section(), RowKeys(rows)) == 1).sum()) == held


def test_another_seed_is_another_draw() -> None:
    one, other = (assign(section(seed=seed), RowKeys(1000)) for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize(
    "given_shares",
    [
        [0.7, 0.1, 0.2],
        {"train": 0.7, "validation": 0.1, "test": 0.2},
        {"treino": 0.7, "avaliacao": 0.1, "teste": 0.2},
        [{"treino": 0.7}, {"validação": 0.1}, {"teste": 0.2}],
        "0.7,0.1,0.2",
        {"val": 0.1, "test": 0.2},
    ],
)
def test_ways_to_say_the_shares(given_shares: object) -> None:
    found = section(fractions=given_shares).shares
    assert found is not None
    assert {name: round(share, 9) for name, share in found.items()} == {
        "train": 0.7,
        "validation": 0.1,
        "test": 0.2,
    }


@pytest.mark.parametrize(
    ("given_shares", "words"),
    [([0.5, 0.1], "sum to 0.6"), ([0, 1], "train gets nothing"), ({"test": 1}, "nothing is left")],
)
def test_shares_that_cannot_be(given_shares: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        section(fractions=given_shares)


def test_weights() -> None:
    sources = np.array([0] * 100 + [1] * 100 + [2] * 100)
    rows = weighted(sources, [1, 2, 0.5], seed=1)
    counts = np.bincount(rows, minlength=300)
    assert (counts[:100] == 1).all()
    assert (counts[100:200] == 2).all()
    assert set(counts[200:]) == {0, 1}
    assert 30 < counts[200:].sum() < 70
    assert (rows == weighted(sources, [1, 2, 0.5], seed=1)).all()


def test_a_split_file_is_made_once_and_then_followed(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "split.csv"
    ids = [f"doc {n}" for n in range(20)]
    split = section(file=str(file), fractions=[0.5, 0.25, 0.25])
    made = assign(split, RowKeys(20, ids=ids))
    assert file.read_text().startswith("id,split\ndoc 0,")
    turned = assign(split, RowKeys(20, ids=ids[::-1]))
    assert turned.tolist() == made.tolist()[::-1]
    assert len(read_split_file(file)) == 20


def test_a_split_file_and_rows_that_disagree(tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    split = section(file=str(file))
    file.write_text("id,split\n1,train\n2,test\n")
    for ids, words in (
        (["1", "2", "3"], "lacks 1 ids ('3')"),
        (["1"], "split.csv:3: the data lacks 1 ids ('2')"),
        (["01", "2"], "leading zeros"),
        (["1", "1"], "share an id"),
    ):
        with pytest.raises(UserError) as caught:
            assign(split, RowKeys(len(ids), ids=ids))
        assert words in str(caught.value)
    for text, words in (
        ("id,split\n1,trian\n", "split.csv:2: 'trian' is not a split"),
        ("id,split\n1,train\n1,test\n", "stands twice, first on line 2"),
        ("name,split\n", "no column 'id'"),
        ("", "no column 'id'"),
        ("id,split\n1\n", "split.csv:2: a column is missing"),
    ):
        file.write_text(text)
        with pytest.raises(UserError) as caught:
            assign(split, RowKeys(1, ids=["1"]))
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "id_arquivo,alvo\n001,treino\n2,avaliacao\n3,teste\n",
        "\ufeffid;divisão;token_total\n001;treino;7\n2;validação;8\n3;teste;9\n",
        "id\tgrupo\n001\ttrain\n2\tvalidation\n\n3\ttest\n",
    ],
)
def test_split_files_of_earlier_tools(tmp_path: Path, text: str) -> None:
    file = tmp_path / "split.csv"
    file.write_text(text, encoding="utf-8")
    found = assign(section(file=str(file)), RowKeys(3, ids=["001", "2", "3"]))
    assert found.tolist() == [0, 1, 2]
    assert file.read_text(encoding="utf-8") == text


def test_what_training_gives_away() -> None:
    trained = np.array([True, False, False, False, False, True])
    texts = np.array([7, 7, 8, 9, 10, 11], dtype=np.uint64)
    prompts = np.array([1, 1, 2, 1, 5, 6], dtype=np.uint64)
    found = leaks(trained, ~trained, texts, prompts, np.array([[4, 0], [5, 2]]))
    assert [(leak.row, leak.other, leak.kind) for leak in found] == [
        (1, 0, "the same"),
        (2, 5, "almost the same"),
        (3, 0, "the same prompt"),
        (4, 0, "almost the same"),
    ]
