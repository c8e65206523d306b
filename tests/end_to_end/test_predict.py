"""`backprop predict` as a person calls it: a real run, real workers, every kind of model asked."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.answering.predictions import predict_here
from tests.end_to_end.real_runs import DEMO, Cli, events, training, wait_for
from tests.end_to_end.terminal import Terminal
from trainer_core.errors import UserError


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the demo's model that has learnt something, with the home it was made in."""
    cli = Cli(tmp_path_factory.mktemp("trained"))
    arguments = training("--steps", "60", "--set", "run.name=tiny")
    cli.run(*arguments, "--headless", "--output", str(cli.folder / "run"))
    return cli.folder


@pytest.fixture
def run(trained_once: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run in the home of this test."""
    shutil.copytree(trained_once / "run", cli.folder / "run")
    shutil.copytree(trained_once / "cache", cli.folder / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cli.folder / "cache"))
    return cli.folder / "run"


def lines(folder: Path) -> list[dict[str, Any]]:
    """The answers, in the order of their prompts."""
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def test_rows_of_a_split(cli: Cli, run: Path) -> None:
    done = cli.run("predict", str(run), "--split", "validation", "-n", "20", "--max-tokens", "24")
    made, held_out = lines(run / "predictions" / "1"), run / "predictions" / "1"
    assert [line["row"] for line in made] == [*range(20)]
    assert len({line["where"] for line in made}) == 20
    for line in made:
        assert line["prompt"].endswith((".", "?"))
        assert line["expected"]
        assert 0 < line["tokens"] <= 24
        assert line["seconds"] > 0
    assert any(line["answer"] == line["expected"] for line in made)
    found = summary(held_out)
    assert (found["rows"], found["runtime"], found["split"]) == (20, "transformers", "validation")
    assert found["tokens"] == sum(line["tokens"] for line in made)
    assert found["peak_ram"] > 100 << 20
    assert {line["ended"] for line in made} == {"itself"}
    assert found["cut"] == 0
    right = [line["answer"] == line["expected"] for line in made]
    assert found["scores"]["exact"]["value"] == sum(right) / 20
    assert 0 < found["scores"]["exact"]["low"] < found["scores"]["exact"]["high"]
    assert f"exact           {sum(right) / 20:.3f}  [" in done.stdout
    memory = [json.loads(line) for line in (held_out / "memory.jsonl").read_text().splitlines()]
    assert len(memory) > 1  # though all came in one batch
    assert 0.1 < max(line["ram_gib"] for line in memory) <= found["peak_ram"] / 2**30 + 1e-4
    for name in ("seconds", "answers", "tokens"):
        assert [line[name] for line in memory] == sorted(line[name] for line in memory)
    assert (memory[0]["answers"], memory[0]["tokens"]) == (0, 0)
    assert (memory[-1]["answers"], memory[-1]["tokens"]) == (20, found["tokens"])
    assert max(line["tokens_per_second"] for line in memory) > 0
    assert (held_out / "memory.png").read_bytes()[:4] == b"\x89PNG"
    assert "20 answers" in done.stdout
    assert made[0]["answer"][:40] in done.stdout


def test_a_batch_changes_nothing_and_a_seed_repeats_what_was_drawn(cli: Cli, run: Path) -> None:
    drawn = {"max_tokens": 12, "temperature": 1.5, "seed": 1}
    wishes: list[dict[str, Any]] = [
        {"sampling": {"max_tokens": 12}, "batch_size": 1},
        {"sampling": {"max_tokens": 12}, "batch_size": 7},
        {"sampling": drawn},
        {"sampling": drawn, "batch_size": 2},
        {"sampling": {**drawn, "seed": 2}},
    ]
    greedy, together, first, again, other = (
        predict_here(cli.folder / str(number), run, split="validation", count=7, **wish).answers
        for number, wish in enumerate(wishes)
    )
    assert greedy == together
    assert first == again != other


def test_one_prompt_and_a_file_of_them(cli: Cli, run: Path) -> None:
    done = cli.run("predict", str(run), "What is the opposite of hot?", "--max-tokens", "24")
    (line,) = lines(run / "predictions" / "1")
    assert line["ended"] == "itself"
    assert line["prompt"] == "What is the opposite of hot?"
    assert line["expected"] is None
    assert done.stdout.rstrip().endswith(line["answer"])
    assert "cut" not in done.stdout
    prompts = cli.folder / "prompts.jsonl"
    talk = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"}]
    rows = [
        {"prompt": "What is the plural of city?", "expected": "Cities."},
        {"messages": [*talk, {"role": "user", "content": "What does a hunter do?"}]},
        {"messages": talk},
    ]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli.run("predict", str(run), "--prompts", str(prompts), "--max-tokens", "3")
    first, second, third = made = lines(run / "predictions" / "2")
    cut = [line["ended"] for line in made].count("length")
    assert 0 < cut == summary(run / "predictions" / "2")["cut"]
    assert f"warning: {cut} of 3 answers w" in done.stdout
    assert "cut at 3 tokens. --max-tokens lets answers be longer." in done.stdout
    assert (first["expected"], second["expected"], third["expected"]) == ("Cities.", None, "Hello!")
    assert second["prompt"] == rows[1]["messages"]
    assert third["prompt"] == "Hello."
    (cli.folder / "prompts.txt").write_text("One.\n\nTwo.\nThree.\nFour.\n")
    cli.run("predict", str(run), "--prompts", "prompts.txt", "-n", "2", "--max-tokens", "8")
    assert [line["prompt"] for line in lines(run / "predictions" / "3")] == ["One.", "Three."]


def test_the_answer_alone(cli: Cli, run: Path) -> None:
    asked, temporary = ["generate", str(run)], cli.folder / "temporary"
    temporary.mkdir()
    cli.environment["TMPDIR"] = str(temporary)
    done = cli.run(*asked, "What is the opposite of hot?", "--max-tokens", "24")
    wish = {"prompt": "What is the opposite of hot?", "sampling": {"max_tokens": 24}}
    assert [done.stdout] == [
        f"{said}\n" for said in predict_here(run / "here", run, **wish).answers
    ]
    base = cli.run(*asked, "What is the opposite of hot?", "--base", "--max-tokens", "24").stdout
    assert base != done.stdout
    failed = cli.run(*asked, "Hello?", "--checkpoint", "step-7", status=2)
    assert (failed.stdout, "has no step-7" in failed.stderr) == ("", True)
    assert not [*temporary.glob("backprop-*/*")]
    (cli.folder / "junk.gguf").write_text("junk")
    broken = cli.run("generate", "junk.gguf", "Hello?", status=1).stderr
    (box,) = temporary.glob("backprop-*/black_box.json")
    assert f"What is known of it: {box}" in broken  # and so it stays
    assert "what was given is blank" in cli.run("generate", "", "Hello?", status=2).stderr


def test_a_conversation_needs_a_terminal_and_something_to_talk_to(cli: Cli, run: Path) -> None:
    done = cli.run("try", str(run), status=2)
    assert "needs a terminal" in done.stderr
    assert "backprop generate RUN" in done.stderr
    assert "there are no runs yet" in cli.run("try", "nothing", status=2).stderr


def test_base_adapter_and_every_export_that_answers(cli: Cli, run: Path) -> None:
    whole = ("--dtype", "float32", "-q", "f32", "--onnx-precision", "fp32")
    cli.run("export", str(run), "-f", "merged,gguf,onnx", *whole, "--no-check", "--output", "out")
    exports = {name: cli.folder / "out" / name for name in ("merged", "tiny-F32.gguf", "onnx")}
    wish = {"sampling": {"max_tokens": 24}}
    rows = {"split": "validation", "count": 8, **wish}
    ours = predict_here(cli.folder / "of-run", run, **rows)
    adapter = predict_here(cli.folder / "of-adapter", run / "adapter" / "best", **rows)
    assert adapter.answers == ours.answers
    assert predict_here(cli.folder / "of-base", run, base=True, **rows).answers != ours.answers
    prompts = str(cli.folder / "of-run" / "predictions.jsonl")
    for name, path in exports.items():
        with pytest.raises(UserError, match="lies in no run, so its data is not known"):
            predict_here(cli.folder / f"refused-{name}", path, **rows)
        made = predict_here(cli.folder / f"of-{name}", path, prompts=prompts, **wish)
        assert made.answers == ours.answers, name
    shutil.copytree(cli.folder / "out", run / "exports" / "1")
    for name, runtime in (("tiny-F32.gguf", "llama.cpp"), ("onnx", "onnxruntime")):
        # In their run its data is known, and how it is masked.
        made = predict_here(cli.folder / f"in-run-{name}", run / "exports" / "1" / name, **rows)
        assert made.summary["runtime"] == runtime
        found, known = (one.summary["scores"]["perplexity"]["value"] for one in (made, ours))
        assert found == pytest.approx(known, rel=1e-4)


def test_scores_beside_the_base_and_beside_another_run(cli: Cli, run: Path) -> None:
    asked = ["eval", str(run), "--split", "validation", "-n", "40", "--max-tokens", "24"]
    scores = ("--metric", "exact", "--metric", "chrf", "--metric", "perplexity")
    gates = ("--gate", "exact", "--gate", "perplexity", "--gate", "perplexity<=5")
    done = cli.run(*asked, *scores, *gates)
    place = run / "predictions"
    ours, base = lines(place / "1"), lines(place / "2")
    assert [line["prompt"] for line in ours] == [line["prompt"] for line in base]
    assert [line["answer"] for line in ours] != [line["answer"] for line in base]
    found = json.loads((place / "1" / "eval.json").read_text())
    assert [*found["scores"]] == ["exact", "chrf", "perplexity"]
    for name, alone in summary(place / "1")["scores"].items():
        assert alone == found["scores"].get(name, {"value": alone})["value"]
    right = sum(line["answer"] == line["expected"] for line in ours) / 40
    score = found["scores"]["exact"]
    assert (score["value"]["value"], score["other"]["value"]) == (right, 0)
    assert 0 < score["difference"]["low"] < right < score["difference"]["high"]
    assert [(one["score"], one["limit"]) for one in found["gates"]] == [
        ("exact", None),
        ("perplexity", None),
        ("perplexity", 5.0),
    ]
    assert all(one["passed"] for one in found["gates"])
    assert f"exact       {right:.3f}  [" in done.stdout
    surprise = [
        math.exp(sum(line["nats"] for line in made) / sum(line["trained_tokens"] for line in made))
        for made in (ours, base)
    ]
    score = found["scores"]["perplexity"]
    assert score["value"]["value"] == pytest.approx(surprise[0])
    assert score["other"]["value"] == pytest.approx(surprise[1])
    assert surprise[0] < 5 < surprise[1]

    worse = ["--vs", str(run), "--max-tokens", "24", "--gate", "token_f1", "--metric", "exact"]
    prompts = str(place / "1" / "predictions.jsonl")
    bad = cli.run("eval", str(DEMO / "base"), "--prompts", prompts, *worse, status=1)
    assert "backprop: token_f1 is worse by 0." in bad.stderr

    three = (*asked[:4], "-n", "3", "--vs", "none", "--gate", "chrf>=0.5", "--json")
    (cli.folder / "own.py").write_text("def boom(answer, expected):\n    return 1 / 0\n")
    few = cli.run(*three, "--function", "own.py:boom", status=2)
    assert "the score boom failed: ZeroDivisionError" in few.stderr
    assert "warning: 3 rows are too few" in few.stderr
    last = json.loads(few.stdout.splitlines()[-1])  # what is known is kept
    assert (last["type"], last["rows"], last["other"]) == ("compared", 3, None)
    assert last["gates"][0]["passed"]
    nobody = cli.run(*asked, "--vs", "none", "--gate", "exact", status=2)
    assert "with --vs none exact has nothing to be compared with" in nobody.stderr
    alone = cli.run("eval", str(DEMO / "base"), "--prompts", prompts, status=2)
    assert "is a model of its own, and its base is not known" in alone.stderr
    nothing = cli.run("eval", str(run), "--prompts", "bare.txt", status=2)
    assert "bare.txt does not exist" in nothing.stderr


def test_where_nothing_is_trained_the_base_is_asked_only_if_wanted(cli: Cli) -> None:
    cli.start(*training("--steps", "5000", "--headless", "--output", "new"))
    place = cli.folder / "new"
    wait_for(lambda: (place / "resolved.yaml").exists())
    cli.run("stop", str(place), "--abort")
    wait_for(lambda: json.loads((place / "status.json").read_text())["state"] == "stopped")
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    done = cli.run("predict", "new", "Hello?", status=2)
    assert "has trained nothing yet. --base asks the base model" in done.stderr
    assert not (place / "predictions").exists()
    cli.run("predict", "new", "Hello?", "--base", "--max-tokens", "4")
    assert lines(place / "predictions" / "1")[0]["tokens"] <= 4
    for answer, status in (("n", 2), ("y", 0)):
        terminal = Terminal(cli, "predict", "new", "Hello?", "--max-tokens", "4")
        terminal.shows("new has trained nothing yet. Ask the base model instead?")
        terminal.send(f"{answer}\n")
        assert terminal.ended() == status, terminal.text()
    assert len(lines(place / "predictions" / "2")) == 1
    assert not (place / "predictions" / "3").exists()


def test_a_stop_keeps_what_was_answered(cli: Cli, run: Path) -> None:
    cli.start("predict", str(run), "--split", "train", "--batch-size", "1", "--max-tokens", "200")
    place = run / "predictions" / "1"
    wait_for(lambda: any(event["type"] == "predicted" for event in events(place)))
    cli.run("stop", str(place))
    wait_for(lambda: json.loads((place / "status.json").read_text())["state"] == "stopped")
    made = lines(place)
    assert made
    assert [line["row"] for line in made] == sorted(line["row"] for line in made)
    assert "answers are there" in json.loads((place / "status.json").read_text())["message"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--split", "tset"], "no split is called tset. There are train, validation or test"),
        (["--split", "test"], "has no rows for test. There are: validation, train"),
        (["--max-tokens", "0"], "max_tokens is 0, and an answer has at least one"),
        (["--top-p", "2"], "top_p is 2.0, and must be over 0 and at most 1"),
        (["--prompts", "none.jsonl"], "none.jsonl does not exist"),
        (["--prompts", "bad.jsonl"], "bad.jsonl:2: the row has no prompt"),
        (["--prompts", "bad.jsonl", "--split", "test"], "prompts and split both say what is asked"),
        (["--checkpoint", "step-7"], "has no step-7. There are:"),
        ([""], "the prompt is empty"),
        (["--prompts", "bad.jsonl", "--output", ".", "--force"], "where the answers would replace"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked(cli: Cli, run: Path, more: list[str], said: str) -> None:
    (cli.folder / "bad.jsonl").write_text('{"prompt": "a"}\n{"a": 1}\n')
    assert said in cli.run("predict", str(run), *more, status=2).stderr
