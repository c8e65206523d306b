"""What was trained is asked, scored, saved, loaded again and gone on with."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.python.conftest import SMALL
from trainer_core import EvalResult, Trainer
from trainer_core.errors import UserError
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.prepare import prepare

PROMPTS = [
    "What is the opposite of innocent?",
    [{"role": "user", "content": "Hi"}],
    "What is the plural of city? Say it in one short sentence, please, and nothing more.",
    "What do you call a baby pig?",
]


def test_answers_do_not_depend_on_their_batch(trained: Trainer) -> None:
    together = trained.predict(PROMPTS, max_tokens=16)
    alone = [trained.predict(prompt, max_tokens=16) for prompt in PROMPTS]
    assert [one.answer for one in together] == [one.answer for one in alone]
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert [one.prompt for one in together] == PROMPTS
    assert all(0 < one.tokens <= 16 and one.seconds > 0 for one in together)
    assert {one.ended for one in together} <= {"itself", "length"}
    assert trained.predict([], max_tokens=16) == []


def test_what_is_drawn_depends_on_the_seed_alone(trained: Trainer) -> None:
    def drawn(prompts: list[str], seed: int) -> list[str]:
        found = trained.predict(prompts, max_tokens=12, temperature=2.0, top_p=0.95, seed=seed)
        return [one.answer for one in found]

    prompt = "What is a hen?"
    first = drawn([prompt, prompt], seed=1)
    assert first == drawn([prompt, prompt], seed=1)
    assert first[0] != first[1]  # each place has luck of its own
    assert drawn([prompt], seed=1) == first[:1]
    assert drawn([prompt, prompt], seed=2) != first
    least = trained.predict(prompt, max_tokens=12, temperature=1.0, top_p=1e-6)
    assert least.answer == trained.predict(prompt, max_tokens=12).answer


def test_the_base_is_there_beside_what_was_trained(trained: Trainer, demo: Path) -> None:
    untrained = Trainer(demo / "base", backend="transformers")
    base = trained.predict(PROMPTS[0], max_tokens=16, base=True)
    assert base.answer == untrained.predict(PROMPTS[0], max_tokens=16).answer
    assert base.answer != trained.predict(PROMPTS[0], max_tokens=16).answer
    assert trained.predict(PROMPTS[0], max_tokens=16, checkpoint="step-6").tokens > 0
    with pytest.raises(UserError, match=r"has no step-7\. There are: best, last, step-12, step-6"):
        trained.predict(PROMPTS[0], checkpoint="step-7")


def test_what_cannot_be_answered_is_said(trained: Trainer) -> None:
    with pytest.raises(UserError, match="context is 512"):
        trained.predict("word " * 600)
    with pytest.raises(UserError, match="a prompt is int"):
        trained.predict([1, 2])  # type: ignore[list-item]
    with pytest.raises(UserError, match="top_p is 0"):
        trained.predict("Hi", top_p=0)
    with pytest.raises(UserError, match="max_tokens is 0"):
        trained.predict("Hi", max_tokens=0)


def test_evaluate_is_the_loss_of_the_trained_tokens(
    trained: Trainer, rows: Path, demo: Path
) -> None:
    held_out = trained.evaluate()
    assert isinstance(held_out, EvalResult)
    examples = prepare(
        trained_config(trained).data, EncoderSetup(demo / "base", None, "demo", "all"), 512, 0
    ).splits["validation"]
    assert held_out.examples == len(examples) == 12
    assert held_out.tokens == examples.trained_tokens
    assert held_out == trained.evaluate(rows / "held_out.jsonl")  # the same rows under their name
    before = trained.evaluate(base=True)
    assert before.loss > 1.5 * held_out.loss
    assert before.accuracy < held_out.accuracy
    assert held_out.perplexity == pytest.approx(2.718281828**held_out.loss)
    assert trained.evaluate(split="train").examples == 80
    with pytest.raises(UserError, match=r"has no rows for test\. There are: train, validation"):
        trained.evaluate(split="test")
    with pytest.raises(UserError, match="no split is called 'valid'"):
        trained.evaluate(split="valid")  # type: ignore[arg-type]


def alike(one: EvalResult, other: EvalResult) -> bool:
    """The same but for what batches of another size round."""
    same = (one.examples, one.tokens) == (other.examples, other.tokens)
    return same and other.loss == pytest.approx(one.loss, rel=1e-5)


def trained_config(trainer: Trainer):
    from trainer_core.planning.resolved_file import read_resolved

    resolved = read_resolved(trainer.result.folder / "resolved.yaml")
    assert resolved is not None
    return resolved.config


def test_it_is_loaded_again_from_its_run_or_what_was_saved(
    trained: Trainer, rows: Path, demo: Path
) -> None:
    said = trained.predict(PROMPTS[0], max_tokens=16, checkpoint="last").answer
    saved = trained.save("saved")
    assert (saved / "tokenizer.json").is_file()
    with pytest.raises(UserError, match="saved is not empty"):
        trained.save("saved")
    from_run = Trainer.load(trained.result.folder)
    from_adapter = Trainer.load(saved, backend="transformers")
    assert from_run.predict(PROMPTS[0], max_tokens=16, checkpoint="last").answer == said
    assert from_adapter.predict(PROMPTS[0], max_tokens=16).answer == said
    score = trained.evaluate(checkpoint="last")
    assert from_run.evaluate(checkpoint="last") == score
    assert alike(from_adapter.evaluate(rows / "held_out.jsonl"), score)
    assert from_adapter.save("copied").joinpath("adapter_model.safetensors").is_file()
    with pytest.raises(UserError, match="there are no runs yet"):
        Trainer.load("nothing")


def test_training_goes_on_from_what_was_trained(trained: Trainer) -> None:
    loaded = Trainer.load(trained.result.folder, checkpoint="last")
    result = loaded.train(steps=2)
    # The run's own settings, its rank and its rows; and its loss, not the base's.
    assert json.loads((result.adapter / "adapter_config.json").read_text())["r"] == 4
    assert result.first_loss < 0.8 * trained.result.first_loss
    assert result.folder != trained.result.folder
    assert loaded.result is result
    assert loaded.evaluate().loss != trained.evaluate().loss


def test_nothing_is_trained_yet(demo: Path) -> None:
    trainer = Trainer(demo / "base")
    assert trainer.result is None
    for call in (trainer.export, lambda: trainer.save("out"), trainer.undo_last_merge):
        with pytest.raises(UserError):
            call()
    with pytest.raises(UserError, match="no data is named"):
        trainer.evaluate()


def test_a_full_fine_tuning_is_loaded_as_a_whole(demo: Path, rows: Path) -> None:
    small = {**SMALL, "method": "full", "lora_r": None, "learning_rate": 1e-3}
    trainer = Trainer(demo / "base", **small)
    trainer.train(rows / "train.jsonl", steps=3, output="whole")
    said = trainer.predict(PROMPTS[0], max_tokens=12, checkpoint="last")
    before = trainer.predict(PROMPTS[0], max_tokens=12, base=True)
    assert before.answer == Trainer(demo / "base").predict(PROMPTS[0], max_tokens=12).answer
    model = Trainer.load(trainer.save("model"))
    assert model.predict(PROMPTS[0], max_tokens=12).answer == said.answer
    scores = [one.evaluate(rows / "held_out.jsonl", checkpoint="last") for one in (trainer, model)]
    assert alike(*scores)


def test_an_adapter_that_began_in_the_base_is_used_as_it_was_trained(
    demo: Path, rows: Path
) -> None:
    trainer = Trainer(demo / "base", init_lora_weights="pissa", **SMALL)
    trainer.train(rows / "train.jsonl", steps=4, output="pissa", save_steps=2)
    scores = [trainer.evaluate(checkpoint=name) for name in ("last", "step-4")]
    assert scores[0].loss == pytest.approx(scores[1].loss, rel=1e-4)
    assert scores[0].loss < 0.8 * trainer.evaluate(base=True).loss
