"""What compare and report print of an evaluation; imported when one of them has something to print."""

import json
import textwrap

from gan_sampler.evaluation._metrics import METRIC_LABELS
from gan_sampler.evaluation._statistics import METRICS_TESTED
from gan_sampler.evaluation._tables import summarise

WIDTH = 100


def as_text(comparison, metric):
    """Return the answer and the table of a metric for people, at most 100 columns wide."""
    return "\n".join([*map(wrapped, comparison.answer(metric)), "", comparison.to_text(metric)])


def as_json(store, comparison, metric, file, tests=None):
    """Return the same as one JSON object, with the tests where they are given."""
    table = summarise(comparison.records, metric, comparison.missing)
    found = {
        "store": str(store),
        "report": str(file),
        "scoring": metric,
        "n_finished": len(comparison.records) - comparison.n_failed,
        "n_failed": comparison.n_failed,
        "n_missing": len(comparison.missing),
        "answer": comparison.answer(metric),
        "table": json.loads(table.drop(columns="row").to_json(orient="records")),
        "room": json.loads(comparison.room(metric).to_json(orient="records")),
    }
    if tests is not None:
        found["tests"] = json.loads(tests.to_json(orient="records"))
    return json.dumps(found, ensure_ascii=False)


def tests_of(comparison, metric, against):
    """Return the tests of the metrics that the report tests, and of the chosen one."""
    known = comparison.manifest["treatments"]
    if against not in known:
        raise ValueError(f"against must be a sampler of this evaluation ({', '.join(known)}); got {against!r}.")
    return comparison.tests(against, list(dict.fromkeys([*METRICS_TESTED, metric])))


def significant(tests, against):
    """Return the differences that are significant, one a line."""
    if tests["p"].isna().all():
        return wrapped(
            f"Nothing can be tested against {against}: a test needs at least two repeats. Give the command of the run "
            "again with more seeds, such as --seeds 0-4."
        )
    found = tests[tests["is_significant"]]
    n_tests = tests["p"].notna().sum()
    if found.empty:
        return f"No difference from {against} is significant at .05 (Holm, {n_tests} tests)."
    lines = [f"Significantly different from {against} at .05 (Holm, {n_tests} tests):"]
    lines += [
        wrapped(
            f"{test.treatment_label} with {test.classifier}: {METRIC_LABELS[test.metric]} {test.difference:+.3f} "
            f"({test.low:+.3f} to {test.high:+.3f}), p {_p(test.p_holm)}",
            indent="  ",
        )
        for test in found.itertuples()
    ]
    return "\n".join(lines)


def wrapped(text, indent=""):
    """Return the lines of a text, none of them longer than 100 columns; what goes on stands further in."""
    fill = textwrap.TextWrapper(WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False)
    return "\n".join(map(fill.fill, text.splitlines()))


def _p(value):
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)
