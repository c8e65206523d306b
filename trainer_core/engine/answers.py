"""Answers to prompts: greedy, so that what differs is the model."""

from collections.abc import Sequence
from typing import Any

import torch

from trainer_core.runs.control import Control
from trainer_core.runs.events import Answer
from trainer_core.tokens.examples import Encoder


def answer_prompts(
    model: Any, encoder: Encoder, prompts: Sequence[str], max_tokens: int, control: Control
) -> list[Answer]:
    """Each prompt with the model's greedy answer, as far as the user lets it go on.

    The model must be ready to generate (see the backends' `answering`).
    """
    answers = []
    for prompt in prompts:
        control.beat()
        if control.stopping:
            break
        ids = torch.tensor([encoder.prompt_ids(prompt)], device=model.device)
        with torch.no_grad():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=list(encoder.tokenizer.stop_ids) or None,
                pad_token_id=encoder.tokenizer.pad_id,
                use_cache=True,
            )
        text = encoder.tokenizer.decode(output[0, ids.shape[1] :].tolist())
        answers.append(Answer(prompt=prompt, answer=text.strip()))
    return answers
