"""Loading the model, the training loop, checkpoints and answers. The only place that trains."""
