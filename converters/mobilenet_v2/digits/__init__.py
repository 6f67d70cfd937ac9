"""The bundled model: MobileNetV2 0.35 that reads handwritten digits held before a camera."""
