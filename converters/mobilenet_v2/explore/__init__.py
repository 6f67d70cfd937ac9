"""edge-mobilenet explore: the experiments behind MobileNetV2's design, to be run and looked at.

Each experiment is a module with `run(asked)`, which gives a frozen result, and `chapter(result)`,
which says what was found: in sentences, plots, tables and numbers. `experiments.py` lists them.
"""
