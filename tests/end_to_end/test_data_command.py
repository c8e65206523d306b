"""`backprop data`: what is in the data, before anything is trained."""

import json
from pathlib import Path

from tests.end_to_end.real_runs import DEMO, Cli

ROWS = [{"question": f"What is {n} + {n}?", "answer": f"It is {n + n}."} for n in range(30)]
BASE = str(DEMO / "base")


def write(cli: Cli, *more: object) -> Path:
    file = cli.folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, *more]))
    return file


def test_the_report_of_a_file(cli: Cli) -> None:
    file = write(cli, ROWS[0])
    done = cli.run("data", str(file), "--model", BASE)
    assert f"{file}: 31 rows, question and answer" in done.stdout
    assert "1 duplicate: kept" in done.stdout
    assert f"{file}:31: says the same as {file}:1" in done.stdout
    assert "⟦It is 0.<|im_end|>⟧" in done.stdout
    report = json.loads(cli.run("data", str(file), "--model", BASE, "--json").stdout)
    assert report["cached"] is True
    assert report["counts"]["duplicate"] == 1
    assert report["splits"][0]["tokens"] > report["splits"][0]["trained_tokens"] > 0
    assert report["model"] == BASE
    first = report["examples"][0]
    trained = "".join(token["text"] for token in first["tokens"] if token["trained"])
    assert (first["split"], first["index"]) == ("train", 0)
    assert trained == f"{first['turns'][1]['content']}<|im_end|>"
    assert cli.run("data", str(file), "--strict", status=1).returncode == 1


def test_the_exit_status_says_whether_a_run_would_stop(cli: Cli) -> None:
    file = write(cli, {"question": "q", "answer": ""})
    done = cli.run("data", str(file), "--model", BASE, status=1)
    assert f"{file}:31: message 2" in done.stdout
    cli.run("data", str(file), "--model", BASE, "--set", "data.problems=skip")
    config = cli.folder / "run.yaml"
    config.write_text(f"model: {{base: {BASE}}}\ndata: {{train: rows.jsonl, problems: skip}}\n")
    assert "without" not in cli.run("data", str(config)).stderr
    assert cli.run("data", str(config), "--list-files").stdout == f"{file}\n"
    strict = ["--set", "data.problems=skip", "--set", "data.too_long=strict"]
    done = cli.run("data", str(file), "--model", BASE, *strict, status=0)
    strict += ["--set", "model.max_length=16"]
    done = cli.run("data", str(file), "--model", BASE, *strict, status=1)
    assert "too long: stops a run" in done.stdout
    done = cli.run("data", str(cli.folder / "none.jsonl"), status=2)
    assert "does not exist" in done.stderr


def test_the_splits_as_files(cli: Cli) -> None:
    file = write(cli)
    out = cli.folder / "parts"
    shares = "data.split.fractions=[0.6, 0.2, 0.2]"
    cli.run("data", str(file), "--set", shares, "--split-out", str(out))
    written = {path.stem: path.read_text().splitlines() for path in out.iterdir()}
    assert {name: len(lines) for name, lines in written.items()} == {
        "train": 18,
        "validation": 6,
        "test": 6,
    }
    rows = [json.loads(line) for lines in written.values() for line in lines]
    assert sorted(rows, key=str) == sorted(ROWS, key=str)
    done = cli.run("data", str(file), "--split-out", str(out), status=2)
    assert "exists" in done.stderr
