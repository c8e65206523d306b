"""A trained model for Ollama: its template, its Modelfile, and the way through the HTTP API."""
