"""`backprop export` as a person calls it: a real run, real workers, everything really loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.end_to_end.real_runs import DEMO, Cli, events, job_of, training, wait_for
from tests.export.hub_here import TOKEN, HubHere
from tests.export.ollama.ollama_here import OllamaHere

STEPS = 30


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the demo's model, with the home it was made in."""
    cli = Cli(tmp_path_factory.mktemp("trained"))
    arguments = training("--steps", str(STEPS), "--set", "run.name=tiny")
    cli.run(*arguments, "--headless", "--output", str(cli.folder / "run"))
    return cli.folder


@pytest.fixture
def run(trained_once: Path, cli: Cli) -> Path:
    """A copy of that run in the home of this test."""
    shutil.copytree(trained_once / "run", cli.folder / "run")
    shutil.copytree(trained_once / "cache", cli.folder / "cache")
    return cli.folder / "run"


def check_of(folder: Path) -> dict[str, Any]:
    """check.json"""
    found: dict[str, Any] = json.loads((folder / "check.json").read_text())
    return found


@pytest.fixture(scope="module")
def exported_once(trained_once: Path) -> tuple[Path, str]:
    """Everything that can be made of the run, and what was printed; not to be written to."""
    cli = Cli(trained_once)
    done = cli.run(
        *("export", "run", "--format", "adapter,adapter-gguf,merged,gguf,onnx"),
        *("--quantization", "f16,q8_0", "-q", "q4_k_m", "--output", "all"),
    )
    return trained_once / "all", done.stdout


@pytest.fixture
def merged(exported_once: tuple[Path, str], cli: Cli) -> Path:
    """A copy of the merged folder."""
    shutil.copytree(exported_once[0] / "merged", cli.folder / "merged")
    return cli.folder / "merged"


def test_all_formats_are_written_checked_and_described(exported_once: tuple[Path, str]) -> None:
    place, said = exported_once
    made = ["adapter", "tiny-lora-F16.gguf", "merged", "tiny-F16.gguf", "tiny-Q8_0.gguf"]
    made += ["tiny-Q4_K_M.gguf", "onnx"]
    found = check_of(place)
    assert list(found["artefacts"]) == made
    for name, check in found["artefacts"].items():
        assert (place / name).exists()
        assert check["passed"], name
        strings, mean, *_ = check["measures"]
        assert strings["value"] == strings["limit"] == found["strings"] > 50
        assert 0 <= mean["value"] <= mean["limit"]
        assert check["spoken"][0]["trained"]
    # What is exact speaks exactly the same.
    exact = found["artefacts"]["tiny-F16.gguf"]["spoken"]
    assert [one["exported"] for one in exact] == [one["trained"] for one in exact]
    assert "validation" in found["prompts"]
    assert "7 written and checked" in said
    assert f"ollama create tiny -f {place / 'Modelfile'}" in said
    assert "FROM ./tiny-F16.gguf" in (place / "Modelfile").read_text()
    assert all(name.replace("_", r"\_") in (place / "README.md").read_text() for name in made)
    assert not (place / ".partial").exists()


def test_a_gguf_goes_on_as_transformers_does(cli: Cli, run: Path) -> None:
    """An export in 32 bits, asked by nobody of ours but llama.cpp's own Python class."""
    cli.run("export", str(run), "-f", "gguf", "-q", "f32", "--output", str(cli.folder / "out"))
    from llama_cpp import Llama
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(DEMO / "base", dtype="float32")
    model.load_adapter(str(run / "adapter" / "best"))
    tokenizer = AutoTokenizer.from_pretrained(run / "adapter" / "best")
    messages = [{"role": "user", "content": "What is the opposite of hot?"}]
    asked = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    expected = model.generate(**asked, max_new_tokens=20, do_sample=False)[0]
    text = tokenizer.decode(expected[asked["input_ids"].shape[1] :], skip_special_tokens=True)
    llama = Llama(str(cli.folder / "out" / "tiny-F32.gguf"), n_ctx=256, verbose=False)
    answer = llama.create_chat_completion(messages, temperature=0.0, max_tokens=20)
    assert answer["choices"][0]["message"]["content"].strip() == text.strip()
    llama.close()


