import pytest

from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]
# Twelve channels, of which each is told from every other.
DEEP = "d = SpaceToDepth<blocksize=2>(x) e = Transpose<perm=[0,1,3,2]>(d) "


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_space_to_depth(block: int, opset: int) -> None:
    graph = assert_same(build(f"y = SpaceToDepth<blocksize={block}>(x)", opset=opset))
    assert graph.shapes["y"] == (1, 3 * block**2, 8 // block, 8 // block)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("", ["DepthToSpace"]),
        (', mode="DCR"', ["DepthToSpace"]),
        (', mode="CRD"', ["Reshape", "Transpose", "Reshape"]),
    ],
)
def test_depth_to_space(mode: str, kinds: list[str], opset: int) -> None:
    body = f"{DEEP} y = DepthToSpace<blocksize=2{mode}>(e)"
    graph = assert_same(build(body, "float[1,3,8,12]", opset=opset))
    assert [node.kind for node in graph.nodes][2:] == kinds
    assert graph.shapes["y"] == (1, 3, 12, 8)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_of_four(mode: str) -> None:
    body = f'd = SpaceToDepth<blocksize=8>(x) y = DepthToSpace<blocksize=4, mode="{mode}">(d)'
    assert assert_same(build(body)).shapes["y"] == (1, 12, 4, 4)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("DepthToSpace<blocksize=2>(x)", "blocks of 2 do not fit an input of shape (1, 3, 8, 8)"),
        ('DepthToSpace<blocksize=2, mode="CRD">(x)', "blocks of 2 do not fit"),
        ("DepthToSpace<blocksize=0>(x)", "blocks of 0 do not fit"),
        ("DepthToSpace<blocksize=-1>(x)", "blocks of -1 do not fit"),
        ('DepthToSpace<blocksize=1, mode="RDC">(x)', "mode 'RDC' is not one of ONNX's"),
        ("DepthToSpace<blocksize=1>(f)", "blocks of 1 do not fit an input of shape (1, 192)"),
        ("DepthToSpace(x)", "not as opset 17 defines it"),
        ("SpaceToDepth<blocksize=3>(x)", "blocks of 3 do not fit an input of shape (1, 3, 8, 8)"),
        ("SpaceToDepth<blocksize=16>(x)", "blocks of 16 do not fit"),
        ("SpaceToDepth<blocksize=0>(x)", "allowed: 1 or more"),
        ("SpaceToDepth<blocksize=-2>(x)", "allowed: 1 or more"),
        ("SpaceToDepth<blocksize=1>(f)", "blocks of 1 do not fit an input of shape (1, 192)"),
    ],
)
def test_refusals(node: str, reason: str) -> None:
    assert_refused(build(f"f = Flatten(x) y = {node}"), reason)
