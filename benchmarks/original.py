"""Table 1 of the original report beside a run of ``--preset report``: from results to a CSV file, and to Markdown.

    python benchmarks/run.py --preset report --data path/to/chest_xray --seeds 0 --out results/report
    python benchmarks/original.py --collect results/report
    python benchmarks/original.py

The first command can be interrupted and repeated, and its parts may be computed one after another, with
``--classifiers``. ``--collect`` writes of what is finished ``table1.csv`` and ``pairs.csv``, the test images that each
classifier gets right with and without DCGAN, with McNemar's exact test. Without it, nothing but these files is needed.
The counterparts of the original's figures are in ``report.html`` in the results folder.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from gan_sampler.evaluation._records import is_finished
from gan_sampler.evaluation._store import Store
from gan_sampler.evaluation._tables import is_published_split, published_table

OUT = Path("docs/results/report")
_COUNTS = ("n_test", "right_without", "right_with", "only_with", "only_without")


def collect(store, folder):
    """Write table1.csv and pairs.csv of the cells in a results folder.

    Parameters
    ----------
    store : path
        Folder of results.
    folder : Path
        Where to write.

    Raises
    ------
    ValueError
        When the folder holds no finished cell of the published split.
    """
    records = [record for record in Store(store).records() if is_finished(record) and is_published_split(record)]
    if not records:
        raise ValueError(
            f"--collect must name a folder with finished cells of the chest X-rays on their published split; {store} "
            "has none. Run the preset report first."
        )
    folder.mkdir(parents=True, exist_ok=True)
    published_table(records).to_csv(folder / "table1.csv", index=False, float_format="%.4f")
    compare_predictions(records).to_csv(folder / "pairs.csv", index=False, float_format="%.4g")


def compare_predictions(records):
    """Compare the predictions of each classifier with and without DCGAN, image by image.

    Parameters
    ----------
    records : list of dict
        Finished cells.

    Returns
    -------
    table : DataFrame
        For each classifier and seed the number of test images, how many are right without and with DCGAN, and only
        with one of them, and the p-value of McNemar's exact test of these two.
    """
    is_right = {}
    for record in records:
        place = record["classifier"], record["embedder"] or "", record["seed"]
        is_right[place, record["treatment"]] = np.equal(record["y_true"], record["y_pred"])
    rows = []
    for classifier, embedder, seed in sorted({place for place, _ in is_right}):
        pair = [is_right.get(((classifier, embedder, seed), treatment)) for treatment in ("none", "dcgan")]
        if any(found is None for found in pair):
            continue
        without, with_dcgan = pair
        only_with, only_without = int((with_dcgan & ~without).sum()), int((without & ~with_dcgan).sum())
        n_unlike = only_with + only_without
        counts = len(without), int(without.sum()), int(with_dcgan.sum()), only_with, only_without
        rows.append((classifier, embedder, seed, *counts, binomtest(only_with, n_unlike).pvalue if n_unlike else 1.0))
    return pd.DataFrame(rows, columns=["classifier", "embedder", "seed", *_COUNTS, "p"])


def show(table):
    """Return the table as Markdown: of each measure this run first, and the original in brackets.

    Parameters
    ----------
    table : DataFrame
        What `collect` wrote.

    Returns
    -------
    text : str
    """
    measures = list(table["measure"].unique())
    lines = [["classifier", "treatment", *measures], ["---"] * (2 + len(measures))]
    for (classifier, treatment), found in table.groupby(["classifier", "treatment"], sort=False):
        own = found.set_index("measure")
        values = [f"{_number(own.ours[name])} ({_number(own.published[name])})" for name in measures]
        lines.append([classifier, treatment, *values])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value):
    return "not run" if pd.isna(value) else f"{value:.4f}".removeprefix("0")


def main(argv=None):
    """Collect, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", type=Path, metavar="FOLDER", help="write the files from the results there")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.collect:
        try:
            collect(options.collect, options.out)
        except ValueError as exc:
            parser.error(str(exc))
    files = [options.out / name for name in ("table1.csv", "pairs.csv")]
    if not all(map(Path.is_file, files)):
        parser.error(f"--out must hold table1.csv and pairs.csv; {options.out} does not. Use --collect first.")
    table, pairs = map(pd.read_csv, files)
    print(f"{show(table)}\n\n{pairs.to_markdown(index=False)}")


if __name__ == "__main__":
    main()
