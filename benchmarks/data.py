"""What reading, checking, tokenizing and masking a large file takes: against `datasets` + map.

    python benchmarks/data.py TOKENIZER_FOLDER GSM8K_JSONL [--gb 2] [--baseline-rows 40000]

A JSONL file of the wanted size is generated from the rows given, each made different. Ours reads
all of it, cold and then from the cache; the time to the first page is that of a fresh process. The
baselines do the same work (template, token ids, mask of the answer) on a file with the first rows
only, because the whole would take hours: the per-row map that TRL does, the same batched, and the
tokenizer's encode_batch alone on ready text. They do no more than that: no checks, no duplicates.
Each side is a process of its own, and the sides are compared by rows a second; ours counts
everything from the start of the process, the baselines only their `load_dataset` and map. Peak
memory is that of all the side's processes.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

FIRST_PAGE = 50


def generate(source: Path, target: Path, size: int) -> int:
    """Rows like those of `source` but all different, until the file has `size` bytes."""
    rows = [json.loads(line) for line in source.open(encoding="utf-8")]
    draw, written, count = random.Random(0), 0, 0  # noqa: S311 - benchmark rows
    with target.open("w", encoding="utf-8") as file:
        while written < size:
            row = rows[count % len(rows)]
            other = rows[draw.randrange(len(rows))]
            question = f"{row['question']} {other['question'][: draw.randrange(60, 200)]} {count}"
            written += file.write(
                json.dumps({"question": question, "answer": row["answer"]}) + "\n"
            )
            count += 1
    return count


def ours(tokenizer: str, file: str) -> int:
    """All of it, the way that training takes."""
    from trainer_core.tokens.look import config_of, look

    return look(config_of(file, tokenizer, ["model.max_length=2048"]).config).report.rows


def first_page(_: str, file: str) -> int:
    """What the Data screen shows first."""
    from trainer_core.config.data_section import DataSource
    from trainer_core.data.pages import Pages
    from trainer_core.data.sources import open_source

    return len(Pages(open_source(DataSource(path=file))).rows(0, FIRST_PAGE))


def per_row_map(tokenizer: str, file: str) -> int:
    """As TRL prepares prompt and completion: two renderings a row."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tokenizer)
    began = time.monotonic()

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        prompt = [{"role": "user", "content": row["question"]}]
        whole = [*prompt, {"role": "assistant", "content": row["answer"]}]
        before = theirs.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)
        ids = theirs.apply_chat_template(whole, return_dict=True)["input_ids"]
        start = len(before["input_ids"])
        return {"input_ids": ids, "mask": [0] * start + [1] * (len(ids) - start)}

    data = load_dataset("json", data_files=file, split="train")
    count = len(data.map(encode, remove_columns=data.column_names))
    say_seconds(began)
    return count


