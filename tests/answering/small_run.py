"""A small real run, for whoever talks to what it trained: it knows answers by heart whose letters
have several bytes, or look like markup. Nothing is held out of it; `held-out.jsonl` lies beside it.
"""

import json
from pathlib import Path

from tests.end_to_end.real_runs import Cli, training

LLAMA, GREETING, MARKUP = "What is a llama?", "Say hello.", "What is [bold]?"
ANSWERS = {
    LLAMA: "Una llama 🦙 d'Ñuñoa.",
    GREETING: "こんにちは — ça va? 👍🏽",
    MARKUP: "[@click=app.quit]x[/] [/INST",
}
HELD_OUT = {"What is a hen?": "A bird.", "What is a hat\nmade of?": "[red]Felt."}


def train_small(folder: Path) -> Path:
    """Train it in `folder`, with a home of its own there; returns the run's folder."""
    cli = Cli(folder)
    for name, rows in (("train", ANSWERS), ("held-out", HELD_OUT)):
        pairs = [{"question": question, "answer": answer} for question, answer in rows.items()]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    data = [f"data.train=[{folder / 'train.jsonl'}]", "data.validation=[]"]
    settings = [
        *data,
        "data.split.fractions={train: 1.0}",
        "training.batch_size=3",
        "training.learning_rate=5e-3",
        "run.name=small",
    ]
    sets = [argument for one in settings for argument in ("--set", one)]
    run = folder / "run"
    cli.run(*training("--steps", "200", *sets), "--headless", "--output", str(run))
    return run
