import os
import subprocess
import sys
from pathlib import Path

MODEL = Path(__file__).parents[2] / "converters/mobilenet_v2/digits/digits.onnx"
OPEN = "import sys; from edge.backends import open_model; open_model(sys.argv[1]).run()"


def test_no_runtime_leaves_anything_in_the_home_folder(tmp_path: Path) -> None:
    names = ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-B", "-c", OPEN, str(MODEL)]
    subprocess.run(command, check=True, env={**environ, "HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
