"""The run folder and all that is written in it: events, status, lock, metrics; and the run list."""
