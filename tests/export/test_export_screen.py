"""The dashboard exports a real run: what it said beforehand is what comes, checked."""

from pathlib import Path

import pytest

from tests.tui.test_export import go_to, row
from tests.tui.written_runs import screen_text, text_of, until
from trainer_core.runs.events import Finished
from trainer_core.runs.folder import RunFolder
from tui.app import BackpropApp
from tui.screens.export import ExportScreen

CHOSEN = ["adapter", "adapter-gguf", "merged", "gguf q4_k_m", "gguf q8_0", "gguf f16"]


async def test_several_formats_are_written_checked_and_as_large_as_was_said(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    app = BackpropApp(trained)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("5")
        for key in CHOSEN:
            await go_to(app, key)
            if "[ ]" in row(app, f"] {key}"):
                await pilot.press("space")
        screen = app.screen
        assert isinstance(screen, ExportScreen)
        said = {one.what: one.bytes for one in screen.session.estimates}
        assert sorted(said) == sorted(CHOSEN)
        await pilot.press("r")
        await until(lambda: screen.view.outcome is not None, "the end")
        assert isinstance(screen.view.outcome, Finished), screen.view.outcome
        await until(lambda: "6 written and checked" in text_of(app, "#ending"), "the sentence")
        for one in screen.view.written:
            assert one.check is not None
            assert one.check.passed
            assert one.size == pytest.approx(said[one.format], rel=0.05), one.format
        assert "it speaks like the trained model" in screen_text(app)
        await pilot.press("y")
        assert app.clipboard == screen.view.outcome.commands[0]  # of an adapter there are none
    app = BackpropApp(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await go_to(app, "export 1")
        await pilot.press("enter")
        await until(lambda: "6 written and checked" in text_of(app, "#ending"), "what was")


async def test_a_stop_leaves_nothing_half_written(trained: RunFolder) -> None:
    app = BackpropApp(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await go_to(app, "merged")
        await pilot.press("space", "r")
        screen = app.screen
        assert isinstance(screen, ExportScreen)
        await until(lambda: screen.is_followed_live, "the worker")
        await pilot.press("x")
        await until(lambda: "Stop this export?" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: "■ stopped" in text_of(app, "#ending"), "the end")
    left = {path.suffix for path in Path(trained.path / "exports" / "1").rglob("*")}
    assert not left & {".gguf", ".safetensors"}
