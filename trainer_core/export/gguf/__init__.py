"""A model as GGUF, the file that llama.cpp and Ollama run: written here from tokenizer.json,
config.json and the weights, and read back with llama.cpp to be checked."""
