"""Does over-sampling help on these images? Every sampler with every classifier, measured."""

import argparse
import shlex
import sys
import time
from pathlib import Path

import sources
from grid import Experiment, make_cells, make_splits, thin_minority
from pipelines import CLASSIFIERS, SAMPLERS
from presets import PRESETS
from report import metric_table, write_report
from tqdm import tqdm

from gan_sampler.images import MIN_SIDE
from gan_sampler.runtime import keep_freed_memory, resolve_device

EXAMPLES = """\
examples:
  python benchmarks/run.py
      the demo: every cell on solar cells that a package ships, in minutes
  python benchmarks/run.py --data path/to/folder --preset cpu
      your own images, in a folder with one sub-folder for each class (or train/ and test/ above them)
  python benchmarks/run.py --data digits --samplers none smote dcgan --classifiers svm cnn --seeds 0 1 2
      a part of the grid

presets:
{presets}

Finished cells are kept in the results folder and never computed twice: a run that was stopped goes on where it was
when it is started again with the same words, and cells that failed are tried again. The folder cache/ in it spares
later runs the training of GANs and the embedding of images; it takes some 100 MB and more, and may be deleted at any
time.

The exit status is 0 when every cell finished, 1 when some failed, 130 when the run was interrupted.
"""


def make_parser():
    """Return the parser of the command line."""
    presets = "\n".join(f"  {name:<8}{preset.about}" for name, preset in PRESETS.items())
    parser = argparse.ArgumentParser(
        prog="python benchmarks/run.py",
        description="Measure whether over-sampling helps on imbalanced images: every sampler with every classifier,\n"
        "scores on test images that nothing was trained on, tables, plots and error bars.",
        epilog=EXAMPLES.format(presets=presets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="DATA",
        help="elpv (solar cells), digits, chest_xray (fetched), medmnist:NAME, or a folder of class folders "
        "(default: that of the preset)",
    )
    add("--preset", choices=PRESETS, default="demo", help="how large and how long, see below (default: demo)")
    add("--image-size", type=_at_least(MIN_SIDE), metavar="N", help="read images at N x N pixels")
    add(
        "--n-minority",
        type=_at_least(2),
        metavar="N",
        help="train with N images of the rarest class, drawn anew for each seed; testing keeps all",
    )
    add("--max-images", type=_at_least(1), metavar="N", help="use a stratified part of N images")
    add(
        "--samplers",
        nargs="+",
        choices=SAMPLERS,
        metavar="NAME",
        help=f"any of: {', '.join(SAMPLERS)} (default: all but those that the preset leaves out)",
    )
    add(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        default=CLASSIFIERS,
        metavar="NAME",
        help=f"any of: {', '.join(CLASSIFIERS)} (default: all)",
    )
    add(
        "--embedders",
        nargs="+",
        metavar="NAME",
        help="for tree, forest and svm: resnet18 where its ImageNet weights are at hand or can be had, else any of "
        "efficientnet_lite0 and resnet18_finetuned (default: all)",
    )
    add(
        "--seeds",
        nargs="+",
        type=_at_least(0),
        metavar="N",
        help="repeat everything with each of these seeds; the tables show mean and spread (default: of the preset)",
    )
    add("--cv", type=_at_least(2), metavar="K", help="K-fold cross-validation over all images instead of one split")
    add("--out", type=Path, metavar="DIR", help="results folder (default: results/DATA-PRESET-SIZE)")
    add("--device", default="auto", help="device of the networks: auto, cpu, cuda, cuda:1 (default: auto)")
    add(
        "--resnet18-weights",
        type=Path,
        metavar="FILE",
        help="ImageNet weights of ResNet18, if torch has none cached",
    )
    return parser


def _at_least(smallest):
    def whole_number(text):
        number = int(text)  # argparse tells the user when this fails
        if number < smallest:
            raise argparse.ArgumentTypeError(f"must be at least {smallest}; got {number}")
        return number

    whole_number.__name__ = "whole number"
    return whole_number


def main(argv=None):
    """Run the grid; return the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        experiment, splits, cells = prepare(arguments)
    except (ValueError, OSError, ImportError) as exc:
        parser.error(str(exc))
    command = f"python benchmarks/run.py {shlex.join(argv)}".strip()
    print(f"{len(cells)} cells; results go to {experiment.out}", flush=True)

    start = time.perf_counter()
    records, computed, interrupted = run_cells(experiment, cells)
    if not records:
        print(f"\nStopped before the first cell was finished. To start again:\n  {command}")
        return 130
    summary = write_report(
        records,
        experiment,
        splits,
        command=command,
        seconds=time.perf_counter() - start,
        n_computed=computed,
    )
    failed = [record for record in records if record["error"] is not None]
    print_outcome(records, failed, summary)
    if interrupted:
        print(f"Stopped with {len(records)} of {len(cells)} cells finished. To go on:\n  {command}")
        return 130
    return 1 if failed else 0


def prepare(arguments):
    """Read the data and lay out the grid; everything that can be wrong with the command line shows here."""
    resolve_device(arguments.device)
    preset = PRESETS[arguments.preset]
    data = sources.load(
        arguments.data or preset.data,
        image_size=arguments.image_size or preset.image_size,
        size_is_asked=arguments.image_size is not None,
        grey_as_rgb=preset.grey_as_rgb,
        max_images=arguments.max_images or (None if arguments.data else preset.max_images),
    )
    splits = make_splits(data, _unique(arguments.seeds or preset.seeds), arguments.cv)
    if arguments.n_minority:
        splits = [thin_minority(split, data.target, arguments.n_minority) for split in splits]
    parts = (
        f"-cv{arguments.cv}" if arguments.cv else "",
        f"-min{arguments.n_minority}" if arguments.n_minority else "",
    )
    default_out = Path("results", f"{data.name}-{arguments.preset}-{data.images.shape[1]}{''.join(parts)}")
    experiment = Experiment(
        data,
        preset,
        arguments.out or default_out,
        device=arguments.device,
        resnet18_weights=arguments.resnet18_weights,
        verbose=1,
    )
    samplers = _choose_samplers(arguments.samplers, preset, n_classes=len(data.target_names))
    experiment.embeddings = _choose_embeddings(arguments.embedders, experiment.embeddings)
    cells = make_cells(splits, samplers, _unique(arguments.classifiers), experiment.embeddings)
    return experiment, splits, cells


def _choose_samplers(names, preset, n_classes):
    if n_classes > 2 and "threshold" in (names or ()):
        raise ValueError(f"--samplers threshold needs data of two classes; got {n_classes}. Leave it out.")
    left_out = preset.left_out if n_classes == 2 else (*preset.left_out, "threshold")
    return _unique(names or [name for name in SAMPLERS if name not in left_out])


def _choose_embeddings(names, at_hand):
    by_name = {embedding.name: embedding for embedding in at_hand}
    if unknown := set(names or ()) - set(by_name):
        raise ValueError(f"--embedders must be some of {', '.join(by_name)}; got {', '.join(sorted(unknown))}.")
    return [by_name[name] for name in _unique(names or by_name)]


def _unique(names):
    return list(dict.fromkeys(names))


def run_cells(experiment, cells):
    """Run the cells that are not finished yet.

    Returns
    -------
    records : list of dict
        Records of all cells that are finished, in the order of `cells`.
    n_computed : int
        How many were run now.
    interrupted : bool
        Whether the user pressed Ctrl-C.
    """
    records = {cell: experiment.find(cell) for cell in cells}
    todo = [cell for cell, record in records.items() if record is None or record["error"] is not None]
    n_computed, interrupted = 0, False
    with tqdm(total=len(cells), initial=len(cells) - len(todo), unit="cell", dynamic_ncols=True) as bar:
        try:
            for cell in todo:
                bar.set_description(cell.name)
                records[cell] = experiment.run(cell)
                n_computed += 1
                bar.update()
                if records[cell]["error"] is not None:
                    bar.write(f"failed: {cell.name}: {records[cell]['error']}")
        except KeyboardInterrupt:
            interrupted = True
    return [record for record in records.values() if record is not None], n_computed, interrupted


def print_outcome(records, failed, summary):
    """Print the main table and where the rest is."""
    good = [record for record in records if record["error"] is None]
    if good:
        table = metric_table(good, "balanced_accuracy").replace(r"\*\*", "", regex=True)
        print("\nBalanced accuracy on the test images\n")
        print(table.to_markdown(index=False, tablefmt="simple", disable_numparse=True))
    print(f"\nReport: {summary}")
    if failed:
        print(f"{len(failed)} cells failed; the report names them, and the next run tries them again.")


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
