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


def append_labels(model: bytes, labels: tuple[str, ...]) -> bytes:
    """Return the model with `labels.txt` as a ZIP behind it: TFLite's associated file.

    A ZIP is read from its end and a flatbuffer from its start, so that one file is both.
    """
    if not labels:
        return model
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(LABELS_FILE, EPOCH)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return stream.getvalue()
