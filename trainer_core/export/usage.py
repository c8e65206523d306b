"""How each thing of an export is run, as the model card says it: files relative to its folder."""

import json
from collections.abc import Iterator

from trainer_core.runs.events import Exported
from trainer_core.text import one_line

_ASK = """messages = [{"role": "user", "content": "Hello"}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0]))"""
_GO_ON = """inputs = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0]))"""


def usage(base: str, chats: bool, artefacts: list[Exported]) -> Iterator[str]:
    """Paragraphs of Markdown. `base` is the base model's name on the hub, or empty; `chats` says
    whether there is a chat template."""
    by_format = {made.format.split()[0]: made.path for made in reversed(artefacts)}
    ask = _ASK if chats else _GO_ON
    if "adapter" in by_format:
        yield "The adapter, with transformers and PEFT:"
        yield _block("python", _peft(base, by_format["adapter"], ask))
    if "merged" in by_format:
        yield "The merged model, with transformers (or vLLM and whatever else reads its folders):"
        yield _block("python", _transformers(by_format["merged"], ask))
    gguf = [made.path for made in artefacts if made.format.startswith("gguf ")]
    if gguf:
        how = " -cnv" if chats else ' -no-cnv -p "Once upon a time"'
        yield "The GGUF, with llama.cpp:"
        yield _block("sh", *(f"llama-cli -m {path}{how}" for path in gguf))
        name = gguf[0].removesuffix(".gguf").lower()
        yield "With Ollama, from the Modelfile beside it:"
        yield _block("sh", f"ollama create {name} -f Modelfile", f"ollama run {name}")
    if "adapter-gguf" in by_format:
        yield "The adapter as GGUF, with llama.cpp, on a GGUF of the base:"
        yield _block("sh", f"llama-cli -m BASE.gguf --lora {by_format['adapter-gguf']} -cnv")
    if "onnx" in by_format:
        yield "The ONNX model, with onnxruntime-genai:"
        yield _block("python", _onnx(by_format["onnx"], chats))


def _peft(base: str, path: str, ask: str) -> str:
    named = _text(base or "FOLDER-OF-THE-BASE")
    return f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({named}, dtype="auto")
model = PeftModel.from_pretrained(base, {_text(path)})
tokenizer = AutoTokenizer.from_pretrained({_text(path)})
{ask}"""


def _transformers(path: str, ask: str) -> str:
    return f"""from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained({_text(path)}, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained({_text(path)})
{ask}"""


def _onnx(path: str, chats: bool) -> str:
    prompt = '"Once upon a time"'
    if chats:
        asked = json.dumps('[{"role": "user", "content": "Hello"}]')
        prompt = f"tokenizer.apply_chat_template({asked}, add_generation_prompt=True)"
    return f"""import onnxruntime_genai as og

model = og.Model({_text(path)})
tokenizer = og.Tokenizer(model)
prompt = {prompt}
parameters = og.GeneratorParams(model)
parameters.set_search_options(max_length=400)
generator = og.Generator(model, parameters)
generator.append_tokens(tokenizer.encode(prompt))
while not generator.is_done():
    generator.generate_next_token()
print(tokenizer.decode(generator.get_sequence(0)))"""


def _text(value: str) -> str:
    return json.dumps(one_line(value, limit=200), ensure_ascii=False)


def _block(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
