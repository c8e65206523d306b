"""Fuzzes one of the entries with atheris, which learns from the branches that are taken.

    python -m tests.faults.fuzz NAME [--runs 1000000]

NAME is one of entries.ENTRIES. Needs atheris, which is in no lock: pip install atheris.
"""

import sys


def main(arguments: list[str]) -> int:
    """Returns 2 where it cannot begin; atheris ends the process itself."""
    try:
        import atheris
    except ImportError:
        print("atheris is missing: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["trainer_core"]):
        from tests.faults.entries import ENTRIES, attempt
    if not arguments or arguments[0] not in ENTRIES:
        print(f"name one of: {', '.join(ENTRIES)}", file=sys.stderr)
        return 2
    runs = arguments[arguments.index("--runs") + 1] if "--runs" in arguments else "1000000"
    options = [sys.argv[0], f"-runs={runs}", "-max_len=4096", "-timeout=5", "-rss_limit_mb=1024"]
    atheris.Setup(options, lambda data: attempt(arguments[0], data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
