"""The ONNX model builder, in a process that ends when the one that started it does:
`python -m trainer_core.export.onnx_process` with the builder's arguments, and a pipe as stdin."""

import os
import runpy
import threading


def main() -> None:
    """Run the builder until it is done, or stdin is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock would be held as this process ends.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
