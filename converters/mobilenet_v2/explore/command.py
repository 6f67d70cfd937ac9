"""Runs `edge-mobilenet explore`: experiments, page, pictures, words."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from calibration.progress import bar
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.experiments import chapters
from converters.mobilenet_v2.explore.page import (
    check_drawing,
    files_of,
    to_json,
    to_text,
)
from edge.files import replacing
from edge.picture_flags import picture_flags
from edge.text import printable


def explore(args: argparse.Namespace) -> int:
    """Run what was asked for, write all files, or none, and print what was found.

    Raises: EdgeError: what cannot be read, converted or looked at; OSError: the folder cannot be
        written.
    """
    check_drawing()
    if args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(args.out))
    with tempfile.TemporaryDirectory(prefix="edge-explore-") as scratch:
        asked = Asked(
            model=args.model,
            images=args.images,
            samples=args.samples,
            seed=args.seed,
            scratch=Path(scratch),
            progress=bar,
            picture=picture_flags(args),
            note=_note,
        )
        found = chapters(asked, args.only)
    subject = printable(args.model.name) if args.model else "the bundled network of digits"
    written = _save(args.out, files_of(found, subject, bar))
    print(json.dumps(to_json(found), indent=2) if args.json else to_text(found))
    for path in written:
        print(f"wrote {path}", file=sys.stderr if args.json else sys.stdout)
    return 0


def _note(text: str) -> None:
    print(f"edge-mobilenet: note: {printable(text)}", file=sys.stderr)


def _save(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for name, data in files.items():
            stack.enter_context(replacing(folder / name)).write_bytes(data)
    return [folder / name for name in files]
