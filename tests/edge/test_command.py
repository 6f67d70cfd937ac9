from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

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


# A command that prints so many lines and then, where it is told to, complains.
COMMAND = """
import sys
from edge.command import new_parser, run_command
from edge.errors import EdgeError

def command(argv):
    parser = new_parser("edge-x", "Does x.", "  edge-x 3")
    parser.add_argument("lines", type=int)
    parser.add_argument("--fail", action="store_true")
    arguments = parser.parse_args(argv)
    for _ in range(arguments.lines):
        print("a line that is never read")
    if arguments.fail:
        raise EdgeError("bad")
    sys.stderr.isatty()
    return 0

raise SystemExit(run_command("edge-x", command, None))
"""
FEW, MANY = "3", "100000"  # lines that fit into a buffer, and that do not
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run(*arguments: str, stdout: IO[bytes] | int) -> tuple[int, bytes]:
    """Return exit status and stderr of COMMAND."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=BUFFERED,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [[FEW], [MANY], ["--help"], ["--version"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(*arguments, stdout=writer) == (0, b"")
    finally:
        os.close(writer)


@pytest.mark.parametrize("lines", [FEW, MANY])
def test_an_output_that_cannot_be_written_is_one_sentence(lines: str) -> None:
    with Path("/dev/full").open("wb") as full:
        said = (2, b"edge-x: error: No space left on device\n")
        assert run(lines, stdout=full) == said
        assert run(FEW, "--fail", stdout=full) == (2, b"edge-x: error: bad\n")


@pytest.mark.parametrize(
    ("closed", "arguments", "status", "said"),
    [
        ("2>&-", [FEW], 0, 3),
        ("2>&-", [FEW, "--fail"], 2, 3),
        (">&-", [FEW], 0, 0),
        (">&- 2>&-", [FEW, "--fail"], 2, 0),
    ],
)
def test_a_stream_that_is_closed_is_no_error(
    closed: str, arguments: list[str], status: int, said: int
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", COMMAND, *arguments],
        capture_output=True,
        env=BUFFERED,
        check=False,
    )
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (status, said, b"")
