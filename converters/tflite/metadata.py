"""The card inside the file, and the labels where other tools look for them."""

from __future__ import annotations

import io
import zipfile

from converters.tflite.builder import TfliteBuilder
from edge.card import CARD_KEY, LABELS_FILE, ModelCard

# ZIP knows no time zone; a fixed date makes the same model the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def add_card(builder: TfliteBuilder, card: ModelCard) -> None:
    """Add the card as a metadata buffer."""
    builder.add_metadata(CARD_KEY, card.to_json().encode())


class _Behind(io.BytesIO):
    """The end of a file, whose first `start` bytes lie elsewhere."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start = start

    def tell(self) -> int:
        return self._start + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._start + super().seek(
            offset - self._start if whence == io.SEEK_SET else offset, whence
        )


def labels_behind(size_bytes: int, labels: tuple[str, ...]) -> bytes:
    """Return `labels.txt` as a ZIP to stand behind a model of so many bytes: an associated file.

    A ZIP is read from its end and a flatbuffer from its start, so that one file is both.
    """
    if not labels:
        return b""
    stream = _Behind(size_bytes)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(LABELS_FILE, EPOCH)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return stream.getvalue()
