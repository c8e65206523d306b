"""What ships as presets and recipes loads, and what it says of itself is true."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.load import leaves, load_config
from trainer_core.config.presets import Preset, load_preset, shipped_presets
from trainer_core.config.shipped import shipped
from trainer_core.planning.backend import require_supported

CONFIGS = shipped("configs")
SCRIPT = runpy.run_path(str(CONFIGS.parent / "scripts" / "presets.py"))
MODELS = {preset.name: preset for preset in SCRIPT["presets"]("models")}
RECIPES = {preset.name: preset for preset in SCRIPT["presets"]("recipes")}
BOTH = {**MODELS, **RECIPES}

# What the makers' own files hold, counted in their safetensors (a tied head once).
PARAMETERS = {
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 4_300_079_472,
    "gemma-3-12b": 12_187_325_040,
    "gemma-3-27b": 27_432_406_640,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mistral-7b": 7_248_023_552,
    "phi-4": 14_659_507_200,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
}
FACTS = {
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "tie_word_embeddings",
    "max_position_embeddings",
}
# The cards that people are used to hear for training in 4 bits.
PROMISED = {
    "qwen2.5-7b": 12,
    "qwen2.5-3b": 8,
    "llama-3.2-3b": 8,
    "llama-3.2-1b": 8,
    "mistral-7b": 12,
}


def value_at(data: dict[str, Any], name: str) -> Any:
    for key in name.split("."):
        data = data[key]
    return data


def test_all_are_there_and_named_in_lower_case() -> None:
    assert set(MODELS) == set(PARAMETERS)
    assert set(shipped_presets()) == {*BOTH, "demo"}
    assert not set(MODELS) & set(RECIPES)
    assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", name) for name in BOTH)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_model_goes_with_every_recipe(model: str, recipe: str) -> None:
    for names in ([model, recipe], [recipe, model]):
        loaded = load_config(None, [f"preset=[{', '.join(names)}]", "data.train=rows.jsonl"])
        assert loaded.config.model.base == MODELS[model].base
        assert loaded.facts == MODELS[model].facts
        for name in leaves(RECIPES[recipe].data):
            assert loaded.from_presets[name] == recipe


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_leaves_room_for_what_the_user_says(recipe: str) -> None:
    """It names neither model nor data, and nothing that a common flag would contradict."""
    fields = leaves(RECIPES[recipe].data)
    assert not {"model.base", "data.train", "data.validation", "run.name"} & set(fields)
    for given in ("training.steps=100", "training.epochs=2", "training.effective_batch=16"):
        preset = f"preset=[qwen3-4b, {recipe}]"
        load_config(None, [preset, "data.train=rows.jsonl", "data.validation=v.jsonl", given])


@pytest.mark.parametrize("preset", BOTH.values(), ids=BOTH)
def test_nothing_is_set_to_what_it_is_anyway(preset: Preset) -> None:
    plain = load_config(None, ["model.base=owner/name", "data.train=rows.jsonl"])
    usual = plain.config.model_dump()
    for name in leaves(preset.data):
        assert value_at(preset.data, name) != value_at(usual, name), name


@pytest.mark.parametrize("preset", BOTH.values(), ids=BOTH)
def test_each_says_what_it_is_for(preset: Preset) -> None:
    of_model = {"title", "memory", "speed", "quality", "licence"}
    assert set(preset.about) == (of_model if preset.name in MODELS else {"title", "for", "with"})
    for said in preset.about.values():
        assert said.strip()
        assert len(said) < 220
    comment = Path(preset.file.path).read_text(encoding="utf-8")
    assert comment.startswith("# ")
    assert max(map(len, comment.splitlines())) <= 100


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_setting_of_a_recipe_has_its_reason(recipe: Preset) -> None:
    lines = Path(recipe.file.path).read_text(encoding="utf-8").splitlines()
    for name in leaves(recipe.data):
        line = lines[recipe.file.lines[tuple(name.split("."))] - 1]
        if name != "training.sample_tokens":
            assert " # " in line, name


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_recipe_shows_can_be_typed(recipe: str, tmp_path: Path) -> None:
    text = Path(RECIPES[recipe].file.path).read_text(encoding="utf-8")
    shown = [line[4:] for line in text.splitlines() if line.startswith("#   ")]
    command, *config = shown
    model, second = re.findall(r"--preset (\S+)", command)
    assert command.startswith("backprop train ")
    assert model in MODELS
    assert second == recipe
    (tmp_path / "run.yaml").write_text("\n".join(config), encoding="utf-8")
    assert load_config(tmp_path / "run.yaml").config.model.base == MODELS[model].base


@pytest.mark.parametrize("name", MODELS)
def test_a_models_sizes_are_those_of_its_maker(name: str) -> None:
    facts = MODELS[name].facts
    assert set(facts) >= FACTS
    assert set(facts) - FACTS <= {"sliding_window", "other_parameters"}
    stated = SCRIPT["shape_of"](MODELS[name]).parameters  # norms are counted approximately
    assert stated == pytest.approx(PARAMETERS[name], rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_named_as_on_the_hub(name: str) -> None:
    base = MODELS[name].base or ""
    assert re.fullmatch(r"[\w-]+/[\w.-]+", base)
    # The preset's name is in the repository's, but for words such as Instruct and v0.3.
    assert name.removesuffix("-7b") in base.lower()
    if base.startswith("unsloth/"):
        text = Path(MODELS[name].file.path).read_text(encoding="utf-8")
        assert "Unsloth's open copy" in text.replace("\n# ", " ")


@pytest.mark.parametrize("name", MODELS)
def test_the_stated_memory_is_the_estimate(name: str) -> None:
    said = MODELS[name].about["memory"]
    parts = re.findall(r"([\d.]+) GB \((?:an? (\d+) GB card|more than one 80 GB card)\)", said)
    assert len(parts) == 2
    for (needed, card), quantization in zip(parts, ("4bit", "none"), strict=True):
        estimated = SCRIPT["memory"](MODELS[name], quantization)
        assert float(needed) == pytest.approx(estimated, rel=0.1), "run scripts/presets.py"
        assert SCRIPT["card"](float(needed)) == (int(card) if card else None)


@pytest.mark.parametrize("name", PROMISED)
def test_in_4_bits_a_model_fits_the_card_that_people_expect(name: str) -> None:
    assert SCRIPT["card"](SCRIPT["memory"](MODELS[name], "4bit")) <= PROMISED[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_stated_speed_is_scaled_from_what_was_published(name: str) -> None:
    said = re.search(r"([\d,]+) tokens a second", MODELS[name].about["speed"])
    assert said is not None
    stated = float(said[1].replace(",", ""))
    assert stated == pytest.approx(SCRIPT["speed"](MODELS[name]), rel=0.06)


def test_recipes_fit_the_models_that_they_name() -> None:
    context = RECIPES["long-context"].data["model"]["max_length"]
    assert all(context <= m.facts["max_position_embeddings"] for m in MODELS.values())
    fitting = {n for n, m in MODELS.items() if SCRIPT["card"](SCRIPT["memory"](m, "4bit")) == 8}
    assert fitting == {name for name, size in PARAMETERS.items() if size < 9e9}
    assert "7B and 8B" in RECIPES["8gb-card"].about["with"]
    for recipe in RECIPES.values():
        named = re.findall(r"[a-z]+[\d.]*(?:-[\d.]+)*-[\d.]+b\b", recipe.about["with"])
        assert set(named) <= set(MODELS)


@pytest.mark.parametrize("backend", ["unsloth", "transformers"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_asks_for_nothing_that_only_one_backend_has(recipe: str, backend: str) -> None:
    preset, given = (
        f"preset=[qwen3-4b, {recipe}]",
        [f"model.backend={backend}", "data.train=r.jsonl"],
    )
    config = load_config(None, [preset, *given]).config
    require_supported(config, gpu=True)
    if recipe != "8gb-card":
        require_supported(config, gpu=False)


def test_the_tables_are_what_the_files_say() -> None:
    readme = (CONFIGS / "README.md").read_text(encoding="utf-8")
    for table in (SCRIPT["models_table"](), SCRIPT["recipes_table"]()):
        assert table in readme, "run scripts/presets.py"


def test_a_preset_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("model:\n  base: base\ntraining:\n  seed: 5\n", encoding="utf-8")
    (tmp_path / "base").mkdir()
    (tmp_path / "run.yaml").write_text("preset: [chat, ./mine.yaml]\ndata: {train: r.jsonl}\n")
    config = load_config(tmp_path / "run.yaml").config
    assert config.model.base == str(tmp_path / "base")
    assert config.training.seed == 5
    assert config.data.duplicates == "drop"
    assert load_preset(str(own)).about == {}
