"""What compare and report print of an evaluation; imported when one of them has something to print."""

import json
import textwrap

from gan_sampler.evaluation._metrics import METRIC_LABELS
from gan_sampler.evaluation._statistics import METRICS_TESTED

WIDTH = 100


def metrics_tested(metric):
    """Return the metrics to test: those of the report, and the chosen one."""
    return list(dict.fromkeys([*METRICS_TESTED, metric]))


def as_text(comparison, metric):
    """Return the answer and the table of a metric for people, at most 100 columns wide."""
    lines = [_wrapped(sentence) for sentence in comparison.answer(metric)]
    table = comparison.table(metric)
    lines += ["", f"{METRIC_LABELS.get(metric, metric)} on the test images", "", table.to_string(line_width=WIDTH)]
    lines += [_wrapped(line) for line in table.attrs.get("legend", ())]
    return "\n".join(["", *lines])


def as_json(store, comparison, metric, file, tests=None):
    """Return the same as one JSON object."""
    found = {
        "store": str(store),
        "report": str(file),
        "scoring": metric,
        "n_finished": sum(record["error"] is None for record in comparison.records),
        "n_failed": n_failed(comparison),
        "n_missing": len(comparison.missing),
        "answer": comparison.answer(metric),
        "table": json.loads(comparison.table(metric).to_json(orient="index")),
    }
    if tests is not None:
        found["tests"] = json.loads(tests.to_json(orient="records"))
    return json.dumps(found, ensure_ascii=False)


def n_failed(comparison, keys=None):
    """Return how many cells failed, of all or of some."""
    return sum(record["error"] is not None for record in comparison.records if keys is None or record["key"] in keys)


def significant(tests, against, labels):
    """Return the differences that are significant, one a line."""
    versus = labels.get(against, against)
    if tests["p"].isna().all():
        return _wrapped(
            f"\nNothing can be tested against {versus}: a test needs at least two repeats of a cell. Run the same command "
            "with more seeds, such as --seeds 0-4."
        )
    found = tests[tests["is_significant"]]
    if found.empty:
        return f"\nNo difference from {versus} is significant at .05 (Holm, {len(tests)} tests)."
    lines = [f"\nSignificantly different from {versus} at .05 (Holm, {len(tests)} tests):"]
    lines += [
        _wrapped(
            f"{test.treatment_label} with {test.classifier}: {METRIC_LABELS.get(test.metric, test.metric)} "
            f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f}), p {_p(test.p_holm)}",
            "  ",
        )
        for test in found.itertuples()
    ]
    return "\n".join(lines)


def _p(value):
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)


def _wrapped(text, indent=""):
    first = "\n" if text.startswith("\n") else ""
    return first + textwrap.fill(text.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  " if indent else "")
