"""Record what llama.cpp's own converter makes of the tiny models of tests/export/gguf.

    python scripts/record_llama_cpp.py PATH/llama_cpp_python-0.3.36

The path is the unpacked source distribution of llama-cpp-python, which has llama.cpp inside. The
tests compare what we write with tests/export/gguf/llama_cpp.json, so they need no converter.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
RECORD = ROOT / "tests" / "export" / "gguf" / "llama_cpp.json"
# As general.file_type has them.
TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7}
# Why the converter does not see a folder as transformers 5 saves it.
MENDED = {
    "sentencepiece": "tokenizer.model lies beside tokenizer.json: without it the converter fails "
    "(Gemma, Phi-3), or makes up the scores (Llama, Mistral).",
    "byte-level": "The converter is told the name of the pre-tokenizer: it knows those of "
    "published tokenizers only. Of Phi, it also wants to read GPT2Tokenizer in "
    "tokenizer_config.json.",
}


def main() -> None:
    """Convert each tiny model to each type, and write down every key and tensor."""
    source = Path(sys.argv[1]).resolve() / "vendor" / "llama.cpp"
    import tests.export.gguf  # noqa: F401 - before llama.cpp's own folders of that name

    sys.path.insert(1, str(source / "gguf-py"))
    from tests.export.gguf.reading import keys, tensors
    from tests.export.gguf.tiny_models import TINY, make

    sys.path.append(str(source))
    logging.disable()
    record: dict[str, Any] = {"llama-cpp-python": source.parents[1].name, "models": {}}
    with tempfile.TemporaryDirectory() as place:
        for name, tiny in TINY.items():
            folder = make(name, Path(place) / name)
            if name == "phi4":
                mend_class(folder)
            files = {}
            for kind in TYPES:
                target = folder / f"{kind}.gguf"
                convert(folder, target, TYPES[kind], tiny.pre)
                files[kind] = tensors(target)
            record["models"][name] = {
                "mended": MENDED["byte-level" if tiny.pre else "sentencepiece"],
                "keys": keys(folder / "f32.gguf"),
                "tensors": files,
            }
            print(name, len(files["f32"]), "tensors", flush=True)
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def mend_class(folder: Path) -> None:
    """Name the tokenizer's class as the converter wants to read it."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "GPT2Tokenizer"
    path.write_text(json.dumps(settings), encoding="utf-8")


def convert(folder: Path, target: Path, file_type: int, pre: str) -> None:
    """What convert_hf_to_gguf.py does, in this process."""
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from gguf import LlamaFileType

    values = ModelBase.load_hparams(folder, False)
    kind = get_model_class(get_model_architecture(values, ModelType.TEXT))
    if pre:
        kind.get_vocab_base_pre = lambda _self, _tokenizer: pre
    with torch.inference_mode():
        kind(folder, LlamaFileType(file_type), target, eager=True).write()


if __name__ == "__main__":
    main()
