"""Memory, cores and open files that are fewer than the machine has; full disks; closed folders."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hardware.doctor.laid_out import machine
from trainer_core.hardware.doctor import cores, disk, folders, limits, memory, power
from trainer_core.hardware.doctor.control_group import allowance
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.worker.platform import new_address

GIB = 1 << 30
RAM = psutil.virtual_memory().total
IN_A_GROUP = {"proc/self/cgroup": "0::/a/b\n"}


def test_memory_of_the_tightest_group_counts(tmp_path: Path) -> None:
    files = {
        **IN_A_GROUP,
        "sys/fs/cgroup/a/memory.max": f"{RAM // 4}\n",
        "sys/fs/cgroup/a/b/memory.max": f"{RAM // 2}\n",
        "sys/fs/cgroup/a/b/memory.high": "max\n",
    }
    assert allowance(machine(tmp_path, files)).memory == RAM // 4
    found = [one for one in memory.look(machine(tmp_path, files)) if "allowed" in one.text]
    assert [one.level for one in found] == ["warning"]


def test_version_1_of_control_groups(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n1:name=systemd:/x\n",
        "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1073741824\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n",
    }
    found = allowance(machine(tmp_path, files))
    assert (found.memory, found.cores) == (GIB, 1.5)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "rubbish\n0::/../../x\n"},
        {**IN_A_GROUP, "sys/fs/cgroup/a/b/memory.max": "max\n"},
        {**IN_A_GROUP, "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"},
        {**IN_A_GROUP, "sys/fs/cgroup/a/b/cpu.max": "5 0\n"},
        # Version 1 says "no limit" as a number beyond any machine.
        {
            "proc/self/cgroup": "4:memory:/\n3:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    ],
)
def test_no_limit_is_no_finding(tmp_path: Path, files: dict[str, str]) -> None:
    place = machine(tmp_path, files)
    assert (allowance(place).cores, allowance(place).memory) == (None, None)
    assert not any("control group" in one.text for one in [*memory.look(place), *cores.look(place)])


def test_inside_a_container_the_top_of_the_tree_is_ours(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/of/the/host\n", "sys/fs/cgroup/memory.max": "4096\n"}
    assert allowance(machine(tmp_path, files)).memory == 4096


def test_fewer_cores_than_threads_is_a_warning(tmp_path: Path) -> None:
    files = {**IN_A_GROUP, "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}
    *_, found = cores.look(machine(tmp_path, files))
    assert (found.level, found.command) == ("warning", "export OMP_NUM_THREADS=1")
    assert "0.5 of" in found.text


def test_shared_memory_that_is_missing_or_small(tmp_path: Path) -> None:
    if sys.platform == "linux":
        missing = [one for one in memory.look(machine(tmp_path, {})) if "missing" in one.text]
        assert [one.level for one in missing] == ["warning"]
    assert memory._shared(64 << 20).level == "warning"
    assert memory._shared(16 * GIB).level == "ok"


def test_little_ram_and_no_swap() -> None:
    assert memory._ram(16 * GIB, GIB).level == "warning"
    assert memory._swap(0, 0, 8 * GIB).level == "note"
    assert memory._swap(0, 0, 64 * GIB).level == "ok"
    assert memory._swap(8 * GIB, 7 * GIB, 64 * GIB).level == "note"


def test_a_disk_is_judged_by_what_goes_there() -> None:
    runs, models, *_ = disk.uses()
    assert disk.judge([runs, models], 100 * GIB, 200 * GIB).level == "ok"
    tight = disk.judge([runs, models], 7 * GIB, 200 * GIB)
    assert (tight.level, tight.command) == (
        "warning",
        "export HF_HOME=/place/with/room/huggingface",
    )
    assert "Only 7.0 GiB of 200.0 GiB" in tight.text
    assert "10.0 GiB or more" in tight.hint
    assert "--output" not in tight.hint
    full = disk.judge([runs, models], 1 << 20, 200 * GIB)
    assert full.level == "problem"
    assert "--output" in full.hint


def test_folders_that_are_on_one_disk_are_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (found,) = disk.look(Surroundings())
    assert "runs, models, the cache and temporary files" in found.text
    assert list(tmp_path.iterdir()) == []


def test_folders_are_tried_and_left_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _own_places(tmp_path, monkeypatch)
    assert {one.level for one in folders.look(Surroundings())} == {"ok"}
    assert list(home.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _own_places(tmp_path, monkeypatch)
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file" / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "file" / "state"))
    bad = {one.text.split(",")[0]: one for one in folders.look(Surroundings()) if one.hint}
    assert bad["The folder of the cache"].level == "problem"
    assert bad["The folder of the cache"].command == "export XDG_CACHE_HOME=/writable/place"
    assert bad["The folder of the list of runs"].level == "warning"


def test_a_runtime_folder_that_is_too_deep_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _own_places(tmp_path, monkeypatch)
    deep = home / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    found = next(iter(folders.look(Surroundings())))
    assert found.level == "warning"
    assert "too long for a socket" in found.text


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes need no folder")
@pytest.mark.parametrize("kind", ["runtime", "open to others", "none"])
def test_the_socket_goes_where_the_worker_puts_it(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if kind != "none":
        runtime = short_folder / "runtime"
        runtime.mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        if kind == "open to others":
            (runtime / "backprop").mkdir()
            (runtime / "backprop").chmod(0o777)
    found = next(iter(folders.look(Surroundings())))
    _, made = new_address()
    assert f"The worker's socket goes to {made.parent}" in found.text
    assert (found.level == "warning") is (kind == "open to others")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return home


def test_limits_of_the_shell() -> None:
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from trainer_core.hardware.doctor import limits\n"
        "from trainer_core.hardware.doctor.surroundings import Surroundings\n"
        "for one in limits.look(Surroundings()): print(one.level, one.text, one.command)\n"
    )
    lowered = 'ulimit -Sn 64; ulimit -Sv 8000000; exec "$0" -c "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", lowered, sys.executable, program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert "warning Only 64 files may be open at once" in done.stdout
    assert f"ulimit -n {4096 if hard < 0 else min(4096, hard)}" in done.stdout
    assert "warning The address space is limited to 7.6 GiB" in done.stdout


def test_a_core_file_that_a_program_takes_is_no_matter(tmp_path: Path) -> None:
    plain = machine(tmp_path, {"proc/sys/kernel/core_pattern": "core\n"})
    assert limits._core(-1, plain)[0].command == "ulimit -c 0"
    assert limits._core(0, plain) == []
    piped = machine(tmp_path, {"proc/sys/kernel/core_pattern": "|/usr/share/apport %p\n"})
    assert limits._core(-1, piped) == []


def test_locked_memory_matters_to_infiniband_only(tmp_path: Path) -> None:
    assert limits._locked(8 << 20, machine(tmp_path, {})) == []
    cards = machine(tmp_path, {"sys/class/infiniband/mlx5_0/x": ""})
    assert limits._locked(8 << 20, cards)[0].level == "warning"


@pytest.mark.skipif(sys.platform != "linux", reason="psutil reads these files on Linux only")
@pytest.mark.parametrize(("plugged", "level"), [("Discharging", "warning"), ("Charging", "note")])
def test_a_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugged: str, level: str
) -> None:
    battery = tmp_path / "supply" / "BAT0"
    battery.mkdir(parents=True)
    for name, text in {
        "energy_now": "40",
        "energy_full": "100",
        "power_now": "1",
        "capacity": "40",
        "status": plugged,
    }.items():
        (battery / name).write_text(text)
    monkeypatch.setattr("psutil._pslinux.POWER_SUPPLY_PATH", str(battery.parent))
    (found,) = power.look(machine(tmp_path, {}))
    assert found.level == level


def test_a_machine_that_sleeps_when_idle(tmp_path: Path) -> None:
    place = machine(tmp_path, {"etc/systemd/logind.conf": "[Login]\nIdleAction=suspend\n"})
    assert any("IdleAction=suspend" in one.text for one in power.look(place))
