"""Configs of treinar_unsloth, of each of its generations, mean here what they meant there."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer_core.config.imports import Converted, tool_of
from trainer_core.config.load import LoadedConfig
from trainer_core.config.yaml_file import parse_yaml
from trainer_core.errors import UserError

Bring = Callable[[str], tuple[LoadedConfig, Converted]]
Refuse = Callable[[str], UserError]
AllSaid = Callable[[str, Converted], list[str]]

FLAT = """\
dataset_train_path: rows.jsonl
train_prompt_col: messages
dataset_eval_path: held_out.jsonl
eval_prompt_col: messages
base_model_name: base
output_dir: out
batch_size: 2
grad_batch_size: 5
num_train_epochs: 3
max_seq_length: 1024
eval_steps: 50
lora_r: 16
lora_dropout: 0
learning_rate: "2e-4"
save_checkpoints: "True"
resume_from_checkpoint: false
warmup_steps: 7
nbits: null
target_modules: [q_proj, v_proj]
"""

SECTIONS = """\
formatos:
  tipo_entrada: pastas
  formato_saida: texto
misc:
  log_level: debug
  env_chave_criptografia: CHAVE
pastas:
  predicao:
    pasta: saida
    mascara: .*\\.txt$
  entrada:
    pasta: entrada
    mascara: "*.txt"
    prompt_template: prompt.txt
    tag_texto: <<TEXTO>>
  divisao:
    arquivo: divisao.csv
    proporcao:
      - treino: 0.7
      - validação: "0.1"
      - teste: 0.2
    seed: 43
    validar_ids: true
  validacao:
    exigir_json_valido: true
    skip_invalidos: sim
dataset:
  train_file: ""
  eval_file: ""
  test_file: ""
  train_prompt_col: messages
  eval_prompt_col: ""
modelo:
  base: base
  saida: out
treinamento:
  eval_steps: 15%
  batch_size: 2
  grad_batch_size: "5"
  num_train_epochs: 2
  max_seq_length: 4096
  learning_rate: 2e-4
  warmup_steps: 5
  nbits: 4
  seed: 3407
  save_checkpoints: true
  resume_from_checkpoint: true
  train_on_responses_only: true
  weight_decay: 0.02
  optim: adamw_8bit
  lr_scheduler_type: cosine
lora:
  r: 8
  alpha: 32
  dropout: 0.05
  target_modules:
    - q_proj
    - k_proj
"""

BRIDGE = """\
formatos:
  tipo_entrada: pastas
  formato_saida: json
pastas:
  dataset:
    pasta: saida
    mascara: "*.txt"
  predicao:
    pasta: previsoes
  entrada:
    pasta: entrada
  divisao:
    - alias: etapa-1
      arquivo: divisao.csv
      tipo: lora
      pace_epochs: 3
      pace_epochs_max: 9
      pace_loss: 0.5
      max_seq_length: 512
      learning_rate: 1e-4
      batch_size: 4
      warmup_steps: 2
modelo:
  base_model_name: base
treinamento:
  epochs: 9
  learning_rate: 2e-4
  grad_batch_size: 2
  max_seq_length: 4096
lora:
  r: 8
"""

CURRICULUM = """\
misc:
  pastas_base:
    - /nowhere/at/all
    - .
  pastas_modelos: [modelos, .]
curriculum:
  saida:
    pasta: saida
    mascara: "*.txt"
    formato: texto
    texto_criptografado: false
  entrada:
    pasta: entrada
    mascara: "*.txt"
    prompt_template: prompt.txt
    tag_texto: <<TEXTO>>
    dataset_filtro: {fold: "!=12"}
    texto_criptografado: false
    prompt_criptografado: false
  predicao:
    pasta: previsoes
  validacao:
    exigir_json_valido: false
    exigir_ids_pareados: true
    skip_invalidos: false
  divisao:
    alias: etapa.1
    arquivo: divisao.csv
    proporcao: "0.7, 0.1, 0.2"
    seed: 7
    validar_ids: true
    tipo: full
    pace_epochs: 2
    pace_epochs_max: 5
    pace_loss: 0.3
    max_seq_length: 0
    learning_rate: 1e-5
    batch_size:
      efetivo: 16
      batch_size: 2
    warmup_steps: 0
    dataset_filtro: ""
    unfreeze_layers_from: 75%
    fusao: sim
