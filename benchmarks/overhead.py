"""What the worker with an attached dashboard costs: steps a second against the bare script.

    python benchmarks/overhead.py [--pairs 5] [--steps 12]

Both sides train the same random Llama model with Unsloth + TRL on the same examples; a step takes
at least 200 ms. One side is a plain script, the other a run with a dashboard attached in a terminal
of 160x50. Pairs are interleaved. The time of a side is the mean of its steps, the first three left
out.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pexpect

ROOT = Path(__file__).parents[1]
SKIPPED = 3
BARE = """
import json, os, sys, time
os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
import unsloth
from unsloth import FastLanguageModel
import torch
from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer
base, data, steps, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
model, _ = FastLanguageModel.from_pretrained(
    base, max_seq_length=512, dtype=torch.float32, load_in_4bit=False)
model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=32, lora_dropout=0,
    target_modules=["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"],
    use_gradient_checkpointing=False, random_state=0)
tokenizer = AutoTokenizer.from_pretrained(base)
rows = [json.loads(line)["messages"] for line in open(data)]
ids = [tokenizer.apply_chat_template(row, tokenize=True)["input_ids"] for row in rows]
times = []
class Clock(TrainerCallback):
    def on_step_end(self, *_, **__):
        times.append(time.monotonic())
trainer = SFTTrainer(model=model, processing_class=tokenizer,
    train_dataset=Dataset.from_dict({"input_ids": ids, "labels": ids}),
    args=SFTConfig(output_dir=out, max_steps=steps, per_device_train_batch_size=8,
        gradient_accumulation_steps=1, logging_steps=1, save_strategy="no", report_to="none",
        max_length=None, dataset_kwargs={"skip_prepare_dataset": True}, use_cpu=True, bf16=False,
        disable_tqdm=True, gradient_checkpointing=False, seed=0), callbacks=[Clock()])
trainer.train()
json.dump(times, open(out + ".json", "w"))
"""


def make_material(folder: Path) -> tuple[Path, Path]:
    """A random Llama model with the demo's tokenizer, and rows of one length."""
    base, data = folder / "base", folder / "data.jsonl"
    demo = ROOT / "configs" / "demo" / "base"
    program = f"""
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained({str(demo)!r})
config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=512, intermediate_size=1376,
    num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=8,
    max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id, bos_token_id=None)
LlamaForCausalLM(config).save_pretrained({str(base)!r})
tokenizer.save_pretrained({str(base)!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    messages = [
        {"role": "user", "content": "Say it again."},
        {"role": "assistant", "content": "the little shop " * 30},
    ]
    data.write_text((json.dumps({"messages": messages}) + "\n") * 256)
    return base, data


def bare(folder: Path, base: Path, data: Path, steps: int, number: int) -> float:
    """Seconds a step of the plain script."""
    script, out = folder / "bare.py", folder / f"bare-{number}"
    script.write_text(BARE)
    command = [sys.executable, str(script), str(base), str(data), str(steps), str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return per_step(json.loads(Path(f"{out}.json").read_text()))


def watched(folder: Path, base: Path, data: Path, steps: int, number: int) -> float:
    """Seconds a step of a run whose dashboard is open."""
    run = folder / f"run-{number}"
    settings = {
        "training.batch_size": 8,
        "training.gradient_accumulation": 1,
        "training.seed": 0,
        "training.warmup_steps": 0,
        "training.eval_steps": 10_000,
        "training.save_steps": 10_000,
        "data.split.fractions": "[1.0]",
        "model.dtype": "float32",
        "model.max_length": 512,
    }
    arguments = ["train", "--data", str(data), "--model", str(base), "--steps", str(steps)]
    arguments += ["--output", str(run)]
    for name, value in settings.items():
        arguments += ["--set", f"{name}={value}"]
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(folder / "state")}
    screen = pexpect.spawn(
        sys.executable,
        ["-c", "from trainer_core.cli import main; main()", *arguments],
        env=environment,
        dimensions=(50, 160),
    )
    # The terminal itself runs on the person's machine: reading what it shows must cost nothing.
    threading.Thread(target=drain, args=[screen.child_fd], daemon=True).start()
    while not ended(run):
        if not screen.isalive():
            raise SystemExit("the dashboard ended before the run")
        time.sleep(1)
    screen.close(force=True)
    lines = [json.loads(line) for line in (run / "events.jsonl").open()]
    return per_step([e["elapsed"] for e in lines if e["type"] == "metrics"])


def drain(terminal: int) -> None:
    """Read what the dashboard draws until it is closed."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def ended(run: Path) -> bool:
    """Whether the run is over."""
    path = run / "status.json"
    return path.exists() and json.loads(path.read_text())["state"] == "finished"


def per_step(times: list[float]) -> float:
    """Mean seconds between steps, the first ones left out."""
    return (times[-1] - times[SKIPPED]) / (len(times) - 1 - SKIPPED)


def main() -> None:
    """Print each pair, the median ratio (bare time / watched time) and its spread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, data = make_material(folder)
        for number in range(options.pairs):
            began = time.monotonic()
            if number % 2:
                ours = watched(folder, base, data, options.steps, number)
                theirs = bare(folder, base, data, options.steps, number)
            else:
                theirs = bare(folder, base, data, options.steps, number)
                ours = watched(folder, base, data, options.steps, number)
            ratios.append(theirs / ours)
            print(
                f"pair {number + 1}: bare {theirs * 1000:.0f} ms a step, "
                f"watched {ours * 1000:.0f} ms, throughput {theirs / ours:.3f}x "
                f"({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    print(
        f"throughput of a watched run: median {statistics.median(ratios):.3f}x of the bare script "
        f"(from {min(ratios):.3f}x to {max(ratios):.3f}x)"
    )


if __name__ == "__main__":
    main()
