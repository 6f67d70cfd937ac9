"""Trains the bundled model: `python -m converters.mobilenet_v2.digits.train --out DIR`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import build
from converters.mobilenet_v2.digits.evaluate import accuracy
from converters.mobilenet_v2.digits.rendering import Plan, crops, frames, plain_frame
from converters.mobilenet_v2.digits.spec import (
    ARCHITECTURE,
    FIGURES,
    LABELS,
    MODEL,
    NAME,
    PREPROCESS,
    SIDE,
)
from edge import __version__, files
from edge.card import ModelCard
from edge.command import new_parser, run_command
from edge.errors import EdgeError, MissingExtraError
from edge.sources.digit_cards import load_digits
from edge.tensors import U8

try:
    import torch
    from torch import Tensor, nn
except ImportError as cause:
    raise MissingExtraError("torch", "train") from cause

from converters.mobilenet_v2.digits.torch_module import MobileNetV2

BATCH = 64
PEAK_RATE = 3e-3
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.05
WARM_UP = 0.04  # of all steps
EMA_DECAY = 0.998
SHIFT = 5  # pixels of SIDE
HELD_OUT_RENDERS = 10
SETTLING_BATCHES = 48
REPORT_EVERY = 200  # steps
# A thousand pictures of each digit take 40 GB.
LIMITS = {"renders": (1, 1000), "epochs": (1, 1000), "seed": (0, 2**32 - 1), "threads": (1, 256)}
EXAMPLES = """  python -m converters.mobilenet_v2.digits.train --out converters/mobilenet_v2/digits
  nice -n 15 python -m converters.mobilenet_v2.digits.train --out /tmp/digits --epochs 2"""


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("train", train, argv)


def train(argv: Sequence[str]) -> int:
    """Render, train, export, measure; write digits.onnx and digits.json into `--out`."""
    options = _parse(argv)
    started = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)

    plan = Plan(options.renders, (options.seed, 0), elastic=True)
    digits = load_digits("training")
    pictures, classes = crops(digits, plan, options.threads, _show_rendering)
    print(f"rendered in {time.monotonic() - started:.0f} s", flush=True)
    recipe = Recipe(ARCHITECTURE, options.epochs, options.seed, options.threads)
    module = fit(pictures, classes, recipe).module

    card = ModelCard(NAME, PREPROCESS, LABELS, versions={"edge-deploy": __version__})
    model = build(ARCHITECTURE, module.weights(), card).SerializeToString()
    files.write_bytes(options.out / MODEL.name, model)
    held_out = load_digits("held-out")
    cards = Plan(HELD_OUT_RENDERS, (options.seed, 1))
    plain = [
        (plain_frame(scan), int(label))
        for scan, label in zip(held_out.scans, held_out.classes, strict=True)
    ]
    figures = {
        "held_out_accuracy_on_cards": round(accuracy(model, frames(held_out, cards)), 4),
        "held_out_accuracy_plain": round(accuracy(model, plain), 4),
        "held_out_digits": len(held_out),
        "held_out_cards": len(held_out) * HELD_OUT_RENDERS,
        "training_digits": len(digits),
        "training_pictures": len(pictures),
        "epochs": options.epochs,
        "seed": options.seed,
        "parameters": ARCHITECTURE.parameters(),
        "multiply_adds": ARCHITECTURE.multiply_adds(),
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - started),
        "model_sha256": files.sha256(model),
    }
    files.write_text(options.out / FIGURES.name, json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train, how often over all pictures, from which seed, on how many cores."""

    architecture: Architecture
    epochs: int
    seed: int
    threads: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """`module`: in evaluation mode; `losses`: of each step, with smoothed labels."""

    module: MobileNetV2
    losses: list[float]


def fit(pictures: U8, classes: NDArray[np.int64], recipe: Recipe) -> Fitted:
    """Train a network.

    Args: pictures: uint8 [N, 3, H, W] RGB, a batch at least, of the size of the recipe's network;
        classes: int64 [N].
    """
    epochs, seed = recipe.epochs, recipe.seed
    torch.manual_seed(seed)
    torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)
    module = MobileNetV2(recipe.architecture).to(memory_format=torch.channels_last)
    averaged = torch.optim.swa_utils.AveragedModel(
        module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY)
    )
    kernels = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others}]
    optimizer = torch.optim.AdamW(groups, PEAK_RATE, weight_decay=0.0)
    steps = epochs * (len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=steps, pct_start=WARM_UP, cycle_momentum=False
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    random = np.random.default_rng((seed, 2))
    started, losses = time.monotonic(), []
    for _ in range(epochs):
        order = random.permutation(len(pictures))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            loss = loss_of(
                module(_batch(pictures[chosen], random)), torch.from_numpy(classes[chosen])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(module)
            losses.append(loss.item())
            step = len(losses)
            if step % REPORT_EVERY == 0:
                seconds = time.monotonic() - started
                print(
                    f"step {step}/{steps}: loss {np.mean(losses[-REPORT_EVERY:]):.3f}, "
                    f"{seconds:.0f} s, {seconds / step * (steps - step):.0f} s left",
                    flush=True,
                )
    trained: MobileNetV2 = averaged.module
    _settle(trained, pictures, random)
    trained.eval()
    return Fitted(trained, losses)


def _settle(module: MobileNetV2, pictures: U8, random: np.random.Generator) -> None:
    """Measure BatchNorm's statistics anew: those that were learned belong to other weights."""
    module.train()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
    with torch.no_grad():
        for _ in range(SETTLING_BATCHES):
            module(_batch(pictures[random.integers(0, len(pictures), 2 * BATCH)], random))


def _batch(pictures: U8, random: np.random.Generator) -> Tensor:
    """Return bytes [N, 3, H, W] as the network's input, each shifted and with other colours."""
    count = len(pictures)
    height, width = pictures.shape[2:]
    shift = round(SHIFT * width / SIDE)
    padded = np.pad(pictures, ((0, 0), (0, 0), (shift, shift), (shift, shift)), mode="edge")
    shifted = np.stack(
        [
            picture[:, y : y + height, x : x + width]
            for picture, (y, x) in zip(
                padded, random.integers(0, 2 * shift + 1, (count, 2)), strict=True
            )
        ]
    )
    value = torch.from_numpy(shifted).float().div_(127.5).sub_(1.0)
    gain = random.uniform(0.75, 1.25, (count, 1, 1, 1)) * random.uniform(0.9, 1.1, (count, 3, 1, 1))
    offset = random.uniform(-0.15, 0.15, (count, 1, 1, 1))
    value = value.mul_(torch.from_numpy(gain).float()).add_(torch.from_numpy(offset).float())
    return value.clamp_(-1, 1).contiguous(memory_format=torch.channels_last)


def _show_rendering(done: int, total: int) -> None:
    print(f"rendered {done}/{total}", flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("train", "Train the bundled digit model on rendered cards.", EXAMPLES)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of digits.onnx, digits.json"
    )
    parser.add_argument("--renders", type=int, default=60, help="pictures a digit (default 60)")
    parser.add_argument("--epochs", type=int, default=8, help="passes over them (default 8)")
    parser.add_argument("--seed", type=int, default=20, help="of everything random (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="processor cores (default 2)")
    options = parser.parse_args(argv)
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(options, name) <= most:
            raise EdgeError(f"--{name} {getattr(options, name)}; allowed: {least} to {most}")
    return options


if __name__ == "__main__":
    sys.exit(main())
