"""Whether a file holds a secret that was not looked at: `python audit/find_secrets.py [--accept]`.

detect-secrets scans what git knows; what it finds must stand in known_secrets.json, by file and
hash. `--accept` puts it there, once somebody has looked at each.
"""

import json
import subprocess
import sys
from pathlib import Path

BASELINE = Path(__file__).with_name("known_secrets.json")
# Hashes that are published: of packages, and of the pre-tokenizers that llama.cpp knows.
PUBLIC = r"^requirements/.*|^trainer_core/export/gguf/fingerprints\.py$|^audit/known_secrets\.json$"
SCAN = [
    sys.executable,
    "-m",
    "detect_secrets",
    "scan",
    "--no-verify",
    "--exclude-files",
    PUBLIC,
]


def main(accept: bool) -> int:
    """Scan and compare; returns the exit status."""
    done = subprocess.run(SCAN, capture_output=True, check=True)
    found = {
        f"{path} {one['hashed_secret']}": f"{path}:{one['line_number']}: {one['type']}"
        for path, several in json.loads(done.stdout)["results"].items()
        for one in several
    }
    if accept:
        BASELINE.write_text(json.dumps(sorted(found), indent=1) + "\n")
    known = set(json.loads(BASELINE.read_text()))
    new = [place for key, place in found.items() if key not in known]
    print("\n".join(new) or f"secrets: {len(found)} places found, all looked at")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main("--accept" in sys.argv))
