"""The run over MQTT: label changes, health, and what Home Assistant needs to show them."""

HOME_ASSISTANT = "homeassistant"
"""Where Home Assistant looks for new devices, unless it is told otherwise."""
