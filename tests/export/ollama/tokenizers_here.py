"""A tokenizer with the special tokens of many families: real, and made in a moment."""

from tokenizers import Tokenizer as Backend
from tokenizers import models, processors

from trainer_core.tokens.tokenizer import Tokenizer

SPECIAL = [
    "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]",
    "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<｜User｜>", "<｜Assistant｜>",
    "<｜end▁of▁sentence｜>",
]  # fmt: skip


def tokenizer(*, adds_bos: bool = True) -> Tokenizer:
    """BOS is <s>, EOS </s>."""
    backend = Backend(models.BPE())
    backend.add_special_tokens(SPECIAL)
    backend.add_tokens(["a"])
    if adds_bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    return Tokenizer(backend, None, "<s>", "</s>", 0, 1, (1,))
