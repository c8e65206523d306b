"""A machine laid out in a folder: files of /etc, /proc and /sys, and installed packages."""

from pathlib import Path

from trainer_core.hardware.doctor.driver import Driver
from trainer_core.hardware.doctor.surroundings import Surroundings

NO_GPU = Driver(error=12, words="NVML Shared Library Not Found")


def machine(folder: Path, files: dict[str, str], driver: Driver = NO_GPU) -> Surroundings:
    """A machine with these files, and with the packages that `install` has put into it."""
    root = folder / "root"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Surroundings(root, [str(packages_of(folder))], driver)


def install(
    folder: Path, name: str, version: str, requires: tuple[str, ...] = (), extras: str = ""
) -> None:
    """Put the metadata of a package where pip puts them."""
    target = packages_of(folder) / f"{name.replace('-', '_')}-{version}.dist-info"
    target.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras.split()]
    lines += [f"Requires-Dist: {one}" for one in requires]
    (target / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")


def packages_of(folder: Path) -> Path:
    """The site-packages of a laid-out machine."""
    return folder / "site-packages"