def test_an_export_that_speaks_otherwise_is_an_error_that_names_what(cli: Cli, run: Path) -> None:
    # A type for ternary weights spoils every other model.
    done = cli.run("export", str(run), "-f", "gguf", "-q", "f16,tq2_0", status=1)
    place = run / "exports" / "1"
    assert "tiny-TQ2_0.gguf does not speak like the trained model: divergence" in done.stderr
    assert "FAIL divergence in nats, mean" in done.stdout
    assert not (place / "tiny-TQ2_0.gguf").exists()
    assert (place / "failed" / "tiny-TQ2_0.gguf").exists()
    assert (place / "tiny-F16.gguf").exists()
    assert check_of(place)["artefacts"]["failed/tiny-TQ2_0.gguf"]["passed"] is False
    assert "TQ2" not in (place / "README.md").read_text()


def test_what_was_not_checked_says_so(cli: Cli, run: Path) -> None:
    done = cli.run("export", str(run), "-f", "merged", "--no-check")
    place = run / "exports" / "1"
    assert "NOT checked" in done.stdout
    assert check_of(place)["checked"] is False
    assert check_of(place)["artefacts"] == {"merged": None}
    assert "not checked" in (place / "README.md").read_text().lower()


def test_an_adapter_alone_can_be_exported(cli: Cli, run: Path) -> None:
    shutil.copytree(run / "adapter" / "last", cli.folder / "mine")
    cli.run("export", "./mine", "-f", "merged", "--dtype", "float32")
    place = cli.folder / "exports" / "mine" / "1"
    assert check_of(place)["artefacts"]["merged"]["passed"]
    assert json.loads((place / "merged" / "config.json").read_text())["dtype"] == "float32"


def test_a_merged_folder_can_be_exported(cli: Cli, merged: Path) -> None:
    cli.run("export", str(merged), "-f", "gguf")
    place = cli.folder / "exports" / "merged" / "1"
    assert check_of(place)["artefacts"]["merged-Q8_0.gguf"]["passed"]


def test_nothing_is_overwritten_unless_forced(cli: Cli, merged: Path) -> None:
    out = cli.folder / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "merged-Q8_0.gguf").write_text("old")
    call = ["export", str(merged), "-f", "gguf", "--no-check", "--output", str(out)]
    assert "is not empty" in cli.run(*call, status=2).stderr
    assert (out / "merged-Q8_0.gguf").read_text() == "old"
    cli.run(*call, "--force")
    assert (out / "merged-Q8_0.gguf").read_bytes()[:4] == b"GGUF"
    assert (out / "notes.txt").read_text() == "mine"


