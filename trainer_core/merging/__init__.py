"""Merging LoRA adapters of runs in a row: SLAO, its ablations, and merges that others made."""
