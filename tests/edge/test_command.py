from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

import edge
from edge.command import new_parser, run_command
from edge.errors import EdgeError, GateError, MissingExtraError


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (EdgeError("bad"), 2, "edge-x: error: bad\n"),
        (GateError("not met"), 3, "edge-x: error: not met\n"),
        (MissingExtraError("onnx", "convert"), 2, None),
        (OSError(28, "No space left on device", "out"), 2, None),
        (KeyboardInterrupt(), 130, "edge-x: interrupted\n"),
    ],
)
def test_errors_become_one_line_and_a_status(
    error: BaseException, status: int, message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(_: Sequence[str]) -> int:
        raise error

    assert run_command("edge-x", command, []) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert message in (None, said.err)


def test_messages_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: Sequence[str]) -> int:
        if argv:
            raise OSError(28, "No space left on device", "out.json")
        raise MissingExtraError("onnxruntime", "onnx")

    run_command("edge-x", command, [])
    assert "pip install 'edge-deploy[onnx]'" in capsys.readouterr().err
    run_command("edge-x", command, ["x"])
    assert capsys.readouterr().err == "edge-x: error: out.json: No space left on device\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command("edge-x", lambda _: 1 // 0, [])


def test_status_and_arguments_pass_through() -> None:
    assert run_command("edge-x", len, ["a", "b"]) == 2


def test_version_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    parser = new_parser("edge-x", "Does x.", "  edge-x --y\n")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"edge-x {edge.__version__}\n"
    assert "examples:\n  edge-x --y\n" in parser.format_help()


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "from edge.command import run_command\n"
        "def command(argv):\n"
        "    for _ in range(100_000):\n"
        "        print('a line that is never read')\n"
        "    return 0\n"
        "raise SystemExit(run_command('edge-x', command, []))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        said = child.stderr.read()
        assert (child.wait(), said) == (0, b"")
