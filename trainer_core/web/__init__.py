"""The dashboard in a browser: who may look, the page, and a process for each dashboard."""