modelo:
  base: base
  saida: out
  alias: ""
  ollama: meu-modelo
  ollama_base: qwen2.5
  ollama_url: http://localhost:11434
treinamento:
  batch_size: 1
  grad_batch_size: 3
  max_seq_length: 2048
  eval_global: true
  filtrar_max_seq_length: true
  save_checkpoints_qtd: 4
  max_grad_norm: 0.5
  flash_attention_2: true
  full_com_sdpa: true
  liger_kernel: true
  low_cpu_mem_usage: true
  nbits: 16
  optim: paged_adamw_32bit
  lr_scheduler_type: constant_with_warmup
lora:
  r: 8
"""
SAMPLES = [FLAT, SECTIONS, BRIDGE, CURRICULUM]
NAMES = ["flat", "sections", "bridge", "curriculum"]
PASTAS = "pastas: {entrada: {pasta: entrada}, predicao: {pasta: saida}}\nmodelo: {base: base}\n"


@pytest.mark.parametrize(("text", "name"), list(zip(SAMPLES, NAMES, strict=True)), ids=NAMES)
def test_each_generation_is_told_by_its_keys(text: str, name: str) -> None:
    assert tool_of(parse_yaml(text, "x").data) == f"treinar_unsloth ({name})"


def test_a_flat_file(bring: Bring, folder: Path) -> None:
    config = bring(FLAT)[0].config
    assert config.data.train[0].path == str(folder / "rows.jsonl")
    assert config.data.validation[0].path == str(folder / "held_out.jsonl")
    assert config.data.too_long == "truncate"  # as the tool did
    assert config.model.base == str(folder / "base")
    assert config.model.max_length == 1024
    assert config.model.quantization == "none"
    assert config.run.folder == str(folder / "out")
    training = config.training
    assert (training.batch_size, training.gradient_accumulation) == (2, 5)
    assert (training.epochs, training.eval_steps, training.warmup_steps) == (3, 50, 7)
    assert training.learning_rate == 2e-4
    assert training.method == "lora"
    lora = config.lora
    assert (lora.rank, lora.alpha, lora.dropout) == (16, 16, 0)  # alpha is the rank
    assert lora.targets == ["q_proj", "v_proj"]


def test_a_file_with_sections(bring: Bring, folder: Path) -> None:
    config = bring(SECTIONS)[0].config
    pairs = config.data.train[0].pairs
    assert pairs is not None
    assert pairs.inputs == str(folder / "entrada")
    assert pairs.answers == str(folder / "saida")  # predicao has the answers
    assert (pairs.input_mask, pairs.answer_mask) == ("*.txt", "*.txt")
    assert pairs.prompt == str(folder / "prompt.txt")
    assert pairs.placeholder == "<<TEXTO>>"
    assert config.data.train[0].encryption is not None
    assert config.data.train[0].encryption.key_env == "CHAVE"
    split = config.data.split
    assert split.file == str(folder / "divisao.csv")
    assert split.id == "id"
    assert split.fractions == {"train": 0.7, "validation": 0.1, "test": 0.2}
    assert split.seed == 43
    assert config.data.problems == "skip"
    assert config.logging.level == "DEBUG"
    assert config.run.folder == str(folder / "out")
    assert (config.model.max_length, config.model.quantization) == (4096, "4bit")
    training = config.training
    assert (training.batch_size, training.gradient_accumulation) == (2, 5)
    assert (training.epochs, training.warmup_steps, training.seed) == (2, 5, 3407)
    assert training.learning_rate == 2e-4
    assert training.weight_decay == 0.02
    assert (training.optimizer, training.scheduler) == ("adamw_8bit", "cosine")
    assert training.eval_steps == "auto"
    lora = config.lora
    assert (lora.rank, lora.alpha, lora.dropout) == (8, 32, 0.05)
    assert lora.targets == ["q_proj", "k_proj"]


def test_what_the_old_tool_ignored_is_said_to_take_effect(bring: Bring) -> None:
    notes = bring(SECTIONS)[1].notes
    for key, line in [
        ("treinamento.num_train_epochs", 40),
        ("treinamento.train_on_responses_only", 48),
        ("lora.dropout", 55),
        ("lora.target_modules", 56),
    ]:
        assert any(f":{line}: {key} was ignored" in note for note in notes), key


def test_a_file_of_the_bridge_has_its_answers_elsewhere(bring: Bring, folder: Path) -> None:
    loaded, converted = bring(BRIDGE)
    config = loaded.config
    pairs = config.data.train[0].pairs
    assert pairs is not None
    assert pairs.answers == str(folder / "saida")  # dataset, not predicao
    assert any("pastas.predicao.pasta is not supported" in note for note in converted.notes)
    assert config.run.name == "etapa-1"
    assert config.data.split.file == str(folder / "divisao.csv")
    training = config.training
    assert (training.method, training.epochs, training.batch_size) == ("lora", 3, 4)
    assert (training.gradient_accumulation, training.warmup_steps) == (2, 2)
    assert training.learning_rate == 1e-4
    assert config.model.max_length == 512
    for key in ("epochs", "learning_rate", "max_seq_length"):
        assert any(f"treinamento.{key} has no say" in note for note in converted.notes)


def test_a_file_with_a_curriculum(bring: Bring, folder: Path) -> None:
    config = bring(CURRICULUM)[0].config
    pairs = config.data.train[0].pairs
    assert pairs is not None
    assert (pairs.inputs, pairs.answers) == (str(folder / "entrada"), str(folder / "saida"))
    assert config.data.train[0].encryption is None
    assert (config.data.problems, config.data.too_long) == ("strict", "drop")
    assert config.data.split.fractions == {"train": 0.7, "validation": 0.1, "test": 0.2}
    assert config.data.split.seed == 7
    assert config.model.base == str(folder / "base")
    assert (config.model.max_length, config.model.attention) == (2048, "sdpa")
    assert config.model.quantization == "none"
    assert (config.run.name, config.run.folder) == ("etapa.1", str(folder / "out"))
    training = config.training
    assert (training.method, training.epochs) == ("full", 2)
    assert (training.batch_size, training.gradient_accumulation) == (2, 8)
    assert (training.warmup_steps, training.keep_checkpoints) == (0, 4)
    assert (training.learning_rate, training.max_grad_norm) == (1e-5, 0.5)
    assert (training.optimizer, training.scheduler) == ("paged_adamw", "constant")


@pytest.mark.parametrize("text", SAMPLES, ids=NAMES)
def test_no_key_is_dropped_in_silence(bring: Bring, all_said: AllSaid, text: str) -> None:
    assert all_said(text, bring(text)[1]) == []


WRONG = [
    (FLAT, "learning_rate", "fast"),
    (FLAT, "learning_rate", "-1"),
    (FLAT, "batch_size", "-1"),
    (FLAT, "lora_r", "-8"),
    (FLAT, "lora_r", "eight"),
    (FLAT, "nbits", "3"),
    (FLAT, "nbits", "four"),
    (FLAT, "base_model_name", "[a, b]"),
    (FLAT, "output_dir", "3"),
    (FLAT, "eval_steps", "-2"),
    (FLAT, "save_checkpoints", "maybe"),
    (FLAT, "max_seq_length", "2.5"),
    (SECTIONS, "tipo_entrada", "ambas"),
    (SECTIONS, "log_level", "loud"),
    (SECTIONS, "env_chave_criptografia", '"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="'),
    (SECTIONS, "proporcao", "[0.7, 0.2]"),
    (SECTIONS, "proporcao", "{treino: 0.7, teste: 0.2, validar: 0.1}"),
    (SECTIONS, "proporcao", "[0, 0.5, 0.5]"),
    (SECTIONS, "proporcao", "muito"),
    (SECTIONS, "validar_ids", "talvez"),
    (SECTIONS, "seed", "-1"),
    (SECTIONS, "num_train_epochs", ".nan"),
    (SECTIONS, "warmup_steps", "-5"),
    (SECTIONS, "weight_decay", "{}"),
    (SECTIONS, "optim", "adamw_8bits"),
    (SECTIONS, "lr_scheduler_type", "straight"),
    (SECTIONS, "dropout", "1.5"),
    (SECTIONS, "target_modules", "[1, 2]"),
    (BRIDGE, "tipo", "parcial"),
    (BRIDGE, "pace_epochs", "-1"),
    (CURRICULUM, "efetivo", "0"),
    (CURRICULUM, "efetivo", "many"),
    (CURRICULUM, "prompt_criptografado", "sim"),
    (CURRICULUM, "save_checkpoints_qtd", "-1"),
]


@pytest.mark.parametrize(("text", "key", "value"), WRONG)
def test_a_value_that_cannot_be_right_is_refused_at_its_line(
    refuse: Refuse, text: str, key: str, value: str
) -> None:
    before, found, after = re.split(rf"(\b{key}:.*(?:\n +- .*)*)", text, maxsplit=1)
    error = refuse(f"{before}{key}: {value}{after}")
    assert found
    lines = range(before.count("\n") + 1, before.count("\n") + 2 + len(value.splitlines()))
    assert int(error.where.rpartition(":")[2]) in lines, error
    assert error.exit_status == 2
    assert "c2VjcmV0" not in str(error)  # what may be a key is never shown


@pytest.mark.parametrize("rank", ["0", '"0"', "null", ""])
def test_no_rank_is_full_fine_tuning(bring: Bring, rank: str) -> None:
    for text, key in ((FLAT, "lora_r: 16"), (SECTIONS, "r: 8")):
        loaded, converted = bring(text.replace(key, f"{key.split(':')[0]}: {rank}"))
        config = loaded.config
        assert config.training.method == "full"
        assert config.model.quantization == "none"  # nbits: 4 cannot be with all weights
        assert config.lora.rank == "auto"
        assert any("all weights are trained" in note for note in converted.notes)


@pytest.mark.parametrize(
    ("bits", "quantization"),
    [("0", "none"), ("null", "none"), ("16", "none"), ("4", "4bit"), ('"8"', "8bit")],
)
def test_bits_of_the_base(bring: Bring, bits: str, quantization: str) -> None:
    config = bring(SECTIONS.replace("nbits: 4", f"nbits: {bits}"))[0].config
    assert config.model.quantization == quantization


@pytest.mark.parametrize("yes", ["true", '"true"', '"True"', "1", '"1"', "sim"])
@pytest.mark.parametrize("no", ["false", '"False"', "0", '"0"', "não", "nao"])
def test_words_for_yes_and_no(bring: Bring, yes: str, no: str) -> None:
    changed = SECTIONS.replace("skip_invalidos: sim", f"skip_invalidos: {yes}").replace(
        "save_checkpoints: true", f"save_checkpoints: {no}"
    )
    config = bring(changed)[0].config
    assert config.data.problems == "skip"
    assert config.training.remove_checkpoints  # a run always saves


@pytest.mark.parametrize(
    ("mask", "glob", "said"),
    [
        (r".*\.txt$", "*.txt", False),
        (r"^doc_.*\.txt$", "doc_*.txt", False),
        (r".*_v.\.json", "*_v?.json", False),
        ("*.md", "*.md", False),
        ("resumo.*", "resumo.*", False),
        (r"^[0-9]+\.txt$", r"^[0-9]+\.txt$", True),
        (r"\.txt$", r"\.txt$", True),
    ],
)
def test_masks_are_globs_or_simple_regular_expressions(
    bring: Bring, mask: str, glob: str, said: bool
) -> None:
    loaded, converted = bring(SECTIONS.replace(r"mascara: .*\.txt$", f"mascara: '{mask}'"))
    pairs = loaded.config.data.train[0].pairs
    assert pairs is not None
    assert pairs.answer_mask == glob
    assert any("regular expression" in note for note in converted.notes) is said


@pytest.mark.parametrize(
    "shares",
    [
        "[0.7, 0.1, 0.2]",
        '"0.7,0.1,0.2"',
        "{train: 0.7, validation: 0.1, test: 0.2}",
        "{treino: 70%, avaliação: 10%, teste: 20%}",
        "[{treino: 0.7}, {validacao: 0.1}, {teste: 0.2}]",
        '["0.7", "0.1", "0.2"]',
    ],
)
def test_shares_in_each_of_their_forms(bring: Bring, shares: str) -> None:
    text = f"{PASTAS}".replace("pastas: {", f"pastas: {{divisao: {{proporcao: {shares}}}, ")
    found = bring(text)[0].config.data.split.fractions
    assert found == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2})


def test_files_of_rows(bring: Bring, folder: Path) -> None:
    text = (
        "formatos: {tipo_entrada: dataset}\nmisc: {env_chave_criptografia: CHAVE}\n"
        "dataset: {train_file: rows.jsonl, eval_file: held_out.jsonl, test_file: t.txt, "
        "train_prompt_col: conversa, eval_prompt_col: texto}\n"
        "pastas: {entrada: {pasta: entrada}}\nmodelo: {base: base}\n"
    )
    loaded, converted = bring(text)
    data = loaded.config.data
    assert (data.train[0].path, data.train[0].columns) == (
        str(folder / "rows.jsonl"),
        {"messages": "conversa"},
    )
    assert data.train[0].encryption is not None
    assert data.train[0].encryption.columns == ["conversa"]
    assert data.validation[0].columns == {"text": "texto"}
    assert data.test[0].path == str(folder / "t.txt")
    assert data.test[0].columns == {}
    assert any("pastas is not used" in note for note in converted.notes)


@pytest.mark.parametrize("frame", ["dataframe: f.parquet", "dataframe: true, pasta: f.parquet"])
def test_inputs_in_a_parquet_file(bring: Bring, folder: Path, frame: str) -> None:
    text = PASTAS.replace("pasta: entrada", f"{frame}, dataframe_col: texto, dataframe_id: nome")
    pairs = bring(text)[0].config.data.train[0].pairs
    assert pairs is not None
    assert pairs.inputs == str(folder / "f.parquet")
    assert (pairs.input_column, pairs.id_column) == ("texto", "nome")


def test_inputs_and_answers_in_one_parquet_file(bring: Bring, refuse: Refuse, folder: Path) -> None:
    text = (
        "misc: {env_chave_criptografia: CHAVE}\n"
        "curriculum:\n  entrada: {dataframe: f.parquet, dataframe_col: laudo}\n"
        "  saida: {dataframe: f.parquet, dataframe_col: resumo, dataframe_id: nome, "
        "texto_criptografado: false}\n"
        "  divisao: {arquivo: d.csv}\nmodelo: {base: base}\n"
    )
    data = bring(text)[0].config.data
    assert data.train[0].path == str(folder / "f.parquet")
    assert data.train[0].columns == {"prompt": "laudo", "completion": "resumo"}
    assert data.train[0].encryption is not None
    assert data.train[0].encryption.columns == ["laudo"]
    assert data.split.id == "nome"
    other = refuse(text.replace("entrada: {dataframe: f", "entrada: {dataframe: other"))
    assert (other.where[-2:], "<id>.txt" in other.hint) == (":4", True)


def test_encryption_of_both_sides_or_of_none(bring: Bring, all_said: AllSaid) -> None:
    text = (
        "misc: {env_chave_criptografia: CHAVE}\n"
        "curriculum:\n  entrada: {pasta: entrada, texto_criptografado: IN}\n"
        "  saida: {pasta: saida, texto_criptografado: OUT}\nmodelo: {base: base}\n"
    )
    for inputs, answers, key in (
        ("true", "sim", "CHAVE"),
        ('""', '""', "CHAVE"),  # never learn what may be encrypted
        ("false", "0", None),
        ("true", "false", "CHAVE"),
    ):
        changed = text.replace("IN", inputs).replace("OUT", answers)
        loaded, converted = bring(changed)
        found = loaded.config.data.train[0].encryption
        assert (found and found.key_env) == key
        assert all_said(changed, converted) == []
        one_side = any("on for one side only" in note for note in converted.notes)
        assert one_side is (inputs == "true" and answers == "false")


def test_the_first_folder_that_exists_is_where_paths_start(bring: Bring, folder: Path) -> None:
    (folder / "dados").mkdir()
    (folder / "modelos" / "base").mkdir(parents=True)
    text = (
        "misc: {pastas_base: [nada, dados], pastas_modelos: modelos}\n"
        "curriculum: {entrada: {pasta: e}, saida: {pasta: /s}}\nmodelo: {base: base, saida: out}\n"
    )
    config = bring(text)[0].config
    pairs = config.data.train[0].pairs
    assert pairs is not None
    assert (pairs.inputs, pairs.answers) == (str(folder / "dados" / "e"), "/s")
    assert config.model.base == str(folder / "modelos" / "base")
    assert config.run.folder == str(folder / "modelos" / "out")
    assert bring(text.replace("base: base", "base: org/name"))[0].config.model.base == "org/name"


@pytest.mark.parametrize(
    ("batch", "size", "accumulation", "effective"),
    [
        ("{efetivo: 16, batch_size: 2}", 2, 8, "auto"),
        ("{efetivo: 16, batch_size: 3}", 3, 5, "auto"),  # round(16 / 3)
        ("{efetivo: 1, batch_size: 4}", 4, 1, "auto"),
        ("{efetivo: 16}", "auto", "auto", 16),
        ("{batch_size: 2}", 2, 4, "auto"),
        ("2", 2, 4, "auto"),
    ],
)
def test_an_effective_batch(
    bring: Bring, batch: str, size: object, accumulation: object, effective: object
) -> None:
    text = f"{PASTAS}treinamento: {{grad_batch_size: 4, batch_size: {batch}}}\n"
    loaded, converted = bring(text)
    training = loaded.config.training
    assert training.batch_size == size
    assert training.gradient_accumulation == accumulation
    assert training.effective_batch == effective
    if "efetivo" in batch:
        assert any("grad_batch_size has no say" in note for note in converted.notes)


def test_several_stages_train_one_after_the_other_on_the_same_rows(bring: Bring) -> None:
    more = """\
    - alias: etapa-2
      arquivo: divisao.csv
      tipo: lora
      pace_epochs: 2
      pace_epochs_max: 5
      pace_loss: 0.5
      max_seq_length: 256
      learning_rate: 5e-5
      batch_size: 8
    - arquivo: outra.csv
      tipo: full
      pace_epochs: 1
      unfreeze_layers_from: 75%
