"""The sections of a report on what was answered: sample answers, and scores."""

from collections.abc import Iterator
from itertools import groupby

from trainer_core.history.made import predictions_of
from trainer_core.markdown import code, ends, shown, table
from trainer_core.report.story import Story
from trainer_core.runs.multi_run_events import Spread
from trainer_core.runs.multi_run_words import spread

# Answers of a prompt that are shown.
MOST_ANSWERS = 20


def samples(story: Story) -> list[str]:
    """The sample prompts with what was answered; an answer that stays the same stands once."""
    prompts = dict.fromkeys(one.prompt for event in story.samples for one in event.answers)
    if not prompts:
        return []
    rows = []
    for prompt in prompts:
        rows.append((prompt, "", ""))
        given = [("", when, said or "(nothing)") for when, said in _answers(story, prompt)]
        rows += ends(given, lambda left_out: ("", left_out, ""), MOST_ANSWERS)
    return ["## Sample answers", "", table(("prompt", "when", "answer"), rows)]


def _answers(story: Story, prompt: str) -> Iterator[tuple[str, str]]:
    """When something was answered, `before`, `step 20` or `steps 20 to 80`, and what."""
    given = [
        (event, one.answer)
        for event in story.samples
        for one in event.answers
        if one.prompt == prompt
    ]
    for (before, said), group in groupby(given, key=lambda one: (one[0].when == "before", one[1])):
        steps = [event.step for event, _ in group]
        many = f"steps {steps[0]:,} to {steps[-1]:,}" if len(steps) > 1 else f"step {steps[0]:,}"
        yield "before" if before else many, said


def scores(story: Story) -> list[str]:
    """The newest scores while training; those of every prediction of this run, and how they differ
    from those beside it."""
    lines: list[str] = []
    last = story.view.scored
    if last is not None:
        newest = [(name, spread(found)) for name, found in last.scores.items()]
        said = f"While training, at step {last.step:,}: {last.rows:,} rows of validation"
        lines += [said, "", table(("score", "value (95 %)"), newest), ""]
    for made in predictions_of(story.folder, story.unread):
        names = dict.fromkeys([*made.scores, *made.compared])
        if not names:
            continue
        heads = ["score", "value (95 %)"]
        rows = [[name, _spread(made.scores.get(name))] for name in names]
        if made.compared:
            heads.append(f"difference from {made.other_model}")
            rows = [[*row, _spread(made.compared.get(row[0]), "+")] for row in rows]
        many = f"{made.rows:,} row{'s' if made.rows != 1 else ''}"
        said = f"{made.model}, {many} ({made.asked})"
        lines += [f"{code(made.place)}: {shown(said)}", "", table(heads, rows), ""]
    return ["## Scores", "", *lines] if lines else []


def _spread(found: Spread | None, sign: str = "") -> str:
    return "" if found is None else spread(found, sign)
