"""From what was trained to what other programs run, each thing checked against the model it came
from. The only place that knows gguf, llama.cpp, ONNX and Ollama."""
