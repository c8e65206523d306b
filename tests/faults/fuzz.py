"""Fuzzes one of the entries with atheris, which learns from the branches that are taken.

    python -m tests.faults.fuzz NAME [--runs 1000000]

NAME is one of entries.ENTRIES. Needs atheris, which is in no lock: pip install atheris.
"""

import sys
import tempfile


def main(arguments: list[str]) -> int:
    """Returns 2 where it cannot begin; atheris ends the process itself."""
    try:
        import atheris
    except ImportError:
        print("atheris is missing: pip install atheris", file=sys.stderr)
        return 2
    # What follows the branches: our own code, and what of others reads byte by byte in Python.
    with atheris.instrument_imports(include=["trainer_core", "yaml", "jinja2"]):
        from tests.faults.entries import ENTRIES, WORDS, attempt
    if not arguments or arguments[0] not in ENTRIES:
        print(f"name one of: {', '.join(ENTRIES)}", file=sys.stderr)
        return 2
    runs = arguments[arguments.index("--runs") + 1] if "--runs" in arguments else "1000000"
    options = [sys.argv[0], f"-runs={runs}", "-max_len=4096", "-timeout=5", "-rss_limit_mb=1024"]
    if arguments[0] in WORDS:
        with tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False) as words:
            for word in WORDS[arguments[0]]:
                words.write('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n')
        options.append(f"-dict={words.name}")
    atheris.Setup(options, lambda data: attempt(arguments[0], data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
