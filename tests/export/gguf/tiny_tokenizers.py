"""Small real tokenizers of both kinds, made in an instant and always the same."""

import json
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXT = [
    "Once upon a time, in 1984, there was a little girl who counted 12345 stars.",
    "She said: 'I've seen them all, haven't I?' and they'll say she'd been right.",
    "def count(stars): return sum(1 for star in stars if star > 0)  # done",
    "Über den Wolken muss die Freiheit wohl grenzenlos sein; el niño comió piñas.",
    "The weather is nice, the weather was nice, the weather will be nice again.",
    "  Spaces   and\ttabs\n\nand new lines\r\n are part of it.   ",
    "нещо на Български, 我想在apple工作1314151天, កាន់តែពិសេស",
] * 3  # fmt: skip
# Texts that tell tokenizers apart; none begins or ends with a special token.
STRINGS = [
    "Once upon a time", " a  b   c", "\n\n\nnew", "1234567890 3.14", "I've they'll HAVEN'T",
    "нещо на Български", "🚀 (normal) 😶‍🌫️", "我想在apple工作1314151天～", "tab\ttab", "x", " ",
    "def count(stars):\n    return 1\n", "piñas: ¡olé!", "The weather will be nice again.",
]  # fmt: skip
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace("{1,3}", "")


def byte_level(folder: Path, family: str) -> None:
    """A byte-level BPE of 400 tokens, as `family` (llama3, qwen2, phi4) splits text."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=family == "llama3"))
    pattern = _QWEN2 if family == "qwen2" else _LLAMA3
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=396, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    ))  # fmt: skip
    bos, eos, pad = {
        "llama3": ("<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"),
        "qwen2": (None, "<|im_end|>", "<|endoftext|>"),
        "phi4": ("<|endoftext|>", "<|im_end|>", "<|dummy_85|>"),
    }[family]
    start = "<|start_header_id|>" if family == "llama3" else "<|im_start|>"
    tokenizer.add_special_tokens([t for t in (bos, pad, eos, start) if t])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if family == "llama3":
        template = processors.TemplateProcessing(
            f"{bos} $A", f"{bos} $A {bos} $B", [(bos, tokenizer.token_to_id(bos))]
        )
        tokenizer.post_processor = processors.Sequence([tokenizer.post_processor, template])
    tokenizer.save(str(folder / "tokenizer.json"))
    _settings(folder, {"bos_token": bos, "eos_token": eos, "pad_token": pad})


def sentencepiece_like(folder: Path, family: str) -> None:
    """A byte_fallback BPE of at most 470 tokens as llama, gemma or phi3 have it, trained by
    SentencePiece: tokenizer.model, and the tokenizer.json that says the same."""
    gemma = family == "gemma"
    ids = {"pad": 0, "eos": 1, "bos": 2, "unk": 3} if gemma else {"unk": 0, "bos": 1, "eos": 2}
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(text.split("\n")) for text in TEXT), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), model_type="bpe",
        vocab_size=440, byte_fallback=True, character_coverage=0.98, num_threads=1,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=not gemma, minloglevel=2, hard_vocab_limit=False,
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\t\t"] if gemma else [],
        **{f"{name}_id": ids.get(name, -1) for name in ("pad", "eos", "bos", "unk")},
        **({"eos_piece": "<eos>", "bos_piece": "<bos>"} if gemma else {}),
    )  # fmt: skip
    corpus.unlink()
    (folder / "tokenizer.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokenizer = _converted(pieces)
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = (
        spaces if gemma else normalizers.Sequence([normalizers.Prepend("▁"), spaces])
    )
    special = [pieces.id_to_piece(number) for number in sorted(ids.values())]
    special += ["<start_of_turn>", "<end_of_turn>"] if gemma else []
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    if gemma:
        tokenizer.add_tokens([AddedToken("\t\t", normalized=False)])
    if family == "phi3":
        tokenizer.add_special_tokens([
            AddedToken(name, normalized=False, rstrip=name != "<|endoftext|>")
            for name in ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>")
        ])  # fmt: skip
    elif family == "llama":
        tokenizer.add_special_tokens(
            [AddedToken(n, normalized=False) for n in ("[INST]", "[/INST]")]
        )
    bos = pieces.id_to_piece(ids["bos"])
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{bos} $A", f"{bos} $A {bos} $B", [(bos, ids["bos"])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _settings(folder, {f"{name}_token": pieces.id_to_piece(number) for name, number in ids.items()})


def _converted(pieces: sentencepiece.SentencePieceProcessor) -> Tokenizer:
    """The merges are every way to make a piece of two others, the best pieces first."""
    vocabulary = {pieces.id_to_piece(n): n for n in range(pieces.get_piece_size())}
    merges = []
    for name, number in vocabulary.items():
        if pieces.is_control(number) or pieces.is_byte(number) or pieces.is_unknown(number):
            continue
        halves = [(name[:at], name[at:]) for at in range(1, len(name))]
        pairs = [p for p in halves if p[0] in vocabulary and p[1] in vocabulary]
        merges += [(-pieces.get_score(number), number, pair) for pair in pairs]
    return Tokenizer(
        models.BPE(
            vocabulary,
            [pair for _, _, pair in sorted(merges, key=lambda merge: merge[:2])],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )


def _settings(folder: Path, tokens: dict[str, Any]) -> None:
    """tokenizer_config.json, as folders of the hub have it."""
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = {str(token.pop("id")): token for token in data["added_tokens"]}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": added}
    text = json.dumps(settings | {k: v for k, v in tokens.items() if v}, indent=1)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
