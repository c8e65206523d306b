"""What became of a run, for people: report.md with its plots, and the same as one HTML file."""
