"""The architecture's layers as a PyTorch module, for training."""

from __future__ import annotations

from torch import Tensor, nn

from converters.mobilenet_v2.architecture import Architecture, Layer
from edge.tensors import F32

DROPOUT = 0.1
ACTIVATIONS = {"relu6": nn.ReLU6, "relu": nn.ReLU}


class MobileNetV2(nn.Module):  # type: ignore[misc]  # torch may be absent
    """float32 [N, C, H, W] to logits [N, K]; the same sheets as the ONNX builder reads."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        *self.facts, last = architecture.layers()
        self.last = last
        self.layers = nn.ModuleList(_convolution(f, architecture.epsilon) for f in self.facts)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(last.in_channels, last.out_channels)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, value: Tensor) -> Tensor:
        block_input, block = value, ""
        for facts, layer in zip(self.facts, self.layers, strict=True):
            if facts.block != block:
                block, block_input = facts.block, value
            value = layer(value)
            if facts.shortcut:
                value = value + block_input
        logits: Tensor = self.classifier(self.dropout(value.mean((2, 3))))
        return logits

    def weights(self) -> dict[str, F32]:
        """Return copies of all weights under the names of `Architecture.weight_shapes`."""
        named = {
            f"{self.last.name}.weight": self.classifier.weight,
            f"{self.last.name}.bias": self.classifier.bias,
        }
        for facts, layer in zip(self.facts, self.layers, strict=True):
            convolution, norm = layer.get_submodule("conv"), layer.get_submodule("norm")
            named |= {
                f"{facts.name}.weight": convolution.weight,
                f"{facts.name}.gamma": norm.weight,
                f"{facts.name}.beta": norm.bias,
                f"{facts.name}.mean": norm.running_mean,
                f"{facts.name}.var": norm.running_var,
            }
        return {name: value.detach().numpy().copy() for name, value in named.items()}


def _convolution(facts: Layer, epsilon: float) -> nn.Sequential:
    top, left, bottom, right = facts.pads
    layer = nn.Sequential()
    symmetric = (top, left) == (bottom, right)
    if not symmetric:
        layer.add_module("pad", nn.ZeroPad2d((left, right, top, bottom)))
    convolution = nn.Conv2d(
        facts.in_channels,
        facts.out_channels,
        facts.kernel,
        facts.stride,
        padding=(top, left) if symmetric else 0,
        groups=facts.groups,
        bias=False,
    )
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    layer.add_module("conv", convolution)
    layer.add_module("norm", nn.BatchNorm2d(facts.out_channels, eps=epsilon))
    if facts.activation != "linear":
        layer.add_module("activation", ACTIVATIONS[facts.activation]())
    return layer
