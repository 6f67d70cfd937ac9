"""Classifiers of torchvision and timm with seeded random weights, exported as users export them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

CLASSES = 10
SEED = 0
# So many batches of so many pictures of noise give BatchNormalization its statistics.
SETTLING_BATCHES, SETTLING_PICTURES = 2, 4
# The spread of a classifier's weights that its library starts at zero: zeros prove nothing.
HEAD_STD = 0.05
OPSET = 17

Exporter = Literal["torchscript", "dynamo"]


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One architecture. `options` go to the library's constructor; pictures are `side` square."""

    name: str
    library: Literal["torchvision", "timm"]
    side: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)


def _torchvision(*names: str, **options: Any) -> list[ZooModel]:  # noqa: ANN401
    return [ZooModel(name, "torchvision", options=options) for name in names]


def _timm(*names: str, side: int = 64, **options: Any) -> list[ZooModel]:  # noqa: ANN401
    return [ZooModel(name, "timm", side, options) for name in names]


ZOO = (
    *_torchvision(
        "resnet18", "resnext50_32x4d", "squeezenet1_1", "densenet121", "mobilenet_v2",
        "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5", "mnasnet0_5",
        "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "swin_t",
    ),
    ZooModel("inception_v3", "torchvision", 96, {"aux_logits": False, "init_weights": True}),
    *_torchvision("googlenet", init_weights=True, aux_logits=False),
    *_timm(
        "ghostnet_100", "mobilenetv4_conv_small", "repvgg_a0", "mixnet_s", "mobilevit_xxs",
        "poolformer_s12", "resnetv2_50", "tresnet_m", "hardcorenas_a", "fbnetc_100", "tinynet_e",
        "lcnet_050", "edgenext_xx_small", "dla34", "hrnet_w18_small", "cspdarknet53", "nfnet_l0",
        "fastvit_t8", "convmixer_768_32",
    ),
    *_timm("deit_tiny_patch16_224", "mixer_s32_224", "resmlp_12_224", img_size=64),
    *_timm("levit_128s", "efficientformer_l1", side=224),
)  # fmt: skip


def build(model: ZooModel) -> nn.Module:
    """Return the architecture in evaluation mode, its weights seeded, its statistics settled."""
    torch.manual_seed(SEED)
    if model.library == "torchvision":
        import torchvision

        module = torchvision.models.get_model(
            model.name, weights=None, num_classes=CLASSES, **model.options
        )
    else:
        import timm

        module = timm.create_model(model.name, num_classes=CLASSES, **model.options)
    for parameter in module.parameters():
        if not parameter.any() and parameter.ndim > 1:
            nn.init.normal_(parameter, std=HEAD_STD)
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    module.train()
    with torch.no_grad():
        for _ in range(SETTLING_BATCHES if norms else 0):
            module(torch.randn(SETTLING_PICTURES, 3, model.side, model.side))
    return module.eval()


def export(model: ZooModel, module: nn.Module, exporter: Exporter, path: Path) -> None:
    """Write the module as ONNX. Raises: whatever the exporter does."""
    x = torch.randn(1, 3, model.side, model.side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both exporters warn about things of their own
        if exporter == "dynamo":
            torch.onnx.export(module, (x,), path, dynamo=True, verbose=False)
        else:
            torch.onnx.export(module, (x,), path, dynamo=False, opset_version=OPSET)
