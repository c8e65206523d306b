"""One widget a file, each usable alone."""
