"""What became of runs: their facts, read from their folders; beside one another; and once more."""
