"""What `Trainer` is made of: results, keywords, a run in the caller's process, progress."""
