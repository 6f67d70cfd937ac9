"""The run over MQTT: label changes, health, and what Home Assistant needs to show them."""
