"""What networks reach without what the paper argues for, in words and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from calibration.evaluation.intervals import Interval
from converters.mobilenet_v2.ablations.results import COMMAND, Results, Summary
from converters.mobilenet_v2.ablations.setting import REFERENCE
from converters.mobilenet_v2.explore.experiment import Chapter, Plot
from edge.page import LIGHT, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "With and without: linear bottleneck, shortcut, expansion"
SHOWN_BY = "edge-mobilenet explore --only ablations"
BENT = "ReLU6 bottleneck"
# What the paper says of each network, and what would have to come out here: that it is worse.
CLAIMS = {
    BENT: "A non-linearity behind the bottleneck costs accuracy, the paper finds (figure 6a)",
    "no shortcut": "Shortcuts between bottlenecks help, the paper finds (figure 6b)",
}
EXPANSION = "expansion "
EXPANSION_CLAIM = (
    "Of the expansion the paper says that rates between 5 and 10 come out nearly alike, and that "
    "smaller networks do better with slightly smaller ones (section 4); it gives no numbers below"
)
RULES = (
    "A network counts as apart from the reference where all of its seeds lie on one side of all of "
    "the reference's, and the 95 % interval of the difference, a bootstrap over the held-out "
    "digits that pairs the networks, does not hold 0. The interval says nothing of the seeds, and "
    "the seeds little: by chance three of them lie on one side of three others once in ten times. "
    "The setting was fixed by where "
    "the reference lands, before anything else was trained. A lower expansion also has fewer "
    "weights and multiply-adds: it is held against the reference as it is, not at equal cost. All "
    "are trained as long as the reference; what more training would do is not seen here."
)
DOT = 4.5
APART = 0.14  # of float and int8 in one row


def chapter(results: Results) -> Chapter:
    summaries = results.summaries
    return Chapter(
        title=TITLE,
        command=SHOWN_BY,
        findings=_findings(results),
        plots=(_accuracy_plot(summaries), _int8_plot(summaries)),
        tables=(_table(summaries), _int8_table(summaries)),
        numbers={
            "train_again": COMMAND,
            "setting": results.setting,
            "machine": results.machine,
            "networks": [asdict(summary) for summary in summaries],
        },
        remarks=(_setting(results), RULES),
    )


def _findings(results: Results) -> tuple[str, ...]:
    by_name = {summary.name: summary for summary in results.summaries}
    intro = (
        f"These are committed results, trained once ({results.machine['date'][:10]}, "
        f"{len(results.runs)} networks) on digits, and not of a model that is given; {COMMAND} "
        f"trains them again. The reference names {_spread(by_name[REFERENCE])} of the held-out "
        "pictures."
    )
    claims = [f"{claim}; {_outcome(by_name[name])}" for name, claim in CLAIMS.items()]
    steps = [summary for summary in results.summaries if summary.name.startswith(EXPANSION)]
    expansions = "; ".join(f"{one.name} names {_difference(one)}" for one in steps)
    return (
        intro,
        *claims,
        f"{EXPANSION_CLAIM}. Here, against {_paper_t(results)}, {expansions}.",
        _int8_finding(results.summaries, by_name[REFERENCE], by_name[BENT]),
    )


def _paper_t(results: Results) -> int:
    """Return the expansion of the reference: the largest of its table."""
    return max(int(stage[0]) for stage in results.setting["reference"]["stages"])


def _outcome(summary: Summary) -> str:
    """Return whether what a network should lose by the paper is lost here."""
    assert summary.gain is not None  # noqa: S101 (the paper claims nothing of the reference)
    if not summary.is_apart:
        verdict = "here that cannot be told from chance"
    else:
        verdict = "it holds here" if summary.gain.value < 0 else "here it is the other way round"
    return f"{verdict}: {summary.name} names {_difference(summary)}."


def _difference(summary: Summary) -> str:
    assert summary.gain is not None  # noqa: S101 (nobody asks it of the reference)
    apart = "" if summary.is_apart else ", which is not apart"
    return f"{_spread(summary)}, {_points(summary.gain)}{apart}"


def _int8_finding(summaries: tuple[Summary, ...], reference: Summary, bent: Summary) -> str:
    assert bent.int8_more is not None  # noqa: S101 (it is not the reference)
    more = bent.int8_more
    worst = min(summaries, key=lambda one: _mean(one.sqnr_db))
    verdict = "no difference that these pictures show"
    if more.high < 0 or more.low > 0:
        verdict = "worse" if more.value < 0 else "better"
    return (
        "In int8, of which the paper says nothing, the reference changes by "
        f"{_points(reference.int8_gain, 2)} at {_mean(reference.sqnr_db):.1f} dB, and the one with "
        f"a {BENT} by {_points(bent.int8_gain, 2)} at {_mean(bent.sqnr_db):.1f} dB. The latter "
        f"less the former is {_points(more, 2)}: {verdict}. The lowest SQNR is that of "
        f"{worst.name}, {_mean(worst.sqnr_db):.1f} dB."
    )


def _spread(summary: Summary) -> str:
    return (
        f"{100 * summary.mean:.1f} % (\N{PLUS-MINUS SIGN} {100 * summary.deviation:.1f} over seeds)"
    )


def _points(gain: Interval, digits: int = 1) -> str:
    low, value, high = (f"{100 * one:+.{digits}f}" for one in (gain.low, gain.value, gain.high))
    return f"{value} points (95 %: {low} to {high})"


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _setting(results: Results) -> str:
    setting, machine = results.setting, results.machine
    network, digits = setting["reference"], len(results.runs[0].right)
    side = "x".join(map(str, network["image_hw"]))
    seeds = ", ".join(map(str, setting["seeds"]))
    return (
        f"The reference is MobileNetV2's first four stages at width {network['width']:g} on "
        f"pictures of {side} pixels, whose bottlenecks have 8 to 16 channels. All are trained for "
        f"{setting['epochs']} epochs from seeds {seeds} on digits that are bent, turned and moved; "
        f"held out are {digits * results.pictures} pictures of {digits} digits by other hands. "
        f"PyTorch {machine['versions']['torch']} on one core ({machine['board']['cpu']}). The int8 "
        "files are edge-convert's own, computed as a board would."
    )


def _accuracy_plot(summaries: tuple[Summary, ...]) -> Plot:
    means = ", ".join(f"{one.name} {100 * one.mean:.1f} %" for one in summaries)
    return Plot(
        "ablations_accuracy",
        "What each network names",
        f"Held-out pictures named in float, means of three seeds: {means}.",
        0.42 * len(summaries) + 0.9,
        lambda figure: _draw_accuracy(figure, summaries),
        "Each mark is one seed, the line their mean; shaded is the span of the reference's seeds.",
    )


def _int8_plot(summaries: tuple[Summary, ...]) -> Plot:
    gains = ", ".join(f"{one.name} {100 * one.int8_gain.value:+.1f}" for one in summaries)
    return Plot(
        "ablations_int8",
        "What int8 does to each",
        f"Points that the int8 file names more than the float one, means of three seeds: {gains}.",
        0.36 * len(summaries) + 0.9,
        lambda figure: _draw_int8(figure, summaries),
        "Left, pictures named in int8 less those in float; right, the signal-to-noise ratio of "
        "the scores. Each mark is one seed, the line their mean.",
    )


def _draw_accuracy(figure: Figure, summaries: tuple[Summary, ...]) -> None:
    ax = figure.subplots()
    reference = [100 * one for one in summaries[0].accuracies]
    ax.axvspan(min(reference), max(reference), color=LIGHT["grid"], lw=0)
    for place, one in enumerate(summaries):
        _dots(ax, place - APART, one.accuracies, "float", 100)
        _dots(ax, place + APART, one.int8, "int8", 100)
    _rows(ax, summaries)
    ax.set_xlabel("held-out pictures named, %")
    handles, labels = ax.get_legend_handles_labels()
    first = dict(zip(labels, handles, strict=True))
    ax.legend(first.values(), first.keys(), loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _draw_int8(figure: Figure, summaries: tuple[Summary, ...]) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    for place, one in enumerate(summaries):
        gains = [b - a for a, b in zip(one.accuracies, one.int8, strict=True)]
        _dots(left, place, gains, "int8", 100)
        _dots(right, place, [value for value in one.sqnr_db if value is not None], "int8", 1)
    left.axvline(0, color=LIGHT["muted"], lw=0.8)
    _rows(left, summaries)
    right.grid(visible=False, axis="y")
    left.set_xlabel("points against float")
    right.set_xlabel("scores' SQNR, dB")


LOOKS = {"float": ("blue", "o"), "int8": ("amber", "D")}


def _dots(ax: Axes, row: float, values: Iterable[float], kind: str, scale: float) -> None:
    """Draw one mark for each value, all of which can be seen, and a line at their mean."""
    hue, marker = LOOKS[kind]
    scaled = [scale * value for value in values]
    ax.plot(
        *(scaled, [row] * len(scaled)),
        ls="",
        color=LIGHT[hue],
        marker=marker,
        ms=DOT,
        label=kind,
        mec="none",
        alpha=0.75,
    )
    if scaled:
        ax.plot([np.mean(scaled)], [row], ls="", color=LIGHT["ink"], marker="|", ms=2.2 * DOT)


def _rows(ax: Axes, summaries: tuple[Summary, ...]) -> None:
    ax.set_yticks(range(len(summaries)), [one.name for one in summaries])
    ax.set_ylim(len(summaries) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


def _table(summaries: tuple[Summary, ...]) -> Table:
    head = (
        "network",
        "parameters",
        "multiply-adds",
        "each seed, %",
        "mean, %",
        "over seeds",
        "binomial, 95 %",
        "against the reference, points",
        "apart",
        "training loss at the end",
    )
    rows = tuple(
        (
            one.name,
            f"{one.parameters:,}",
            f"{one.multiply_adds / 1e6:.2f} M",
            _each(one.accuracies),
            f"{100 * one.mean:.2f}",
            f"\N{PLUS-MINUS SIGN} {100 * one.deviation:.2f}",
            f"{100 * one.sampling[0]:.1f} to {100 * one.sampling[1]:.1f}",
            "" if one.gain is None else _short(one.gain),
            "" if one.gain is None else "yes" if one.is_apart else "no",
            f"{one.last_loss:.3f}",
        )
        for one in summaries
    )
    return Table(head, rows, frozenset((1, 2, 5, 6, 9)), "In float, in numbers")


def _int8_table(summaries: tuple[Summary, ...]) -> Table:
    head = (
        "network",
        "each seed, %",
        "against float, points",
        "more than the reference",
        "SQNR, dB",
    )
    rows = tuple(
        (
            one.name,
            _each(one.int8),
            _short(one.int8_gain),
            "" if one.int8_more is None else _short(one.int8_more),
            ", ".join("-" if value is None else f"{value:.1f}" for value in one.sqnr_db),
        )
        for one in summaries
    )
    return Table(head, rows, frozenset((3,)), "In int8, in numbers")


def _each(shares: Iterable[float]) -> str:
    return ", ".join(f"{100 * share:.2f}" for share in shares)


def _short(gain: Interval) -> str:
    low, value, high = (f"{100 * one:+.2f}" for one in (gain.low, gain.value, gain.high))
    return f"{value} ({low} to {high})"
