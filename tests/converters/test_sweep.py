"""Whoever calibrates, and however the pictures are shared out, the numbers are the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.dataset import open_images, tensors
from calibration.errors import CalibrationError
from calibration.images import DatasetError, ImageSet, Tensors
from calibration.lint import Watch
from calibration.progress import T, silent
from calibration.spread import Here, Spread
from calibration.spread.cluster import Cluster
from calibration.spread.processes import Processes
from calibration.synthetic import dead_leaves
from converters.calibrate import calibrate
from converters.cli import main
from converters.graph import Graph
from converters.sweep import PIECE_IMAGES, Seen, sweep
from edge.preprocess import PRESETS
from edge.tensors import TensorSpec
from tests.calibration.spread.clusters import local_cluster
from tests.converters.models import build, imported, normal

COUNT = 40
BROKEN = "05.png"
UNIT = PRESETS["unit"]
BODY = """c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g)
y = Gemm(f, v)"""


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with local_cluster(3) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(params=["here", "2", "cluster"])
def spread(request: pytest.FixtureRequest) -> Spread:
    if request.param == "cluster":
        return Cluster(request.getfixturevalue("scheduler"))
    return Here() if request.param == "here" else Processes(int(request.param))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return imported(build(BODY, w=normal(4, 3, 3, 3), v=normal(4, 5)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, one of which is none: a piece that has it counts one less than the others."""
    made = tmp_path_factory.mktemp("pictures")
    for index, picture in enumerate(dead_leaves(COUNT, 24, 24, seed=2)):
        assert cv2.imwrite(str(made / f"{index:02d}.png"), np.asarray(picture.pixels))
    (made / BROKEN).write_bytes(b"not a picture")
    return made


def spec_of(graph: Graph) -> TensorSpec:
    return TensorSpec(graph.input, graph.input_shape, "float32")


def swept(graph: Graph, images: ImageSet | Tensors, spread: Spread) -> Seen:
    return sweep(graph, UNIT, images, spread, silent)


def check(seen: Seen, graph: Graph, images: ImageSet | Tensors) -> None:
    """Hold what was seen against one pass over the whole set, in one piece."""
    whole = calibrate(graph, tensors(images, UNIT, spec_of(graph)))
    parts = seen.observer.observations()
    assert parts.samples == whole.samples
    assert parts.histograms == whole.histograms
    assert parts.halves == whole.halves
    for rule in ("minmax", "percentile", "mse"):
        assert parts.ranges(rule).to_json() == whole.ranges(rule).to_json()
    if isinstance(images, ImageSet):
        assert seen.broken == images.broken


@pytest.mark.parametrize("spread", ["here", "1", "2", "3", "cluster"], indirect=True)
def test_pieces_make_the_whole(graph: Graph, folder: Path, spread: Spread) -> None:
    images = open_images(str(folder))
    seen = swept(graph, images, spread)
    check(seen, graph, images)
    assert list(seen.broken) == [BROKEN]
    assert COUNT > 2 * PIECE_IMAGES  # so that there are three


def test_the_watch_is_told_of_every_picture_in_order(
    graph: Graph, folder: Path, spread: Spread
) -> None:
    images = open_images(str(folder))
    assert isinstance(images, ImageSet)
    alone = Watch(UNIT, spec_of(graph))
    inputs = list(tensors(images.watched(alone.picture), UNIT, spec_of(graph)))
    calibrate(graph, inputs, alone.scores)
    watch = swept(graph, images, spread).watch
    assert set(watch.looks) == {f"{index:02d}.png" for index in range(COUNT)} - {BROKEN}
    assert {name: look.digest for name, look in watch.looks.items()} == {
        name: look.digest for name, look in alone.looks.items()
    }
    assert watch.top1 == alone.top1
    np.testing.assert_array_equal(np.concatenate(watch.kept), np.concatenate(inputs))


