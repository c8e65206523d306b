"""What `make audit` holds: pinned packages, and rules that find what they are for."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging.checkouts import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
RULES = ROOT / "audit" / "semgrep"
# torch's CPU build, from two indexes with different files (requirements/README.md).
UNPINNED = {"torch-cpu.txt"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_by_its_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==\S+", package), package
        assert lock.name in UNPINNED or "--hash=sha256:" in package, package


def test_every_rule_has_an_example_of_what_it_must_find() -> None:
    rules = set(re.findall(r"- id: (\S+)", (RULES / "ours.yaml").read_text()))
    examples = re.findall(r"# ruleid: (\S+)", (RULES / "ours.py").read_text())
    assert rules == set(examples)


def test_the_rules_find_their_examples() -> None:
    tools = ROOT / ".venv-audit" / "bin"
    if not (tools / "semgrep").exists():
        pytest.skip("`make audit` was not run here")
    done = subprocess.run(
        [tools / "semgrep", "--test", "--metrics", "off", "--quiet", RULES],
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
