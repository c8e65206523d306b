"""One side of benchmarks/memory.py, in a process of its own: trains a random model of a given shape
and says how much memory that took at most.

    python benchmarks/memory_run.py measure|trace CASE_AS_JSON

measure: really trains, and reads the peak of resident memory (of the GPU's tensors where there is a
GPU). trace: trains on tensors without content, so that large models pass quickly, and adds up the
tensors that live at once.
"""

import json
import os
import sys
import tempfile
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, Qwen2Config
from trl.trainer import sft_trainer  # part of what a training process loads

FAMILIES = {"llama": LlamaConfig, "qwen2": Qwen2Config}


def measure(case: dict[str, Any]) -> dict[str, int]:
    """Two steps, the second of two micro-batches. `peak` in bytes; whether it is without the CUDA
    context."""
    torch.set_num_threads(os.cpu_count() or 1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    quantised = case["quantization"] != "none"
    model = _quantised(case, device) if quantised else _fresh(case).to(device)
    model = _prepared(model, case)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    _train(model, case, device)
    if device == "cuda":
        return {"peak": torch.cuda.max_memory_allocated(), "without_context": 1}
    return {"peak": _resident("VmHWM"), "without_context": 0}


def trace(case: dict[str, Any]) -> dict[str, int]:
    """The same without content: `peak` is what tensors take at once, weights included."""
    with torch.device("meta"):
        model = _fresh(case)
    model = _prepared(model, case)
    with FakeTensorMode():
        weights = _without_content(model)
        counter = _LiveTensors(model)
        with counter:
            _train(model, case, "cpu")
    return {"peak": weights + counter.peak, "without_context": 1}


def _fresh(case: dict[str, Any]) -> Any:
    dtype = getattr(torch, case["dtype"])
    torch.set_default_dtype(dtype)
    model = AutoModelForCausalLM.from_config(_config(case), dtype=dtype)
    torch.set_default_dtype(torch.float32)
    return model


def _config(case: dict[str, Any]) -> Any:
    shape = case["shape"]
    return FAMILIES[shape["model_type"]](
        hidden_size=shape["hidden"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        intermediate_size=shape["intermediate"],
        vocab_size=shape["vocab"],
        tie_word_embeddings=shape["tied"],
        max_position_embeddings=1 << 17,
        attn_implementation=case["attention"],
    )


def _quantised(case: dict[str, Any], device: str) -> Any:
    """Saved in 16 bits, as models are, and loaded again: quantization happens in loading."""
    dtype = getattr(torch, case["dtype"])
    bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:  # so that the whole weights were never here
            _fresh({**case, "dtype": "bfloat16"}).save_pretrained(folder)
            os._exit(0)
        os.waitpid(child, 0)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=bits, device_map=device
        )
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def _prepared(model: Any, case: dict[str, Any]) -> Any:
    model.config.use_cache = False
    if case["method"] == "lora":
        adapter = LoraConfig(r=case["rank"], target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, adapter, low_cpu_mem_usage=_on_meta(model))
    if case["checkpointing"] == "on":
        model.gradient_checkpointing_enable({"use_reentrant": False})
        if case["method"] == "lora":
            model.enable_input_require_grads()
    if case["loss"] == "trl":
        inner = model.get_base_model() if case["method"] == "lora" else model
        sft_trainer._patch_chunked_ce_lm_head(inner, sft_trainer._CHUNKED_LM_HEAD_CHUNK_SIZE)
    return model.train()


def _on_meta(model: Any) -> bool:
    return bool(next(model.parameters()).device.type == "meta")


def _train(model: Any, case: dict[str, Any], device: str) -> None:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    on_gpu = case["device"] == "cuda"
    # On a GPU the optimizer goes over all weights at once.
    optimizer = torch.optim.AdamW(trained, 1e-4, foreach=on_gpu)
    size = (case["batch_size"], case["tokens"])
    ids = torch.ones(size, dtype=torch.int64, device=device)
    mask = torch.ones_like(ids)
    if case["batch_size"] > 1:
        mask[0, size[1] // 2 :] = 0  # a row is padded, so that attention takes a mask
    for micro_batches in (1, 2):  # the second step has optimizer state and gradients from the start
        for _ in range(micro_batches):
            with _autocast(case, device):
                loss = model(input_ids=ids, attention_mask=mask, labels=ids).loss
            loss.backward()
            del loss
        optimizer.step()
        optimizer.zero_grad()


def _autocast(case: dict[str, Any], device: str) -> Any:
    """As on a GPU; a trace stands for one."""
    if case["device"] == "cuda":
        return torch.autocast(device, getattr(torch, case["dtype"]), case["dtype"] != "float32")
    return nullcontext()


def _resident(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) << 10


def _without_content(model: Any) -> int:
    """Give all weights of a model on the meta device fake storage; their bytes."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                fake = torch.empty(weight.shape, dtype=weight.dtype)
                new = torch.nn.Parameter(fake, requires_grad=weight.requires_grad)
                module._parameters[name] = made.setdefault(id(weight), new)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return sum(weight.untyped_storage().nbytes() for weight in made.values())


class _LiveTensors(TorchDispatchMode):  # type: ignore[misc]
    """Adds up the storage that operations make, and takes off what is freed."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        there = [*model.parameters(), *model.buffers()]
        self._known = {tensor.untyped_storage()._cdata: 0 for tensor in there}
        self._now = 0
        self.peak = 0

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: Any) -> None:
        if storage._cdata in self._known:
            return
        self._known[storage._cdata] = storage.nbytes()
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, key: int) -> None:
        self._now -= self._known.pop(key)


if __name__ == "__main__":
    print(json.dumps({"measure": measure, "trace": trace}[sys.argv[1]](json.loads(sys.argv[2]))))
