"""How each framework names the arrays of a MobileNetV2, how it lays them out, and its habits.

Names are templates. In a block `b` counts from 1 over all of them, `b1` and `b2` are one and two
less; `s` and `r` count stages and repeats from 0; `last` is the number of blocks + 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from converters.mobilenet_v2.architecture import Kind, Padding

Pair = tuple[str, str]  # of a convolution, and of the BatchNorm behind it
Block = Mapping[Kind, Pair]


@dataclass(frozen=True, slots=True)
class Family:
    """One framework's names.

    `expanded` and `plain` name the layers of blocks with and without an expansion, `first` those
    of the first block, where that has a name of its own. `kernels` are what a kernel may be called
    behind its layer's name. `layout` is that of kernels: "OIHW" with dense [O, I], or "HWIO" with
    depthwise [H, W, I, 1] and dense [I, O]. `is_staged`: whether names tell the stages.
    `takes_any_dense`: a classifier may have any name. Of `paddings` and `epsilons` the first is
    assumed, and the others may be asked for. `preset` is the preprocessing it trains with.
    `first_has_shortcut`: whether the first block has one where as many channels go out as come in,
    as in narrow networks.
    """

    name: str
    stem: Pair
    head: Pair
    expanded: Block
    plain: Block
    classifiers: tuple[str, ...]
    paddings: tuple[Padding, ...]
    epsilons: tuple[float, ...]
    preset: str
    first: Block | None = None
    joint: str = "."
    kernels: tuple[str, ...] = ("weight",)
    norm: tuple[str, str, str, str] = ("weight", "bias", "running_mean", "running_var")
    layout: Literal["OIHW", "HWIO"] = "OIHW"
    is_staged: bool = False
    takes_any_dense: bool = False
    first_has_shortcut: bool = True


TORCHVISION = Family(
    name="torchvision",
    stem=("features.0.0", "features.0.1"),
    head=("features.{last}.0", "features.{last}.1"),
    expanded={
        "expand": ("features.{b}.conv.0.0", "features.{b}.conv.0.1"),
        "depthwise": ("features.{b}.conv.1.0", "features.{b}.conv.1.1"),
        "project": ("features.{b}.conv.2", "features.{b}.conv.3"),
    },
    plain={
        "depthwise": ("features.{b}.conv.0.0", "features.{b}.conv.0.1"),
        "project": ("features.{b}.conv.1", "features.{b}.conv.2"),
    },
    classifiers=("classifier.1", "classifier"),
    paddings=("pytorch",),
    epsilons=(1e-5,),
    preset="imagenet",
)
TIMM = Family(
    name="timm",
    stem=("conv_stem", "bn1"),
    head=("conv_head", "bn2"),
    expanded={
        "expand": ("blocks.{s}.{r}.conv_pw", "blocks.{s}.{r}.bn1"),
        "depthwise": ("blocks.{s}.{r}.conv_dw", "blocks.{s}.{r}.bn2"),
        "project": ("blocks.{s}.{r}.conv_pwl", "blocks.{s}.{r}.bn3"),
    },
    plain={
        "depthwise": ("blocks.{s}.{r}.conv_dw", "blocks.{s}.{r}.bn1"),
        "project": ("blocks.{s}.{r}.conv_pw", "blocks.{s}.{r}.bn2"),
    },
    classifiers=("classifier",),
    # Networks that it took over from TensorFlow (tf_...) have the same names.
    paddings=("pytorch", "tensorflow"),
    epsilons=(1e-5, 1e-3),
    preset="imagenet",
    is_staged=True,
)
TRANSFORMERS = Family(
    name="transformers",
    stem=("conv_stem.first_conv.convolution", "conv_stem.first_conv.normalization"),
    head=("conv_1x1.convolution", "conv_1x1.normalization"),
    expanded={
        "expand": (
            "layer.{b2}.expand_1x1.convolution",
            "layer.{b2}.expand_1x1.normalization",
        ),
        "depthwise": ("layer.{b2}.conv_3x3.convolution", "layer.{b2}.conv_3x3.normalization"),
        "project": ("layer.{b2}.reduce_1x1.convolution", "layer.{b2}.reduce_1x1.normalization"),
    },
    plain={},
    first={
        "depthwise": ("conv_stem.conv_3x3.convolution", "conv_stem.conv_3x3.normalization"),
        "project": ("conv_stem.reduce_1x1.convolution", "conv_stem.reduce_1x1.normalization"),
    },
    classifiers=("classifier",),
    paddings=("tensorflow", "pytorch"),  # tf_padding of its configuration
    epsilons=(1e-3, 1e-5),
    preset="tf",
    first_has_shortcut=False,
)
KERAS = Family(
    name="Keras",
    stem=("Conv1", "bn_Conv1"),
    head=("Conv_1", "Conv_1_bn"),
    expanded={
        "expand": ("block_{b1}_expand", "block_{b1}_expand_BN"),
        "depthwise": ("block_{b1}_depthwise", "block_{b1}_depthwise_BN"),
        "project": ("block_{b1}_project", "block_{b1}_project_BN"),
    },
    plain={
        "depthwise": ("block_{b1}_depthwise", "block_{b1}_depthwise_BN"),
        "project": ("block_{b1}_project", "block_{b1}_project_BN"),
    },
    first={
        "depthwise": ("expanded_conv_depthwise", "expanded_conv_depthwise_BN"),
        "project": ("expanded_conv_project", "expanded_conv_project_BN"),
    },
    classifiers=("predictions", "Logits"),
    paddings=("tensorflow",),
    epsilons=(1e-3,),
    preset="tf",
    joint="/",
    kernels=("kernel", "depthwise_kernel"),
    norm=("gamma", "beta", "moving_mean", "moving_variance"),
    layout="HWIO",
    takes_any_dense=True,
)
_OWN: Block = {
    kind: (f"block{{b}}.{kind}", f"block{{b}}.{kind}")
    for kind in ("expand", "depthwise", "project")
}
OWN = Family(
    name="edge-mobilenet",
    stem=("stem", "stem"),
    head=("head", "head"),
    expanded=_OWN,
    plain={kind: pair for kind, pair in _OWN.items() if kind != "expand"},
    classifiers=("classifier",),
    paddings=("tensorflow", "pytorch"),
    epsilons=(1e-5, 1e-3),
    preset="imagenet",
    norm=("gamma", "beta", "mean", "var"),
)
FAMILIES = (TORCHVISION, TIMM, TRANSFORMERS, KERAS, OWN)

# What wrappers put before every name, and what a model with a classifier puts before its trunk's.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "mobilenet_v2.")
# Counters of training steps, which no inference reads.
COUNTERS = ("num_batches_tracked", "n_averaged")