def test_the_folder_of_an_export_that_came_to_nothing_is_free(cli: Cli, merged: Path) -> None:
    shutil.copy(merged / "config.json", cli.folder / "config.json")
    (merged / "config.json").write_text("[]")
    call = ["export", str(merged), "-f", "merged", "--no-check", "--output", "out"]
    assert "is not a JSON object" in cli.run(*call, status=2).stderr
    shutil.copy(cli.folder / "config.json", merged / "config.json")
    cli.run(*call)
    assert (cli.folder / "out" / "merged" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-f", "gguf", "-q", "q4"], "quantizations"),
        (["-f", "safetensors"], "formats"),
        (["-f", "gguf", "--name", "../up"], "name ../up"),
        (["-f", "gguf", "--ollama-name", "a b"], "a name in Ollama"),
        (["-f", "gguf", "--ollama", "--ollama-host", "192.0.2.1"], "names another machine"),
        (["-f", "merged", "--ollama"], "Ollama takes a GGUF"),
        (["-f", "gguf", "--checkpoint", "step-7"], "has no step-7"),
        (["-f", "gguf", "--push", "me/it"], "HF_TOKEN is not set"),
        ([], "no format was named"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, cli: Cli, run: Path
) -> None:
    cli.environment.pop("HF_TOKEN", None)
    done = cli.run("export", str(run), *arguments, status=2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(run.glob("exports/*/*.gguf"))


def test_an_architecture_that_is_not_known_is_named_before_anything_is_written(
    cli: Cli, merged: Path
) -> None:
    config = json.loads((merged / "config.json").read_text())
    config |= {"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"]}
    (merged / "config.json").write_text(json.dumps(config))
    done = cli.run("export", str(merged), "-f", "gguf", status=2)
    assert "mamba2" in done.stderr.lower()
    assert not list(cli.folder.rglob("*.gguf"))


def test_a_full_disk_is_seen_before(cli: Cli, merged: Path) -> None:
    """Of a model that says it is enormous, only headers are read before."""
    header_of_a_giant(merged / "model.safetensors")
    done = cli.run("export", str(merged), "-f", "merged", status=2)
    assert "of room" in done.stderr


def header_of_a_giant(path: Path) -> None:
    """Let the file say that it holds a tensor of 8 TiB, and be as long (a hole takes no room)."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__")
    count = 2**42
    header["giant"] = {
        "dtype": "BF16",
        "shape": [2**21, 2**21],
        "data_offsets": [end, end + 2 * count],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    with path.open("r+b") as file:
        file.truncate(8 + len(text) + end + 2 * count)


@pytest.fixture
def exporting(cli: Cli, run: Path) -> Path:
    """An export in the middle of its longest step, building ONNX, with a GGUF file made."""
    cli.start("export", str(run), "-f", "gguf,onnx")
    place = run / "exports" / "1"
    wait_for(lambda: any("ONNX" in event.get("detail", "") for event in events(place)))
    wait_for(lambda: job_of(place).children())
    return place


def test_nobody_else_writes_where_an_export_is_at_work(
    cli: Cli, exporting: Path, run: Path
) -> None:
    before = (exporting / "request.json").read_bytes()
    call = ["export", str(run), "-f", "merged", "--output", str(exporting), "--force"]
    assert "a job is at work" in cli.run(*call, status=2).stderr
    assert (exporting / "request.json").read_bytes() == before
    cli.run("stop", str(exporting))


def left_over(place: Path) -> list[str]:
    """What stands in an export's folder besides what its worker writes."""
    own = {"black_box.json", "events.jsonl", "lock", "request.json", "status.json"}
    own |= {"training", "worker.log"}
    return sorted(path.name for path in place.iterdir() if path.name not in own)


def test_a_stop_leaves_what_is_whole_and_nothing_else(cli: Cli, exporting: Path) -> None:
    cli.run("stop", str(exporting))
    status = json.loads((exporting / "status.json").read_text())
    assert (status["state"], status["exit_status"]) == ("stopped", 130)
    assert left_over(exporting) == ["check.json", "tiny-Q8_0.gguf"]
    assert check_of(exporting)["artefacts"]["tiny-Q8_0.gguf"]["passed"]
    shown = cli.run("runs", "show", str(exporting.parents[1])).stdout
    assert "tiny-Q8_0.gguf: check passed" in " ".join(shown.split())


def test_a_killed_job_leaves_what_is_whole_and_nothing_else(cli: Cli, exporting: Path) -> None:
    job = job_of(exporting)
    below = job.children(recursive=True)
    job.kill()
    (command,) = cli.started
    assert command.wait(60) == 1
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    assert left_over(exporting) == ["check.json", "tiny-Q8_0.gguf"]


def test_a_run_exports_itself_when_it_has_finished(cli: Cli) -> None:
    out = cli.folder / "run"
    done = cli.run(
        *training("--steps", "12", "--headless", "--output", str(out)),
        *("--set", "export.formats=[gguf,merged]", "--set", "export.quantizations=[q8_0,q4_k_m]"),
    )
    place = out / "exports" / "1"
    assert all(check["passed"] for check in check_of(place)["artefacts"].values())
    assert "exports/1/demo-Q4_K_M.gguf" in done.stdout
    assert "finished at step 12 of 12" in done.stdout


def test_a_run_whose_export_fails_says_so_and_keeps_what_it_trained(cli: Cli) -> None:
    out = cli.folder / "run"
    done = cli.run(
        *training("--steps", "3", "--headless", "--output", str(out)),
        *("--set", "export.formats=[gguf]", "--set", "export.quantizations=[tq1_0]"),
        status=1,
    )
    assert "trained and saved, and the export failed: demo-TQ1_0.gguf" in done.stderr
    assert (out / "adapter" / "last" / "adapter_model.safetensors").is_file()


def test_python_exports_what_it_trained(cli: Cli) -> None:
    from trainer_core import Trainer
    from trainer_core.errors import BackpropError

    trainer = Trainer(config=DEMO / "demo.yaml", backend="transformers", steps=8)
    trainer.train(output=cli.folder / "run")
    made = trainer.export("gguf", quantization=["q8_0", "q4_k_m"], model_name="My:model")
    assert [one.path for one in made.files] == ["My-model-Q8_0.gguf", "My-model-Q4_K_M.gguf"]
    assert all(one.check is not None and one.check.passed for one in made.files)
    assert made.folder == cli.folder / "run" / "exports" / "1"
    assert made.commands[-1] == "ollama run my-model"
    with pytest.raises(BackpropError, match="does not speak like"):
        trainer.export("gguf", quantization="tq1_0")


def test_a_gguf_goes_to_ollama_with_the_template_of_its_training(cli: Cli, merged: Path) -> None:
    with OllamaHere() as ollama:
        cli.environment["OLLAMA_HOST"] = ollama.host
        call = ["export", str(merged), "-f", "gguf", "--no-check", "--ollama-name", "hen"]
        done = cli.run(*call)
        assert "next            ollama run hen" in done.stdout
        (made,) = ollama.models.values()
        assert "<|im_start|>user" in made["template"]
        assert made["parameters"] == {"num_ctx": 512, "stop": ["<|im_start|>", "<|im_end|>"]}
        (digest,) = made["files"].values()
        assert ollama.blobs[digest][:4] == b"GGUF"
        # What Ollama has already is not replaced unless that is asked.
        assert "has a model hen already" in cli.run(*call, status=2).stderr
        cli.run(*call, "--force")
    with OllamaHere(trouble="full") as ollama:
        cli.environment["OLLAMA_HOST"] = ollama.host
        done = cli.run(*call, status=1)
        assert "no space left" in done.stderr
    # Without Ollama all else is done, and the way to hand it over stands beside it.
    cli.environment["OLLAMA_HOST"] = ollama.host
    assert "no Ollama answers" in cli.run(*call, status=1).stderr
    last = max((cli.folder / "exports" / "merged").iterdir(), key=lambda path: int(path.name))
    assert {"merged-Q8_0.gguf", "Modelfile", "README.md"} <= {path.name for path in last.iterdir()}


def test_an_export_goes_to_the_hub(cli: Cli, merged: Path) -> None:
    with HubHere() as hub:
        cli.environment |= {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }
        done = cli.run("export", str(merged), "-f", "gguf", "--no-check", "--push", "me/hen")
        assert set(hub.files) == {"README.md", "Modelfile", "merged-Q8_0.gguf"}
        assert f"{hub.url}/me/hen" in done.stdout
    folder = cli.folder / "exports"
    said = [
        path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert said == []


def test_without_llama_cpp_all_else_works(cli: Cli, merged: Path) -> None:
    (cli.folder / "sitecustomize.py").write_text('import sys\nsys.modules["llama_cpp"] = None\n')
    cli.environment["PYTHONPATH"] = str(cli.folder)
    call = ["export", str(merged), "-f", "gguf", "--output", "out"]
    for more in (["-q", "q4_k_m"], ["-q", "q8_0"]):
        done = cli.run(*call, *more, status=2)
        assert "llama-cpp-python" in done.stderr
        assert "make install-export" in done.stderr
    assert not (cli.folder / "out").exists()
    cli.run(*call, "-q", "q8_0", "--no-check")
    assert (cli.folder / "out" / "merged-Q8_0.gguf").read_bytes()[:4] == b"GGUF"
    cli.run("export", str(merged), "-f", "merged", "--output", "again")
    assert check_of(cli.folder / "again")["artefacts"]["merged"]["passed"]


def test_a_template_that_never_ends_is_refused(cli: Cli, merged: Path) -> None:
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
    (merged / "chat_template.jinja").write_text(loops)
    done = cli.run("export", str(merged), "-f", "gguf", status=2)
    assert "template" in done.stderr


def test_an_abort_ends_the_export_of_a_run_too(cli: Cli) -> None:
    out = cli.folder / "run"
    settings = ["--set", "export.formats=[onnx]", "--headless", "--output", str(out)]
    cli.start(*training("--steps", "3", *settings))
    place = out / "exports" / "1"
    wait_for(lambda: any(event["type"] == "stage" for event in events(place)))
    cli.run("stop", str(out), "--abort")
    wait_for(lambda: json.loads((place / "status.json").read_text())["state"] == "stopped")
    assert left_over(place) == []
