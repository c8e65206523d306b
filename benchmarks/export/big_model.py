"""What both benchmarks of the export share: a model of 3 GB, made from a config, and the time and
memory of something done in a process of its own."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

DEMO = Path(__file__).parents[2] / "configs" / "demo" / "base"
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, HEAD, VOCABULARY = 2048, 8192, 20, 32, 8, 64, 128256
RANK = 16
BLOCK = 32 << 20
# Llama 3.2 1B with four layers more: 1.48 thousand million weights in bfloat16.
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "eos_token_id": 2,
    "pad_token_id": 3,
}


def make_model(folder: Path) -> int:
    """Write the model to `folder`, a block at a time, and give the bytes of its weights: the same
    noise over and over, for how long a conversion takes does not depend on the numbers."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(DEMO / name, folder / name)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1), encoding="utf-8")
    header: dict[str, object] = {}
    end = 0
    for name, shape in _tensors():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    noise = np.random.default_rng(0).normal(0, 0.02, BLOCK // 2).astype(np.float32)
    block = (noise.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for start in range(0, end, BLOCK):
            file.write(block[: min(BLOCK, end - start)])
    return end


def make_adapter(folder: Path, base: Path) -> None:
    """Write a LoRA adapter for all linear layers of the model in `base`, as PEFT does."""
    folder.mkdir()
    shapes = {name.removesuffix(".weight"): shape for name, shape in _tensors()}
    linear = {name: shape for name, shape in shapes.items() if name.endswith("_proj")}
    noise = np.random.default_rng(1)
    tensors = {}
    for name, (rows, columns) in linear.items():
        place = f"base_model.model.{name}"
        for part, shape in (("lora_A", (RANK, columns)), ("lora_B", (rows, RANK))):
            values = noise.normal(0, 0.01, shape).astype(np.float32)
            tensors[f"{place}.{part}.weight"] = values
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": sorted({name.rsplit(".", 1)[1] for name in linear}),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


def _tensors() -> Iterator[tuple[str, list[int]]]:
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        yield f"{place}.input_layernorm.weight", [HIDDEN]
        yield f"{place}.self_attn.q_proj.weight", [HEADS * HEAD, HIDDEN]
        yield f"{place}.self_attn.k_proj.weight", [KV_HEADS * HEAD, HIDDEN]
        yield f"{place}.self_attn.v_proj.weight", [KV_HEADS * HEAD, HIDDEN]
        yield f"{place}.self_attn.o_proj.weight", [HIDDEN, HEADS * HEAD]
        yield f"{place}.post_attention_layernorm.weight", [HIDDEN]
        yield f"{place}.mlp.gate_proj.weight", [INNER, HIDDEN]
        yield f"{place}.mlp.up_proj.weight", [INNER, HIDDEN]
        yield f"{place}.mlp.down_proj.weight", [HIDDEN, INNER]
    yield "model.norm.weight", [HIDDEN]


def in_a_process(script: str, *arguments: str) -> dict[str, float]:
    """Run `script` with `arguments`, and give what it tells with `tell_work`."""
    os.sync()  # what was written before must not be waited for now
    done = subprocess.run(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def nobody(_: int) -> None:
    """Hears how far it is."""


def tell_work(work: Callable[[], object]) -> None:
    """Print how many seconds `work` takes, without what was imported before, and the most memory
    that this process had in its life, and before the work, in bytes."""
    before = peak_memory()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": peak_memory(), "before": before}))


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the process that started this one
        text = status.read_text(encoding="utf-8")
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
