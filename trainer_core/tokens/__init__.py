"""Conversations to examples: the tokenizer, chat templates, and which tokens are trained.

Runs inside jobs. `tokenizers` and `jinja2` only, so that a preview never waits for torch.
"""