modelo:"""
    loaded, converted = bring(BRIDGE.replace("modelo:", more))
    config = loaded.config
    first, second, third = config.multi_run.stages
    assert (first.name, first.epochs, first.learning_rate) == ("etapa-1", 9, 1e-4)
    assert (first.max_length, first.warmup_steps, first.target_loss) == (512, 2, 0.5)
    assert (second.name, second.epochs, second.target_loss) == ("etapa-2", 5, 0.5)
    assert (second.max_length, second.learning_rate) == (256, 5e-5)
    assert (third.epochs, third.max_length) == (1, 4096)
    assert all(stage.sources == [1] for stage in config.multi_run.stages)
    assert (config.training.method, config.training.batch_size) == ("lora", 4)
    # What no stage said is as in `treinamento`.
    assert (config.training.epochs, config.model.max_length) == (9, 4096)
    said = " ".join(converted.notes)
    assert "pastas.divisao.1.pace_epochs has no say, since the stage ends at pace_loss" in said
    for key in ("1.batch_size", "2.arquivo", "2.tipo"):
        assert f"pastas.divisao.{key} is not supported: all stages have that of the first" in said
    assert "pastas.divisao.2.unfreeze_layers_from is not supported: an adapter" in said


@pytest.mark.parametrize(
    ("usual", "second", "lengths", "longest"),
    [
        (256, None, [512, 256], 512),
        (256, 1024, [512, 1024], 1024),
        (0, None, [512, None], 512),
        (None, 128, [512, 128], 512),
    ],
)
def test_no_stage_is_cut_at_the_length_of_another(
    bring: Bring, usual: int | None, second: int | None, lengths: list[int | None], longest: int
) -> None:
    of_all = "" if usual is None else f"  max_seq_length: {usual}\n"
    more = "" if second is None else f"      max_seq_length: {second}\n"
    text = BRIDGE.replace("  max_seq_length: 4096\n", of_all)
    text = text.replace("modelo:", f"    - alias: etapa-2\n      pace_epochs: 1\n{more}modelo:")
    config = bring(text)[0].config
    assert [stage.max_length for stage in config.multi_run.stages] == lengths
    assert (config.model.max_length, config.data.too_long) == (longest, "truncate")


def test_a_stage_that_ends_at_a_loss(bring: Bring) -> None:
    config = bring(CURRICULUM)[0].config
    (stage,) = config.multi_run.stages
    assert (stage.target_loss, stage.epochs, stage.sources) == (0.3, 5, [1])
    assert config.training.epochs == 2


def test_old_keys_beside_a_curriculum_are_named(bring: Bring) -> None:
    converted = bring(
        "pastas: {predicao: {pasta: x}}\n"
        "curriculum: {entrada: {pasta: e}, saida: {pasta: s}}\nmodelo: {base: base}\n"
    )[1]
    assert converted.tool == "treinar_unsloth (curriculum)"
    assert any("pastas is not used" in note for note in converted.notes)


def test_a_slip_of_the_pen_is_named_with_the_nearest_key(bring: Bring) -> None:
    notes = bring(SECTIONS.replace("weight_decay:", "weigth_decay:"))[1].notes
    assert any(
        ":49: treinamento.weigth_decay" in note and "did you mean treinamento.weight_decay?" in note
        for note in notes
    )


def test_what_the_file_leaves_to_the_tool_is_said(bring: Bring) -> None:
    notes = bring(PASTAS)[1].notes
    assert "treinamento.num_train_epochs 1, treinamento.learning_rate 2e-4" in notes[-1]
    given = bring(PASTAS + "treinamento: {num_train_epochs: 1, max_seq_length: 0}\n")[1].notes[-1]
    assert "num_train_epochs" not in given
    assert "max_seq_length" not in given


def test_a_share_of_an_epoch_is_no_number_of_steps(bring: Bring) -> None:
    for steps, found in (("15%", "auto"), ("0.15", "auto"), ("20", 20), ('"20"', 20)):
        loaded, converted = bring(SECTIONS.replace("eval_steps: 15%", f"eval_steps: {steps}"))
        assert loaded.config.training.eval_steps == found
        said = any("treinamento.eval_steps is" in note for note in converted.notes)
        assert said is (found == "auto")


def test_a_key_said_twice_in_two_ways_is_refused(refuse: Refuse) -> None:
    error = refuse(SECTIONS.replace("num_train_epochs: 2", "num_train_epochs: 2\n  epochs: 3"))
    assert (error.where[-3:], "training.epochs" in str(error)) == (":41", True)


@pytest.mark.parametrize("text", SAMPLES, ids=NAMES)
def test_whatever_a_key_says_it_is_taken_over_or_named(
    all_said_or_refused: Callable[[str], bool], text: str
) -> None:
    lines = text.splitlines()
    right = []
    for number, line in enumerate(lines):
        if key := re.match(r"[ -]*\w+:(?= )", line):
            for value in ("true", "0", "2", "some-word", "{a: 1}"):
                changed = [*lines[:number], f"{key[0]} {value}", *lines[number + 1 :]]
                right.append(all_said_or_refused("\n".join(changed)))
    assert len(right) > sum(right) > len(right) / 5
