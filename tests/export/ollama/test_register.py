"""A model goes to Ollama whole, or one sentence says why not. The server follows the rules of the
real one (ollama_here.py); what is sent and looked at goes over a real connection."""

from pathlib import Path

import pytest

from tests.export.ollama.ollama_here import OllamaHere
from trainer_core.errors import BackpropError, UserError
from trainer_core.export.ollama.model import OllamaModel
from trainer_core.export.ollama.register import Registered, check_ollama, register

TEMPLATE = "{{ range $i, $_ := .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}{{ end }}"


@pytest.fixture
def model(tmp_path: Path) -> OllamaModel:
    gguf, lora = tmp_path / "hen.gguf", tmp_path / "hen-lora.gguf"
    gguf.write_bytes(b"GGUF" + bytes(3 << 20))
    lora.write_bytes(b"GGUF" + bytes(100))
    return OllamaModel(
        files={"hen.gguf": gguf},
        adapters={"hen-lora.gguf": lora},
        template=TEMPLATE,
        system='Say "yes".\n',
        stops=("<|im_end|>", "<｜end▁of▁sentence｜>", '"\n'),
        parameters={"num_ctx": 2097152, "temperature": 0.7},
    )


def silent(what: str, done: int, total: int | None) -> None:
    pass


def send(ollama: OllamaHere, model: OllamaModel, **options: bool) -> Registered:
    return register("hen", model, silent, ollama.host, **options)


def test_all_the_way(model: OllamaModel) -> None:
    told: list[tuple[str, int, int | None]] = []
    with OllamaHere() as ollama:
        url = f"http://{ollama.host}"
        done = register("hen", model, lambda *step: told.append(step), ollama.host)
        assert done == Registered("hen", "ollama run hen", url, "0.33.0")
        sent = ollama.models["hen:latest"]
        assert sent["template"] == TEMPLATE
        assert sent["system"] == 'Say "yes".\n'
        assert sent["parameters"]["stop"] == list(model.stops)
        assert ollama.blobs[sent["files"]["hen.gguf"]] == model.files["hen.gguf"].read_bytes()
        gguf, lora = (digest[:12] for digest in ollama.blobs)
        assert ollama.calls == [
            "GET /api/version 200",
            "POST /api/show 404",
            f"HEAD /api/blobs/{gguf} 404",
            f"POST /api/blobs/{gguf} 201",
            f"HEAD /api/blobs/{lora} 404",
            f"POST /api/blobs/{lora} 201",
            "POST /api/create 200",
            "POST /api/show 200",
        ]
    total = (3 << 20) + 4
    assert ("reading hen.gguf", 1 << 20, total) in told
    assert ("sending hen.gguf", total, total) in told
    assert told[-2:] == [("writing manifest", 0, None), ("success", 0, None)]


def test_what_ollama_has_is_not_sent_again(model: OllamaModel) -> None:
    with OllamaHere() as ollama:
        send(ollama, model)
        ollama.calls.clear()
        with pytest.raises(UserError, match=r"has a model hen already.*--force"):
            send(ollama, model)
        send(ollama, model, force=True)
        assert not [call for call in ollama.calls if call.startswith("POST /api/blobs")]


def test_an_adapter_on_a_model_that_ollama_has(model: OllamaModel) -> None:
    with OllamaHere() as ollama:
        send(ollama, OllamaModel({}, model.adapters, base="llama3.2"))
        assert ollama.models["hen:latest"]["from"] == "llama3.2"
        assert "files" not in ollama.models["hen:latest"]


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("error in the stream", "could not make hen: unsupported architecture foo$"),
        ("full", r"no space left on device\. Make room .* \(OLLAMA_MODELS\)"),
        ("no room for a blob", r"refuses \(500\): .*no space left on device\. Make room"),
        ("cut create", "ended the connection before it had made hen"),
        ("cut blob", r"closed the connection while hen.gguf \(3.0 MiB\) was sent"),
        ("other template", "says that hen was made, but its template is not as it was sent"),
        ("redirect", r"refuses \(307\)"),
    ],
)
def test_trouble(model: OllamaModel, trouble: str, sentence: str) -> None:
    with OllamaHere(trouble=trouble) as ollama, pytest.raises(BackpropError, match=sentence):
        send(ollama, model)


def test_a_file_that_changes_while_it_is_sent(model: OllamaModel) -> None:
    gguf = model.files["hen.gguf"]

    def change(what: str, done: int, total: int | None) -> None:
        if what.startswith("reading") and done == total:
            gguf.write_bytes(b"GGUX" + bytes(3 << 20))

    with (
        OllamaHere() as ollama,
        pytest.raises(BackpropError, match=r"did not reach Ollama whole: digest mismatch"),
    ):
        register("hen", model, change, ollama.host)


def test_a_blob_that_ollama_lost(model: OllamaModel) -> None:
    def lose(what: str, done: int, total: int | None) -> None:
        if what == "sending hen-lora.gguf":
            ollama.blobs.clear()

    with OllamaHere() as ollama, pytest.raises(BackpropError, match=r"blob sha256:\w+ not found"):
        register("hen", model, lose, ollama.host)


def test_stopping_in_the_middle(model: OllamaModel) -> None:
    """Whoever is told may end it by raising."""

    def stop(what: str, done: int, total: int | None) -> None:
        if what.startswith("sending"):
            raise KeyboardInterrupt

    with OllamaHere() as ollama:
        with pytest.raises(KeyboardInterrupt):
            register("hen", model, stop, ollama.host)
        assert not ollama.models


def test_no_server() -> None:
    with OllamaHere() as ollama:
        host = ollama.host
    with pytest.raises(BackpropError, match=rf"no Ollama answers at http://{host}. Start it with"):
        check_ollama("hen", host, allow_remote=False)


def test_another_server() -> None:
    with OllamaHere() as ollama:
        ollama.version = ""
        host = f"{ollama.host}/elsewhere"
        with pytest.raises(BackpropError, match=r"refuses \(404\): not found"):
            check_ollama("hen", host, allow_remote=False)


def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    with OllamaHere() as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.host)
        url, version = check_ollama("hen", None, allow_remote=False)
        assert (url, version) == (f"http://{ollama.host}", "0.33.0")


@pytest.mark.parametrize(
    ("version", "template", "said"),
    [
        ("0.17.0", TEMPLATE, ["Ollama 0.17.0 is older than 0.17.1"]),
        ("0.17.1", TEMPLATE, []),
        ("0.29.9", None, ["Ollama 0.29.9 does not run the chat template inside the GGUF"]),
        ("0.30.0-rc1", TEMPLATE, []),
        ("0.33.0-rc2", None, []),
        ("0.0.0", None, []),
        ("my own", None, []),
    ],
)
def test_versions(model: OllamaModel, version: str, template: str | None, said: list[str]) -> None:
    with OllamaHere(version) as ollama:
        done = send(ollama, OllamaModel(model.files, template=template))
    assert len(done.warnings) == len(said)
    for warning, words in zip(done.warnings, said, strict=True):
        assert warning.startswith(words)
