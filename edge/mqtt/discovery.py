"""What Home Assistant is told, so that a device with its sensors appears there by itself.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import edge
from edge.mqtt.options import MqttOptions

AVAILABILITY, LABEL, HEALTH = "availability", "label", "health"
# These show all of their topic as attributes. No others: every message would be kept with each.
_WITH_ATTRIBUTES = ("label", "problem")
_DIAGNOSTIC = {"entity_category": "diagnostic"}
# component, object, topic, what its configuration says of it. A value that is null is unknown.
_ENTITIES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    (
        "sensor",
        "label",
        LABEL,
        {"name": "Label", "icon": "mdi:tag", "value_template": "{{ value_json.label }}"},
    ),
    (
        "sensor",
        "confidence",
        LABEL,
        {
            "name": "Confidence",
            "icon": "mdi:percent",
            "unit_of_measurement": "%",
            "value_template": "{{ value_json.confidence_percent }}",
        },
    ),
    (
        "sensor",
        "fps",
        HEALTH,
        {
            "name": "Frame rate",
            "icon": "mdi:speedometer",
            "unit_of_measurement": "fps",
            "state_class": "measurement",
            "value_template": "{{ value_json.fps }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "sensor",
        "p99",
        HEALTH,
        {
            "name": "Latency p99",
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "state_class": "measurement",
            "value_template": "{{ value_json.p99_ms }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "sensor",
        "temperature",
        HEALTH,
        {
            "name": "Temperature",
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "state_class": "measurement",
            "value_template": "{{ value_json.temperature_c }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "binary_sensor",
        "problem",
        HEALTH,
        {
            "name": "Problem",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.problems else 'OFF' }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "sensor",
        "notice",
        HEALTH,
        {
            "name": "Notice",
            "icon": "mdi:message-alert",
            # A state has 255 characters at most.
            "value_template": "{{ (value_json.problems | join('; ') or 'all is well')[:255] }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "sensor",
        "outages",
        HEALTH,
        {
            "name": "Camera outages",
            "icon": "mdi:camera-off",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.since_start.outages }}",
            **_DIAGNOSTIC,
        },
    ),
    (
        "sensor",
        "gap",
        HEALTH,
        {
            "name": "Longest gap",
            "device_class": "duration",
            "unit_of_measurement": "s",
            "state_class": "measurement",
            "value_template": "{{ value_json.longest_gap_s }}",
            **_DIAGNOSTIC,
        },
    ),
)


def node_of(topic: str) -> str:
    """Return a name of letters, digits and _ that belongs to a topic alone."""
    digest = hashlib.sha256(topic.encode()).hexdigest()[:8]
    return f"edge_live_{re.sub('[^A-Za-z0-9]+', '_', topic).strip('_')[:40]}_{digest}"


def configurations(
    options: MqttOptions, facts: Mapping[str, Any], *, has_thermometer: bool
) -> dict[str, dict[str, Any]]:
    """Return what to publish, retained, by topic: an entity each, of one device."""
    node = node_of(options.topic)
    shared = {
        "availability_topic": f"{options.topic}/{AVAILABILITY}",
        "device": {
            "identifiers": [node],
            "name": options.topic,
            "manufacturer": "edge-deploy",
            "model": str(facts.get("card") or facts.get("model") or "classifier"),
            "sw_version": edge.__version__,
        },
        "origin": {"name": "edge-deploy", "sw_version": edge.__version__},
    }
    found = {}
    for component, name, topic, more in _ENTITIES:
        if name != "temperature" or has_thermometer:
            state = f"{options.topic}/{topic}"
            attributes = {"json_attributes_topic": state} if name in _WITH_ATTRIBUTES else {}
            found[f"{options.discovery}/{component}/{node}/{name}/config"] = {
                "unique_id": f"{node}_{name}",
                "state_topic": state,
                **attributes,
                **more,
                **shared,
            }
    return found
