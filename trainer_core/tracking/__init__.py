"""TensorBoard, Weights & Biases, Trackio and MLflow: each in a process of its own, which follows
the run folder and so can neither slow nor break a training.

`python -m trainer_core.tracking` is that process; worker/trackers.py starts it."""
