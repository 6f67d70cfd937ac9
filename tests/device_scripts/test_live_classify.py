"""The script as a user runs it: arguments in, lines and an exit status out."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device_scripts import live_classify
from device_scripts.live_classify import main
from edge.card import CARD_KEY, ModelCard
from edge.latency.log import LogWriter
from edge.latency.read import read_log
from edge.preprocess import PRESETS
from tests.edge.backends.tiny_models import onnx_model, tflite_model
from tests.edge.fakes import ListSource, solid

LABELS = ("red", "green", "blue")
SCRIPT = Path(__file__).parents[2] / "device_scripts" / "live_classify.py"


@pytest.fixture(autouse=True)
def keep_signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder whose pictures are red, green, blue, and one that is broken."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for channel, name in enumerate(LABELS):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[..., 2 - channel] = 255
        cv2.imwrite(str(folder / f"{channel}-{name}.png"), pixels)
    (folder / "3-broken.png").write_bytes(b"hello")
    return folder


@pytest.fixture(params=["onnx", "tflite"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    card = ModelCard("tiny", PRESETS["unit"], LABELS).to_json()
    path = tmp_path / f"model.{request.param}"
    if request.param == "onnx":
        path.write_bytes(onnx_model({CARD_KEY: card}))
    else:
        path.write_bytes(tflite_model({CARD_KEY: card.encode()}, dtype="float32"))
    return path


@pytest.fixture
def plain_model(tmp_path: Path) -> Path:
    """Return a model without a card."""
    path = tmp_path / "plain.onnx"
    path.write_bytes(onnx_model())
    return path


def test_a_folder_in_json_with_a_log(
    model: Path, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ["--model", model, "--source", pictures, "--json", "--log", log, "--top", 2]
    assert main([str(argument) for argument in arguments]) == 0
    *results, summary = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(r["name"], r["guesses"][0]["label"]) for r in results] == [
        (f"{i}-{name}.png", name) for i, name in enumerate(LABELS)
    ]
    assert all(len(result["guesses"]) == 2 for result in results)
    assert summary == {
        "kind": "summary",
        "captured": 3,
        "processed": 3,
        "skipped": 0,
        "broken": 1,
        "reason": "the source ended",
    }
    read = read_log(log)
    assert read.reason == "the source ended"
    assert read.run.card == "tiny"
    assert sum(interval.processed for interval in read.intervals) == 3


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_of_several_outputs_the_cards_scores_are_read(
    kind: str, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    card = ModelCard("tiny", PRESETS["unit"], LABELS, scores="scores0").to_json()
    path = tmp_path / f"model.{kind}"
    if kind == "onnx":
        path.write_bytes(onnx_model({CARD_KEY: card}, gives_image=True))
    else:
        metadata = {CARD_KEY: card.encode()}
        path.write_bytes(tflite_model(metadata, dtype="float32", gives_image=True))
    assert main(["--model", str(path), "--source", str(pictures), "--json"]) == 0
    *results, _ = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [result["guesses"][0]["label"] for result in results] == list(LABELS)


def test_a_file_by_others_needs_a_name_where_several_outputs_fit(
    pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model(outputs=2))
    arguments = ["--model", str(path), "--source", str(pictures), "--preprocess", "unit"]
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert "'scores0' [1, 3], 'scores1' [1, 3]; name one with --scores" in error
    assert main([*arguments, "--scores", "scores1"]) == 0
    assert "processed 3" in capfd.readouterr().out


def test_lines_for_people(model: Path, pictures: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(model), "--source", str(pictures), "--frames", "2"]) == 0
    status, end = capfd.readouterr().out.splitlines()
    assert status.startswith("green ")
    assert all(word in status for word in (" fps", "p50 ", "p99 ", "skipped 0"))
    assert end == "captured 2, processed 2, skipped 0, broken 0, reason 2 frames"


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.png"), "\x9b31m.png"])
def test_names_of_files_are_fit_to_be_printed(
    name: str, model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "0-red.png").rename(pictures / name)
    log = tmp_path / Path(name).with_suffix(".jsonl")
    arguments = ["--model", str(model), "--source", str(pictures), "--log", str(log)]
    assert main([*arguments, "--json"]) == 0
    results = capsys.readouterr().out
    assert results.isascii()
    assert name in [json.loads(line).get("name") for line in results.splitlines()]
    assert main(arguments) == 0
    assert capsys.readouterr().out.rstrip("\n").replace("\n", "").isprintable()


def test_the_line_on_a_terminal_fits_it(
    plain_model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["\N{CJK UNIFIED IDEOGRAPH-732B}" * 50] * 3))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((40, 24)))
    arguments = ["--model", str(plain_model), "--source", str(pictures), "--labels", str(labels)]
    assert main([*arguments, "--preprocess", "unit"]) == 0
    status, _ = terminal.getvalue().split("\n", 1)
    assert status == "\r\x1b[K" + "\N{CJK UNIFIED IDEOGRAPH-732B}" * 19


def test_labels_of_a_file_win(
    model: Path, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("rouge\nvert\nbleu\n")
    main(["--model", str(model), "--source", str(pictures), "--labels", str(labels)])
    assert capfd.readouterr().out.startswith("bleu ")


def test_without_card_and_labels_classes_have_numbers(
    plain_model: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(plain_model), "--source", str(pictures), "--preprocess", "unit"]
    assert main(arguments) == 0
    said = capfd.readouterr()
    assert said.out.startswith("class 2 ")
    assert said.err.count("\n") == 1
    assert "no labels" in said.err


def refusal(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one sentence on stderr of a run that must fail."""
    assert main(arguments) == 2
    said = capfd.readouterr()
    assert said.out == ""
    errors = [line for line in said.err.splitlines() if line.startswith("edge-live: error: ")]
    assert len(errors) == 1
    assert "Traceback" not in said.err
    return errors[0]


