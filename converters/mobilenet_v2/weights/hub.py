"""Weights by their name on the Hugging Face hub: hf://owner/name[@revision][/file]."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from converters.mobilenet_v2.weights.contents import WeightFileError, shown
from converters.mobilenet_v2.weights.tfjs import MANIFEST
from edge.backends.base import brief
from edge.errors import MissingExtraError

SCHEME = "hf://"
NAME = re.compile(
    r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>[^\\@]+))?", re.ASCII
)
# What is read with the least trust comes first.
PREFERRED = (".safetensors", ".npz", ".keras", ".h5", ".pth", ".pt", ".bin")
# Of several of a kind, the one that libraries load by default.
USUAL = ("model", "pytorch_model", "tf_model", "model.weights")


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository, a revision of it (None: the newest), a file in it (None: the best)."""

    repo: str
    revision: str | None
    file: str | None


def parse(name: str) -> HubName:
    """Read a name of this form. Raises: WeightFileError: it has another."""
    found = NAME.fullmatch(name)
    parts = PurePosixPath(found["file"] or "").parts if found else ()
    if found is None or ".." in parts or "/" in parts:
        raise WeightFileError(f"{shown(name)}: allowed: hf://owner/name[@revision][/file]")
    return HubName(found["repo"], found["revision"], found["file"])


def fetch(name: str) -> Path:
    """Return where the file lies, downloaded or from the library's own cache.

    Raises: WeightFileError: there is no such repository, revision or file, or no network and
        nothing in the cache; MissingExtraError: huggingface_hub is not installed.
    """
    try:
        import huggingface_hub as hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as cause:
        raise MissingExtraError("huggingface_hub", "hub") from cause
    of = parse(name)
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        file = of.file or choose(name, _listed(of))
        if PurePosixPath(file).name != MANIFEST:
            return Path(hub.hf_hub_download(of.repo, file, revision=of.revision))
        # Its shards lie beside it.
        around = str(PurePosixPath(file).parent / "*")
        return Path(
            hub.snapshot_download(of.repo, revision=of.revision, allow_patterns=around), file
        )
    except WeightFileError:
        raise
    except Exception as cause:
        raise WeightFileError(
            f"{name}: not to be had ({type(cause).__name__}: {brief(cause)}); look at the name and "
            "the network, or download the file and name that"
        ) from cause


def _listed(of: HubName) -> list[str]:
    """Return the repository's files; without a network, those of it in the cache."""
    import huggingface_hub as hub

    try:
        return list(hub.HfApi().list_repo_files(of.repo, revision=of.revision))
    except Exception as cause:  # noqa: BLE001 - whatever the library's HTTP client raises
        try:
            folder = hub.snapshot_download(of.repo, revision=of.revision, local_files_only=True)
        except Exception:  # noqa: BLE001 - what failed first says more
            raise cause from None
        found = Path(folder).rglob("*")
        return [path.relative_to(folder).as_posix() for path in found if path.is_file()]


def choose(name: str, files: Sequence[str]) -> str:
    """Return the file to read of those in a repository.

    Raises: WeightFileError: none is of a known format, or several are alike.
    """
    for suffix in PREFERRED:
        alike = [file for file in files if file.endswith(suffix) and "/" not in file]
        usual = [file for file in alike if file.removesuffix(suffix) in USUAL]
        chosen = alike if len(alike) == 1 else usual
        # Beside weights, PyTorch's trainers keep other pickles as .bin.
        if len(chosen) == 1 and (suffix != ".bin" or usual):
            return chosen[0]
        if alike and suffix != ".bin":
            raise WeightFileError(
                f"{name}: has {len(alike)} files {', '.join(map(shown, alike[:10]))}; name one: "
                f"{name}/{alike[0]}"
            )
    found = ", ".join(shown(file) for file in files[:10]) or "nothing"
    raise WeightFileError(
        f"{name}: holds {found}; allowed at its top: {', '.join(PREFERRED)}, or name a file"
    )
