"""MobileNetV2 as a table, and everything that follows from the table.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
table 2. `Architecture.layers` unrolls the table into one fact sheet a layer; the ONNX builder,
the training module and the counts of parameters and multiply-adds read only those sheets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge.errors import EdgeError

Kind = Literal["stem", "expand", "depthwise", "project", "head", "classifier"]
Padding = Literal["tensorflow", "pytorch"]
PADDINGS: tuple[Padding, ...] = ("tensorflow", "pytorch")
Activation = Literal["relu6", "relu"]
ACTIVATIONS: tuple[Activation, ...] = ("relu6", "relu")
Bottleneck = Literal["linear", "relu"]
BOTTLENECKS: tuple[Bottleneck, ...] = ("linear", "relu")
CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "channels": (1, 3),
    "padding": PADDINGS,
    "activation": ACTIVATIONS,
    "bottleneck": BOTTLENECKS,
}
MAX_SIDE = 4096
MAX_EXPANSION = 64

# Channel counts are multiples of this, as in the paper's own code: SIMD kernels like it so.
DIVISOR = 8
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
KERNEL = 3


class ArchitectureError(EdgeError):
    """A network that was asked for cannot exist."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the paper's table 2: n bottlenecks of c channels, the first with stride s."""

    expansion: int  # t
    channels: int  # c
    repeats: int  # n
    stride: int  # s

    def __post_init__(self) -> None:
        if min(self.expansion, self.channels, self.repeats) < 1 or self.stride not in (1, 2):
            raise ArchitectureError(
                f"stage {self}: expansion, channels and repeats start at 1, and stride is 1 or 2"
            )