def test_each_bad_input_gets_one_sentence(
    plain_model: Path, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("one\n")
    good = ["--model", str(plain_model), "--source", str(pictures), "--preprocess", "unit"]
    for change, message in (
        (["--model", str(tmp_path / "none.onnx")], "none.onnx: the model cannot be read"),
        (["--labels", str(short)], "1 labels, but the model has 3 classes"),
        (["--labels", str(tmp_path / "none.txt")], "none.txt: No such file"),
        (["--source", str(tmp_path / "nowhere")], "is no source"),
        (["--source", "v4l2:63"], "no camera /dev/video63"),
        (["--log", str(tmp_path / "none" / "log")], "the latency log cannot be written"),
    ):
        assert message in refusal([*good, *change], capfd)
    assert "pass --preprocess" in refusal(good[:4], capfd)


# Played as a camera would, it is still a file: it is not opened again for a minute.
@pytest.mark.parametrize("pace", [[], ["--pace", "own", "--fps", "30", "--max-outage", "9"]])
def test_a_source_that_breaks_ends_the_run_with_its_log(
    pace: list[str], plain_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"hello")
    log = tmp_path / "run.jsonl"
    arguments = ["--model", plain_model, "--source", tmp_path / "a.png", "--log", log]
    message = refusal([*map(str, arguments), "--preprocess", "unit", *pace], capfd)
    assert "none of the 1 pictures can be read" in message
    assert "opened again" not in message
    assert (read_log(log).reason or "").startswith("error: ")


def test_a_camera_is_asked_for_what_the_model_wants_and_the_log_says_what_it_gave(
    plain_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Camera(ListSource):
        details = {"stream": "main BGR888 340x256"}  # noqa: RUF012

    asked: list[dict[str, object]] = []

    def open_source(text: str, **wanted: object) -> Camera:
        asked.append({"text": text, **wanted})
        return Camera([solid(0)], is_live=True)

    monkeypatch.setattr(live_classify, "open_source", open_source)
    log = tmp_path / "run.jsonl"
    arguments = ["--model", plain_model, "--source", "picamera2", "--fps", 15, "--log", log]
    assert main([*map(str, arguments), "--preprocess", "unit", "--frames", "1"]) == 0
    # The card's pictures have a short side of 256.
    [wanted] = asked
    assert wanted["text"] == "picamera2"
    assert (wanted["fps"], wanted["short_side"]) == (15.0, 256)
    assert read_log(log).run.camera == Camera.details


def test_a_log_that_could_not_be_written_is_not_offered_as_whole(
    plain_model: Path,
    pictures: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ["--model", plain_model, "--source", pictures, "--preprocess", "unit", "--log", log]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert main([str(argument) for argument in arguments]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"log: {log}"
    monkeypatch.setattr(LogWriter, "_append", full)
    assert main([str(argument) for argument in arguments]) == 0
    # The one interval, and the summary.
    assert capfd.readouterr().out.splitlines()[-1] == f"log: {log} (2 writes failed)"


# The script, with a camera of 200 frames a second that never ends.
ENDLESS = """
import itertools, time
from device_scripts import live_classify
from tests.edge.fakes import ListSource, solid

items = itertools.cycle([lambda: time.sleep(0.005), solid(0)])
live_classify.open_source = lambda *_, **__: ListSource(items, is_live=True)
raise SystemExit(live_classify.main())
"""


def stop_by(number: signal.Signals, model: Path, log: Path) -> tuple[int, list[str]]:
    """Run on an endless camera, send a signal once a frame was classified, and return the end."""
    arguments = ["--model", str(model), "--preprocess", "unit", "--log", str(log), "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, *arguments],
        cwd=SCRIPT.parents[1],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(number)
        lines = child.stdout.readlines()
        return child.wait(), lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_its_log_complete(
    number: signal.Signals, plain_model: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.jsonl"
    status, lines = stop_by(number, plain_model, log)
    assert status == 0
    summary = json.loads(lines[-1])
    read = read_log(log)
    assert summary["reason"] == read.reason == "stopped"
    assert read.problems == []
    processed = sum(interval.processed for interval in read.intervals)
    skipped = sum(interval.skipped for interval in read.intervals)
    assert processed >= 1
    assert (summary["processed"], summary["skipped"]) == (processed, skipped)
    assert summary["captured"] == processed + skipped


def test_a_killed_run_leaves_a_log_that_reads(plain_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    status, _ = stop_by(signal.SIGKILL, plain_model, log)
    assert status == -signal.SIGKILL
    read = read_log(log)
    assert read.reason is None
    assert read.run.source == "list"


def test_a_closed_stderr_is_no_error_and_is_not_the_log(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ["--model", str(model), "--source", str(pictures), "--log", str(log), "--json"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, SCRIPT, *arguments],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 4)
    assert read_log(log).problems == []


def test_threads_and_runtime_are_chosen_once(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    card = ModelCard("tiny", PRESETS["unit"], LABELS, source_sha256="ab").to_json()
    (tmp_path / "a.onnx").write_bytes(onnx_model({CARD_KEY: card}))
    model = tmp_path / "a.tflite"
    model.write_bytes(tflite_model({CARD_KEY: card.encode()}, dtype="float32"))
    arguments = ["--model", str(model), "--source", str(pictures), "--frames", "1"]
    assert main([*arguments, "--threads", "auto", "--backend", "auto"]) == 0
    said = capfd.readouterr()
    assert "processed 1" in said.out
    [note] = [line for line in said.err.splitlines() if line.startswith("edge-live: --backend ")]
    for word in ("auto and --threads auto: a.", "p99", "a.onnx, 1 thread", "a.tflite, 2 threads"):
        assert word in note


def test_nothing_is_imported_that_is_not_used(model: Path, pictures: Path) -> None:
    """The first label waits for every import."""
    arguments = ["--model", str(model), "--source", str(pictures)]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    packages = {name.partition(".")[0] for name in imported}
    runtime, other = "ai_edge_litert", "onnxruntime"
    if model.suffix == ".onnx":
        runtime, other = other, runtime
    assert runtime in packages
    unused = {other, "jinja2", "matplotlib", "onnx", "paho", "picamera2", "prometheus_client"}
    assert not packages & (unused | {"scipy", "sklearn", "starlette", "uvicorn"})
    assert not imported & {"edge.sources.v4l2", "edge.sources.stream", "edge.sources.digit_cards"}
    assert not imported & {"edge.broadcast.broadcast", "edge.web.guard", "asyncio", "ssl"}


def test_help_shows_examples() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in done.stdout
    assert "--preprocess" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "0"],
        ["--threads", "65"],
        ["--threads", "x"],
        ["--duration", "-1"],
        ["--duration", "1e300"],
        ["--duration", "nan"],
        ["--interval", "1e300"],
        ["--interval", "1e-9"],
        ["--fps", "1e-300"],
        ["--fps", "1e300"],
        ["--frames", "0"],
        ["--frames", "9" * 5000],
        ["--top", "x"],
    ],
)
def test_arguments_have_limits(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--model", "x.onnx", *arguments])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert f"argument {arguments[0]}: " in said
    assert "allowed: " in said or re.search("invalid (int|float) value", said)


def test_arguments_at_their_limits_are_taken(
    plain_model: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(plain_model), "--source", str(pictures), "--preprocess", "unit"]
    longest = ["--duration", "1e9", "--interval", "1e9", "--fps", "1000", "--top", "1000000"]
    assert main([*arguments, *longest, "--frames", "1000000000000", "--threads", "1"]) == 0
    assert "processed 3" in capfd.readouterr().out
