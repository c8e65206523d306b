"""All checks together: nothing is lost when one fails, nothing secret is said, nothing is heavy."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hardware.doctor.laid_out import machine
from trainer_core.hardware.doctor import secrets
from trainer_core.hardware.doctor.examine import CHECKS, examine
from trainer_core.hardware.doctor.facts import facts
from trainer_core.hardware.doctor.finding import Finding, in_numbers, ok, warning, worst_first
from trainer_core.hardware.doctor.surroundings import Surroundings

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "unsloth", "trl", "peft", "datasets", "numpy", "textual"}


def test_this_machine_is_looked_at_and_each_finding_says_what_to_do() -> None:
    found = examine()
    assert {one.area for one in found} >= set(CHECKS) - {"tmux"}
    for one in found:
        assert one.text.endswith(".")
        assert bool(one.hint) is (one.level != "ok")
        assert "could not be looked at" not in one.text


def test_a_check_that_fails_is_a_note_and_the_others_go_on() -> None:
    def breaks(place: Surroundings) -> Iterator[Finding]:
        yield ok("one", "Seen before.")
        raise OSError(5, "Input/output \x1b[31merror")

    found = examine(Surroundings(), {"one": breaks, "two": lambda _: [ok("two", "Fine.")]})
    assert [(one.area, one.level) for one in found] == [
        ("one", "ok"),
        ("one", "note"),
        ("two", "ok"),
    ]
    assert found[1].text == "This could not be looked at: OSError: [Errno 5] Input/output error"


def test_an_empty_machine_breaks_nothing(tmp_path: Path) -> None:
    place = machine(tmp_path, {})
    assert not any("could not be looked at" in one.text for one in examine(place))
    assert json.loads(json.dumps(facts(place)))["libraries"] == {}


def test_files_that_are_rubbish_break_nothing(tmp_path: Path) -> None:
    place = machine(tmp_path, {})
    for name in (
        "proc/self/cgroup",
        "etc/systemd/logind.conf",
        "proc/driver/nvidia/version",
        "sys/fs/cgroup/memory.max",
        "proc/sys/kernel/core_pattern",
    ):
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(range(256)) * 4 + b"\n[Login]\n=\n==\n\\\n")
    broken = tmp_path / "site-packages" / "odd-1.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_bytes(b"\xff\xfe\x00")
    assert not any("could not be looked at" in one.text for one in examine(place))


def test_a_working_folder_that_is_gone_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = examine()
    assert any(one.area == "disk" and one.level == "note" for one in found)


def test_secrets_are_told_by_their_presence_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    assert next(iter(secrets.look(Surroundings()))).command == "hf auth login"
    (tmp_path / "token").write_text("hf_canary")
    assert "a login to the hub is kept" in next(iter(secrets.look(Surroundings()))).text
    for name in ("HF_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(name, "hf_canary")
    place = Surroundings()
    said = json.dumps([one.model_dump() for one in examine(place)]) + json.dumps(facts(place))
    assert "HF_TOKEN is set." in said
    assert "canary" not in said


def test_the_worst_comes_first_and_the_rest_stays_in_order() -> None:
    found = [ok("a", "1."), warning("b", "2.", "do"), ok("c", "3."), warning("a", "4.", "do")]
    assert [one.text for one in worst_first(found)] == ["2.", "4.", "1.", "3."]
    assert in_numbers(found) == "2 warnings, 2 ok"


def test_nothing_heavy_is_imported_and_no_library_is_started() -> None:
    program = (
        "import sys, typer\n"
        "from trainer_core.cli.doctor import doctor\n"
        "try:\n    doctor()\nexcept typer.Exit:\n    pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report, _, loaded = done.stdout.rpartition("LOADED")
    assert "Python" in report
    assert "psutil" in loaded
    assert not HEAVY & set(loaded.split())
