# Everything sets itself up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= build/demo

.PHONY: help demo test tools check format conformance fuzz zoo bench soak pi-lab v4l2-lab train clean
help:
	@echo "make demo         convert the bundled model, run it on a replayed camera, report"
	@echo "make test         checks and tests, as CI runs them"
	@echo "make tools        what some tests need besides Python (as root, on Debian)"
	@echo "make check        formatting, lint, types"
	@echo "make conformance  onnx's own operator tests, through our files, float and int8"
	@echo "make fuzz         ten thousand damaged models: each is refused in a sentence, or right"
	@echo "make zoo          convert classifiers of torchvision and timm (installs both: gigabytes)"
	@echo "make bench        measure on real models (needs ../shared; see tests/benchmarks)"
	@echo "make pi-lab       the loop on the real picamera2, on a PC and on an emulated Pi (downloads 500 MB)"
	@echo "make v4l2-lab     the loop on a kernel's V4L2 camera and clocks, in an emulated PC (downloads 300 MB)"
	@echo "make soak         two million frames, and 20 minutes of each runtime: nothing may grow"
	@echo "make train        train the bundled model again"
	@echo "make clean        remove what these made"

# One stamp an extra: the environment is made once and follows pyproject.toml.
$(VENV)/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# The bundled model through every stage; OUT holds what comes out.
DIGITS := converters/mobilenet_v2/digits/digits.onnx
SECONDS ?= 10
demo: $(VENV)/.demo
	@mkdir -p $(OUT) && rm -f $(OUT)/latency.jsonl*
	@echo "== Pictures: digits on cards, some to calibrate on, others to evaluate"
	$(BIN)/python -m converters.mobilenet_v2.digits.samples --out $(OUT)/pictures
	@echo "== Convert, and compare with float"
	$(BIN)/edge-convert --int8 $(DIGITS) -o $(OUT) \
		--calibration $(OUT)/pictures/calibration --evaluate $(OUT)/pictures/evaluation
	@echo "== Run the live loop for $(SECONDS) s on a replayed camera"
	$(BIN)/python device_scripts/live_classify.py --model $(OUT)/digits.int8.tflite \
		--source digits --duration $(SECONDS) --interval 1 --log $(OUT)/latency.jsonl
	@echo "== Report"
	$(BIN)/edge-report $(OUT)/latency.jsonl --html $(OUT)/latency.html
	@echo "== Open these:"
	@echo "   $(OUT)/digits.int8.html   what int8 costs, and where"
	@echo "   $(OUT)/latency.html       where a frame's time goes"

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Programs, for tests that skip without them: a browser, a broker, promtool, an RTSP server, systemd's
# and TLS's tools. Of Debian, and root's to install.
TOOLS := chromium fonts-dejavu-core mosquitto prometheus openssl systemd \
	python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-bad
tools:
	@dpkg-query --show --showformat '$${db:Status-Status}\n' $(TOOLS) 2>&1 | grep -qv '^installed$$' || exit 0; \
		apt-get --quiet update && \
		DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes install --no-install-recommends $(TOOLS)

test: check
	$(BIN)/python -m pytest

# The other tools pin versions of what we use too, so they live apart. onnx2tf needs Python 3.12;
# without it the benchmarks say what they leave out, and go on.
SHARED ?= ../shared
PYTHON_ONNX2TF ?= python3.12
ONNX2TF := $(VENV)/onnx2tf
BENCH := $(VENV)/bench
$(BENCH)/.installed: pyproject.toml
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(ONNX2TF)/bin/onnx2tf:
	-$(PYTHON_ONNX2TF) -m venv $(ONNX2TF) && \
		$(ONNX2TF)/bin/python -m pip install --quiet --disable-pip-version-check onnx2tf==2.6.9

BENCHED := build/bench/ours/mobilenet_v2_1.0_224.int8.tflite
bench: $(BENCH)/.installed $(ONNX2TF)/bin/onnx2tf
	@rm -rf build/bench
	@for name in conversion_time float_conversion structure speed accuracy; do \
		$(BENCH)/bin/python -m tests.benchmarks.$$name --shared $(SHARED) \
			--onnx2tf $(ONNX2TF)/bin/onnx2tf || exit 1; \
	done
	@if test -f $(BENCHED); then $(BENCH)/bin/python -m tests.benchmarks.loop --model $(BENCHED) \
		--model $(BENCHED:.tflite=.onnx) && \
		$(BENCH)/bin/python -m tests.benchmarks.web --model $(BENCHED); fi

MINUTES ?= 20
soak: $(VENV)/.dev
	@mkdir -p build/soak
	$(BIN)/edge-convert --int8 $(DIGITS) -o build/soak
	$(BIN)/python -m tests.benchmarks.soak --minutes $(MINUTES) \
		--models build/soak/digits.int8.tflite build/soak/digits.int8.onnx

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conformance: $(VENV)/.dev
	$(BIN)/python -m tests.conformance

CASES ?= 10000
SEED ?= 0
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED)

# torch pins what it likes, and is large: it lives apart.
ZOO := $(VENV)/zoo
EXPORTER ?= torchscript
$(ZOO)/.installed: pyproject.toml
	test -x $(ZOO)/bin/python || $(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[zoo]'
	@touch $@

zoo: $(ZOO)/.installed
	$(ZOO)/bin/python -m tests.zoo --exporter $(EXPORTER)

# Optional, and needs mmdebstrap, unshare and qemu-aarch64-static: without, it says so and is done.
# The machines are kept in ~/.cache/edge-deploy/pi-lab.
pi-lab: $(VENV)/.demo
	$(BIN)/python -m tests.pi_lab $(MACHINES)

# Likewise, of mmdebstrap, qemu-system-x86_64, mke2fs, depmod and cpio; kept in
# ~/.cache/edge-deploy/v4l2-lab. Four minutes.
v4l2-lab: $(VENV)/.demo
	$(BIN)/python -m tests.v4l2_lab

train: $(VENV)/.train
	$(BIN)/python -m converters.mobilenet_v2.digits.train --out $(dir $(DIGITS))

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
