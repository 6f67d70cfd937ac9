"""The same target under atheris (`pip install atheris`), which looks for new paths in our code.

    python -m tests.fuzz.atheris_target FOLDER [options of libFuzzer, such as -max_total_time=600]

FOLDER keeps the corpus, which begins with the seeds. It runs in this process, without a worker:
what the runtimes die of ends it as well, and libFuzzer keeps the bytes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install atheris")

with atheris.instrument_imports(include=["converters", "edge.card", "onnx.helper"]):
    from tests.fuzz.models import seeds
    from tests.fuzz.mutations import MUTATIONS, damaged
    from tests.fuzz.target import prepared, run

from google.protobuf.message import DecodeError

from tests.fuzz.models import loose

LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=200000")


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Damage a model's parts where the bytes are one, else the bytes."""
    random = Random(seed)  # noqa: S311 (no secret)
    try:
        model = loose(data)
    except DecodeError:
        return damaged(random, data)[:max_size]
    if not model.graph.node or random.random() < 0.1:
        return damaged(random, data)[:max_size]
    random.choice(MUTATIONS)(random, model)
    changed = model.SerializeToString()
    return changed if len(changed) <= max_size else data


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/fuzz/corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / f"{name}.onnx").write_bytes(data)
    arguments = [sys.argv[0], str(corpus.resolve()), *LIMITS, *sys.argv[2:]]
    with tempfile.TemporaryDirectory(prefix="edge-fuzz-") as folder, prepared(Path(folder)) as path:
        atheris.Setup(arguments, lambda data: run(data, path), custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
