"""`backprop doctor` as a command: what it prints, in how many columns, and its exit status."""

import json
import subprocess
import sys

import pexpect

from tests.end_to_end.real_runs import COMMAND, Cli


def doctor(cli: Cli, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it. A machine that tests run on may have problems of its own, so any status will do."""
    return subprocess.run(
        [*COMMAND, "doctor", *arguments],
        cwd=cli.folder,
        env={name: value for name, value in cli.environment.items() if name != "COLUMNS"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_report_is_grouped_marked_and_fits_80_columns(cli: Cli) -> None:
    done = doctor(cli)
    lines = done.stdout.splitlines()
    assert {"Python", "GPU", "Libraries", "Memory", "Disk", "Terminal", "Login"} <= set(lines)
    marks = {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}
    assert "ok" in marks
    assert marks <= {"ok", "note", "warn", "FAIL"}
    assert done.returncode == int("FAIL" in marks)
    assert all(len(line) <= 80 for line in lines if not line.lstrip().startswith("$"))
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_json_has_the_findings_and_the_facts_and_no_secret(cli: Cli) -> None:
    cli.environment |= {"HF_TOKEN": "hf_canary", "WANDB_API_KEY": "canary"}
    done = doctor(cli, "--json")
    told = json.loads(done.stdout)
    assert set(told) == {"findings", "facts"}
    assert all(set(one) == {"area", "level", "text", "hint", "command"} for one in told["findings"])
    assert done.returncode == any(one["level"] == "problem" for one in told["findings"])
    assert told["facts"]["machine"]["ram"] > 0
    assert told["facts"]["libraries"]["textual"]
    assert "HF_TOKEN is set." in [one["text"] for one in told["findings"]]
    assert "canary" not in done.stdout


def test_a_problem_is_exit_1_in_both_ways(cli: Cli) -> None:
    (cli.folder / "file").touch()
    cli.environment["XDG_CACHE_HOME"] = str(cli.folder / "file" / "cache")
    done = doctor(cli)
    assert done.returncode == 1
    assert "FAIL  The folder of the cache" in done.stdout
    assert "$ export XDG_CACHE_HOME=" in done.stdout
    assert " problem" in done.stdout.splitlines()[-1]
    done = doctor(cli, "--json")
    assert done.returncode == 1
    problems = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "problem"]
    assert "folders" in [one["area"] for one in problems]


def test_colour_on_a_terminal_only_where_it_is_wanted(cli: Cli) -> None:
    for no_color, coloured in (("", True), ("1", False)):
        program = pexpect.spawn(
            sys.executable,
            [*COMMAND[1:], "doctor"],
            cwd=str(cli.folder),
            env={**cli.environment, "TERM": "xterm-256color", "NO_COLOR": no_color},
            dimensions=(24, 60),
            timeout=60,
            encoding="utf-8",
        )
        program.expect(pexpect.EOF)
        program.close()
        assert ("\x1b[32m" in program.before) is coloured
        assert "The terminal is 60x24, smaller than 80x24." in program.before