def batched_map(tokenizer: str, file: str) -> int:
    """The same in batches of 1,000."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tokenizer)
    began = time.monotonic()

    def encode(batch: dict[str, list[Any]]) -> dict[str, Any]:
        prompts = [[{"role": "user", "content": text}] for text in batch["question"]]
        wholes = [
            [*prompt, {"role": "assistant", "content": text}]
            for prompt, text in zip(prompts, batch["answer"], strict=True)
        ]
        before = theirs.apply_chat_template(prompts, add_generation_prompt=True, return_dict=True)[
            "input_ids"
        ]
        ids = theirs.apply_chat_template(wholes, return_dict=True)["input_ids"]
        masks = [
            [0] * len(start) + [1] * (len(whole) - len(start))
            for start, whole in zip(before, ids, strict=True)
        ]
        return {"input_ids": ids, "mask": masks}

    data = load_dataset("json", data_files=file, split="train")
    count = len(data.map(encode, batched=True, remove_columns=data.column_names))
    say_seconds(began)
    return count


def encode_alone(tokenizer: str, file: str) -> int:
    """The tokenizer on ready text, on all cores; only this is timed."""
    import tokenizers

    backend = tokenizers.Tokenizer.from_file(str(Path(tokenizer) / "tokenizer.json"))
    texts = []
    with Path(file).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            texts.append(
                f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
                f"{row['question']}<|im_end|>\n<|im_start|>assistant\n{row['answer']}<|im_end|>\n"
            )
    began = time.monotonic()
    for start in range(0, len(texts), 1000):
        backend.encode_batch(texts[start : start + 1000], add_special_tokens=False)
    say_seconds(began)
    return len(texts)


def say_seconds(began: float) -> None:
    """What counts of this side, where that is not all of its process."""
    print(json.dumps({"seconds": time.monotonic() - began}))


SIDES = {
    "first_page": first_page,
    "ours": ours,
    "per_row_map": per_row_map,
    "batched_map": batched_map,
    "encode_alone": encode_alone,
}


def run(side: str, tokenizer: str, file: Path, cache: Path) -> dict[str, Any]:
    """One side in a process of its own: rows, seconds, and the peak memory of all its processes."""
    command = [sys.executable, __file__, tokenizer, str(file), "--side", side]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "HF_HOME": str(cache / "hf")}
    environment |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak = [0]
    watcher = threading.Thread(target=watch, args=[process, peak])
    watcher.start()
    output, _ = process.communicate()
    seconds = time.monotonic() - began
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{side} failed")
    facts = {"seconds": seconds, "peak": peak[0]}
    for line in output.splitlines():
        if line.startswith("{"):
            facts |= json.loads(line)
    return facts


def watch(process: "subprocess.Popen[str]", peak: list[int]) -> None:
    """The largest sum of unshared memory (anonymous pages) of a process and its children."""
    while process.poll() is None:
        total = 0
        try:
            root = psutil.Process(process.pid)
            for one in [root, *root.children(recursive=True)]:
                facts = one.memory_info()
                total += facts.rss - facts.shared
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total)
        time.sleep(0.1)


def main() -> None:
    """Print every side and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tokenizer")
    parser.add_argument("rows")
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--baseline-rows", type=int, default=60_000)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    if options.side:
        rows = SIDES[options.side](options.tokenizer, options.rows)
        print(json.dumps({"rows": rows}))
        return
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """All sides, one after the other."""
    file, half, head = (folder / name for name in ("rows.jsonl", "half.jsonl", "head.jsonl"))
    count = generate(Path(options.rows), file, int(options.gb * 1e9))
    print(f"{count:,} rows, {file.stat().st_size / 1e9:.2f} GB")
    generate(Path(options.rows), half, int(options.gb * 5e8))
    with file.open("rb") as lines, head.open("wb") as first:
        first.writelines(islice(lines, options.baseline_rows))
    facts = {}
    for label, side, data in [
        ("first page", "first_page", file),
        ("encode_batch", "encode_alone", head),
        ("ours, half", "ours", half),
        ("ours, cold", "ours", file),
        ("ours, again", "ours", file),
        ("encode_batch again", "encode_alone", head),
        ("per-row map", "per_row_map", head),
        ("batched map", "batched_map", head),
    ]:
        one = run(side, options.tokenizer, data, folder / "cache")
        facts[label] = one
        rate = one["rows"] / one["seconds"]
        print(
            f"{label:18} {one['rows']:>10,} rows {one['seconds']:8.1f} s {rate:10,.0f} rows/s  "
            f"peak {one['peak'] / 2**20:,.0f} MiB",
            flush=True,
        )
    speed = {label: one["rows"] / one["seconds"] for label, one in facts.items()}
    cold, half_facts = facts["ours, cold"], facts["ours, half"]
    grown = (cold["peak"] - half_facts["peak"]) / (cold["rows"] - half_facts["rows"])
    print(f"cold against the per-row map: {speed['ours, cold'] / speed['per-row map']:.2f}x")
    print(f"cold against the batched map: {speed['ours, cold'] / speed['batched map']:.2f}x")
    alone = (speed["encode_batch"] + speed["encode_batch again"]) / 2  # before and after ours
    print(f"of encode_batch alone: {speed['ours, cold'] / alone:.2f}x")
    print(f"from the cache: {facts['ours, again']['seconds'] / cold['seconds']:.1%} of cold")
    print(f"memory: {grown:.0f} bytes a row more for the whole than for the half")


if __name__ == "__main__":
    main()
