from converters.errors import (
    MAX_CHARACTERS,
    MAX_NAME,
    MAX_REFUSALS,
    ConvertError,
    Refusal,
    UnsupportedModelError,
)


def test_a_file_cannot_write_on_the_terminal() -> None:
    assert str(ConvertError("m.onnx: \x1b[2J\nerror")) == "m.onnx: \ufffd[2J\ufffderror"


def test_each_refusal_has_a_line_and_no_name_makes_another() -> None:
    error = UnsupportedModelError(
        "m.onnx", [Refusal("a\nb", "Sin\r", "no"), Refusal("c", "Cos", "n")]
    )
    assert str(error).splitlines() == [
        "m.onnx: 2 nodes cannot be converted:",
        "  - a\ufffdb (Sin\ufffd): no",
        "  - c (Cos): n",
    ]


def test_long_names_hide_no_reason_and_long_texts_end() -> None:
    assert str(Refusal("n" * 9999, "Sin", "no")) == f"{'n' * MAX_NAME} (Sin): no"
    error = ConvertError(f"m.onnx: {'a' * MAX_CHARACTERS}: the reason")
    assert str(error).startswith("m.onnx: aaa")
    assert str(error).endswith("aaa: the reason")
    assert len(str(error)) == MAX_CHARACTERS + len(" ... ")


def test_the_largest_list_and_one_longer() -> None:
    refusals = [Refusal(f"n{i}", "Sin", "no") for i in range(MAX_REFUSALS + 1)]
    assert len(str(UnsupportedModelError("m", refusals[:-1])).splitlines()) == MAX_REFUSALS + 1
    error = UnsupportedModelError("m", refusals)
    assert str(error).splitlines()[-2:] == ["  - n99 (Sin): no", "  - and 1 more"]
    assert error.refusals == tuple(refusals)