PAPER_STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution with its BatchNorm, or the classifier (a 1x1 on a 1x1 picture, with bias).

    `pads` is (top, left, bottom, right), as ONNX orders them. `block` names the bottleneck that
    the layer belongs to ("" outside of one). `activation`: what its normalized output goes through.
    `shortcut`: the block's input is added to what comes out of it.
    """

    name: str
    kind: Kind
    block: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    groups: int
    pads: tuple[int, int, int, int]
    input_hw: tuple[int, int]
    output_hw: tuple[int, int]
    activation: Activation | Literal["linear"]
    shortcut: bool = False

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """[O, I/groups, kH, kW] for a convolution, [O, I] for the classifier."""
        if self.kind == "classifier":
            return (self.out_channels, self.in_channels)
        return (self.out_channels, self.in_channels // self.groups, self.kernel, self.kernel)

    @property
    def fan_out(self) -> int:
        """How many outputs one input reaches, which He's initialization of kernels divides by."""
        return self.kernel * self.kernel * self.out_channels // self.groups

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that the layer owns, by its full name."""
        shapes = {f"{self.name}.weight": self.weight_shape}
        per_channel = ("bias",) if self.kind == "classifier" else ("gamma", "beta", "mean", "var")
        return shapes | {f"{self.name}.{part}": (self.out_channels,) for part in per_channel}

    def parameters(self) -> int:
        """Count what training learns: kernels, gamma and beta, or weights and biases."""
        kernels = self.kernel**2 * self.in_channels // self.groups * self.out_channels
        return kernels + self.out_channels * (1 if self.kind == "classifier" else 2)

    def multiply_adds(self) -> int:
        """Count the multiplications of one picture, as the paper does: BatchNorm is folded."""
        per_pixel = self.kernel**2 * self.in_channels // self.groups * self.out_channels
        return per_pixel * self.output_hw[0] * self.output_hw[1]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A MobileNetV2 of any width, input size and class count.

    `padding`: "tensorflow" pads as SAME does (on stride 2 and an even side only behind),
    "pytorch" pads a 3x3 kernel by 1 on every side. `epsilon` is BatchNorm's.

    With the last four a network can do without what the paper argues for. `bottleneck` "relu" puts
    the activation behind each projection too, before the sum (figure 6a); `shortcut` False leaves
    the sums out (figure 6b). `expansion` takes the place of t in every stage that expands; None
    leaves the table as it is. A stage whose t is 1, as the paper's first, keeps it: the stem before
    it has no bottleneck, and gives twice the channels that the stage makes of them.
    """

    width: float = 1.0
    image_hw: tuple[int, int] = (224, 224)
    classes: int = 1000
    channels: int = 3
    padding: Padding = "tensorflow"
    stages: tuple[Stage, ...] = PAPER_STAGES
    epsilon: float = 1e-5
    activation: Activation = "relu6"
    bottleneck: Bottleneck = "linear"
    shortcut: bool = True
    expansion: int | None = None

    def __post_init__(self) -> None:
        refusals = []
        if not 0 < self.width <= 16:
            refusals.append(f"width {self.width}; allowed: above 0, at most 16")
        if not all(1 <= side <= MAX_SIDE for side in self.image_hw):
            refusals.append(f"image_hw {self.image_hw}; allowed: 1 to {MAX_SIDE} pixels a side")
        if self.classes < 1:
            refusals.append(f"classes {self.classes}; allowed: 1 and more")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(str, allowed))
                refusals.append(f"{name} {getattr(self, name)!r}; allowed: {choices}")
        if self.expansion is not None and not 1 <= self.expansion <= MAX_EXPANSION:
            refusals.append(f"expansion {self.expansion}; allowed: 1 to {MAX_EXPANSION}")
        if not self.stages:
            refusals.append("stages is empty; it takes at least one")
        if not 0 < self.epsilon <= 1:
            refusals.append(f"epsilon {self.epsilon}; allowed: above 0, at most 1")
        if refusals:
            raise ArchitectureError("MobileNetV2: " + "; ".join(refusals))

    def layers(self) -> tuple[Layer, ...]:
        """Return every layer in the order of computation; the last one is the classifier."""
        stem = scale_channels(STEM_CHANNELS, self.width)
        layers = [self._layer("stem", "stem", (self.channels, stem), self.image_hw, stride=2)]
        block = 0
        for stage in self.stages:
            for repeat in range(stage.repeats):
                block += 1
                stride = stage.stride if repeat == 0 else 1
                layers += self._bottleneck(f"block{block}", layers[-1], stage, stride)
        # A narrow network keeps the paper's 1280 features: the classifier needs them.
        features = scale_channels(HEAD_CHANNELS, max(1.0, self.width))
        entry = layers[-1]
        layers += [
            self._layer("head", "head", (entry.out_channels, features), entry.output_hw),
            self._layer("classifier", "classifier", (features, self.classes), (1, 1)),
        ]
        return tuple(layers)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array of the network, by its name, in order."""
        return {k: v for layer in self.layers() for k, v in layer.weight_shapes().items()}

    def parameters(self) -> int:
        """Count what training learns; BatchNorm's running statistics are not among it."""
        return sum(layer.parameters() for layer in self.layers())

    def multiply_adds(self) -> int:
        """Count the multiply-adds of one picture."""
        return sum(layer.multiply_adds() for layer in self.layers())

    def _bottleneck(self, block: str, before: Layer, stage: Stage, stride: int) -> list[Layer]:
        entry, hw = before.out_channels, before.output_hw
        expansion = stage.expansion
        if expansion > 1 and self.expansion is not None:
            expansion = self.expansion
        hidden = entry * expansion
        out_channels = scale_channels(stage.channels, self.width)
        layers = []
        if expansion > 1:
            layers.append(self._layer(block, "expand", (entry, hidden), hw))
        depthwise = self._layer(block, "depthwise", (hidden, hidden), hw, stride=stride)
        shortcut = self.shortcut and stride == 1 and entry == out_channels
        hw = depthwise.output_hw
        project = self._layer(block, "project", (hidden, out_channels), hw, shortcut=shortcut)
        return [*layers, depthwise, project]

    def _layer(
        self,
        place: str,
        kind: Kind,
        in_out: tuple[int, int],
        input_hw: tuple[int, int],
        *,
        stride: int = 1,
        shortcut: bool = False,
    ) -> Layer:
        kernel = KERNEL if kind in ("stem", "depthwise") else 1
        (top, bottom), (left, right) = (
            side_padding(side, kernel, stride, self.padding) for side in input_hw
        )
        in_block = place != kind
        is_linear = kind == "classifier" or (kind == "project" and self.bottleneck == "linear")
        return Layer(
            name=f"{place}.{kind}" if in_block else place,
            kind=kind,
            block=place if in_block else "",
            in_channels=in_out[0],
            out_channels=in_out[1],
            kernel=kernel,
            stride=stride,
            groups=in_out[0] if kind == "depthwise" else 1,
            pads=(top, left, bottom, right),
            input_hw=input_hw,
            # Both paddings keep ceil(side / stride).
            output_hw=(-(-input_hw[0] // stride), -(-input_hw[1] // stride)),
            activation="linear" if is_linear else self.activation,
            shortcut=shortcut,
        )


def scale_channels(channels: int, width: float) -> int:
    """Return channels * width to the nearest multiple of 8, never more than 10 % below it."""
    wanted = channels * width
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * wanted else rounded


def side_padding(side: int, kernel: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Return how many rows of zeros go before and behind a side of `side` pixels.

    "tensorflow" is SAME of https://www.tensorflow.org/api_docs/python/tf/nn: just enough for
    ceil(side / stride) outputs, the odd row behind.
    """
    if padding == "pytorch":
        return kernel // 2, kernel // 2
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return total // 2, total - total // 2