def test_tensors_and_made_pictures(graph: Graph, tmp_path: Path, spread: Spread) -> None:
    _, channels, height, width = graph.input_shape
    path = tmp_path / "x.npz"
    rows = normal(PIECE_IMAGES + 3, channels, height, width)
    np.savez(path, x=rows)
    given = open_images(str(path))
    seen = swept(graph, given, spread)
    check(seen, graph, given)
    assert list(seen.watch.looks) == [f"tensor {index}" for index in range(len(rows))]
    np.testing.assert_array_equal(seen.watch.lows, rows.min(axis=(0, 2, 3)))
    np.testing.assert_array_equal(seen.watch.highs, rows.max(axis=(0, 2, 3)))
    made = dead_leaves(PIECE_IMAGES + 1, height, width)
    seen = swept(graph, made, spread)
    check(seen, graph, made)
    assert not seen.watch.looks


def test_paths_that_depend_on_where_we_are(
    graph: Graph, folder: Path, spread: Spread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    images = open_images(f"{folder.name}/1*.png")
    seen = swept(graph, images, spread)
    assert set(seen.watch.looks) == {f"{folder.name}/{index}.png" for index in range(10, 20)}
    check(seen, graph, images)


@pytest.fixture(scope="module")
def explosive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Black pictures, and a white one that is too much for float32 in `explode`."""
    made = tmp_path_factory.mktemp("explosive")
    for index in range(2 * PIECE_IMAGES):
        pixels = np.full((24, 24, 3), 255 * (index == 20), np.uint8)
        assert cv2.imwrite(str(made / f"{index:02d}.png"), pixels)
    return made


def test_what_goes_wrong_is_said_with_the_name_of_its_picture(
    explosive: Path, spread: Spread
) -> None:
    huge = np.full((4, 3, 3, 3), 3e38, np.float32)
    graph = imported(build(BODY, w=huge, v=normal(4, 5)))
    with pytest.raises(CalibrationError, match=r"^20\.png: tensor '.' holds infinite values"):
        swept(graph, open_images(str(explosive)), spread)


def test_not_one_picture_is_said_once(graph: Graph, tmp_path: Path, spread: Spread) -> None:
    for index in range(2 * PIECE_IMAGES):
        (tmp_path / f"{index:02d}.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=rf"not one of its {2 * PIECE_IMAGES} images can be"):
        swept(graph, open_images(str(tmp_path)), spread)


def test_a_worker_that_is_killed_changes_nothing(
    graph: Graph, folder: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("converters.sweep.PIECE_IMAGES", 2)  # so that most are still to be done
    killed: list[int] = []

    def show(items: Iterable[T], total: int, what: str) -> Iterable[T]:
        assert (total, what) == (COUNT, "calibrating")
        for place, item in enumerate(items):
            if place == 4:
                killed.append(processes()[0])
                os.kill(killed[0], signal.SIGKILL)
            yield item

    images = open_images(str(folder))
    with distributed.Client(scheduler, set_as_default=False) as client:

        def processes() -> list[int]:
            return list(client.run(os.getpid).values())

        check(sweep(graph, UNIT, images, Cluster(scheduler), show), graph, images)
        assert len(killed) == 1
        assert killed[0] not in processes()


def test_the_files_are_the_same(
    model_file: Path, folder: Path, scheduler: str, tmp_path: Path
) -> None:
    made: list[list[bytes]] = []
    flagged: tuple[list[str], ...] = ([], ["--jobs", "2"], ["--scheduler", scheduler])
    for flags in flagged:
        out = tmp_path / str(len(made))
        args = ["--int8", str(model_file), "--calibration", str(folder), "-o", str(out)]
        assert (
            main([*args, "--preprocess", "unit", "--resize", "none", "--optimize", "none", *flags])
            == 0
        )
        made.append([(out / f"net.int8.{kind}").read_bytes() for kind in ("onnx", "tflite")])
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--jobs", "0"], "--jobs 0; allowed: 1 to 256 processes"),
        (["--scheduler", "10.0.0.1"], "--scheduler 10.0.0.1; allowed: tcp://HOST:PORT"),
        (["--jobs", "2", "--scheduler", "tcp://a:1"], "leave out one of them"),
    ],
)
def test_flags_that_say_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main([str(tmp_path / "net.onnx"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_observing_with_another_graph_is_noticed(graph: Graph, folder: Path) -> None:
    other = imported(build(BODY, w=normal(4, 3, 3, 3, seed=9), v=normal(4, 5)))
    images = open_images(str(folder))
    with pytest.raises(AssertionError):
        check(swept(other, images, Here()), graph, images)
