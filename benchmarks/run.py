"""The project's own experiments: presets over `gan_sampler.evaluation`.

For images of your own, `gan-sampler compare FOLDER` chooses sizes and lengths that suit them.
"""

import argparse
import contextlib
import shlex
import sys
import warnings
from pathlib import Path

from presets import PRESETS

from gan_sampler.evaluation import load, prepare
from gan_sampler.evaluation._records import THRESHOLD_SUFFIX
from gan_sampler.images import MIN_SIDE
from gan_sampler.runtime import keep_freed_memory

EXAMPLES = """\
examples:
  python benchmarks/run.py
      the demo: ten treatments and all classifiers on solar cells that a package ships, in minutes
  python benchmarks/run.py --data path/to/chest_xray --preset cpu --n-rare 100
      the chest X-rays, with 100 images of the rare class in training
  python benchmarks/run.py --data digits --samplers none smote dcgan dcgan+threshold --classifiers svm cnn --seeds 0 1 2
      a part of the grid

presets:
{presets}

Finished cells are kept in the results folder and never computed twice: a run that was stopped goes on where it was
when it is started again with the same words, also in several processes at once, and cells that failed are tried
again. `gan-sampler status FOLDER` tells from another terminal how far it is.

The exit status is 0 when every cell finished, 1 when some failed, 2 when the words were wrong or the results could not
be written, 130 when the run was interrupted.
"""


def make_parser():
    """Return the parser of the command line."""
    presets = "\n".join(f"  {name:<11}{preset.about}" for name, preset in PRESETS.items())
    parser = argparse.ArgumentParser(
        prog="python benchmarks/run.py",
        description="Measure whether over-sampling helps on imbalanced images: every sampler with every classifier,\n"
        "scores on test images that nothing was trained on, significance tests, and a report.",
        epilog=EXAMPLES.format(presets=presets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=PRESETS, default="demo", help="how large and how long, see below (default: demo)")
    add(
        "--data",
        metavar="DATA",
        help="elpv (solar cells), digits, chest_xray (fetched), medmnist:NAME, .npz or a folder of class folders"
        " (default: that of the preset)",
    )
    add("--groups", metavar="WHERE", help="patients of a folder: 'folder', a CSV file or a regular expression")
    add("--image-size", type=_at_least(MIN_SIDE), metavar="N", help="read images at N x N pixels")
    add("--n-rare", type=_at_least(2), metavar="N", help="train with N images of the rarest class; testing keeps all")
    add("--max-images", type=_at_least(1), metavar="N", help="use a stratified part of N images")
    add("--samplers", nargs="+", metavar="NAME", help="what is compared (default: of the preset)")
    add("--thresholds", action="store_true", help="compare every sampler with a tuned threshold, too (two classes)")
    add("--classifiers", nargs="+", metavar="NAME", help="trained with each sampler (default: of the preset)")
    add("--embedders", nargs="+", metavar="NAME", help="for classifiers of features (default: of the preset)")
    add(
        "--seeds",
        nargs="+",
        type=_at_least(0),
        metavar="N",
        help="a repeat with each (default: of the preset)",
    )
    add("--cv", type=_at_least(2), metavar="K", help="K-fold cross-validation over all images instead of one split")
    add("--jobs", type=int, metavar="N", help="workers (default: one for each core)")
    add("--device", default="auto", help="device of the networks: auto, cpu, cuda, cuda:1 (default: auto)")
    add("--out", type=Path, metavar="DIR", help="results folder (default: results/DATA-PRESET-SIZE)")
    add("--resnet18-weights", type=Path, metavar="FILE", help="ImageNet weights of ResNet18, if torch has none cached")
    return parser


def _at_least(smallest):
    def whole_number(text):
        number = int(text)  # argparse tells the user when this fails
        if number < smallest:
            raise argparse.ArgumentTypeError(f"must be at least {smallest}; got {number}")
        return number

    whole_number.__name__ = "whole number"
    return whole_number


def lay_out(arguments, command):
    """Read the data and lay out the grid; everything that can be wrong with the command line shows here."""
    preset = PRESETS[arguments.preset]
    word = arguments.data or preset.data
    data = load(
        word,
        image_size=arguments.image_size or (None if word == "digits" or word.endswith(".npz") else preset.image_size),
        grey_as_rgb=preset.grey_as_rgb,
        max_images=arguments.max_images or (None if arguments.data else preset.max_images),
        groups=arguments.groups,
    )
    parts = (
        f"-cv{arguments.cv}" if arguments.cv else "",
        f"-rare{arguments.n_rare}" if arguments.n_rare else "",
    )
    samplers = arguments.samplers or [
        name
        for name in preset.samplers
        if (name != "threshold" or len(data.target_names) == 2) and (name != "all_real" or arguments.n_rare is not None)
    ]
    if arguments.thresholds:
        names = [name.removesuffix(THRESHOLD_SUFFIX) for name in samplers if name not in ("none", "threshold")]
        samplers = list(dict.fromkeys([*samplers, "threshold", *(f"{name}{THRESHOLD_SUFFIX}" for name in names)]))
    return prepare(
        data,
        arguments.out or Path("results", f"{data.name}-{arguments.preset}-{data.images.shape[1]}{''.join(parts)}"),
        samplers=samplers,
        classifiers=arguments.classifiers or preset.classifiers,
        embedders=arguments.embedders or preset.embedders,
        cv=arguments.cv,
        scoring=preset.scoring,
        seeds=list(dict.fromkeys(arguments.seeds or preset.seeds)),
        n_rare=arguments.n_rare,
        settings=preset.settings,
        device=arguments.device,
        n_jobs=arguments.jobs,
        resnet18_weights=arguments.resnet18_weights,
        download=preset.download_weights,
        command=command,
        notes=preset.notes,
    )


def main(argv=None):
    """Run the grid; return the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    arguments = parser.parse_args(argv)
    command = f"python benchmarks/run.py {shlex.join(argv)}".strip()
    try:
        with _plain_warnings():
            evaluation = lay_out(arguments, command)
        print(evaluation.plan(), flush=True)
        comparison = evaluation.run()
    except KeyboardInterrupt:
        print(f"\nStopped. What is finished is kept; to go on:\n  {command}")
        return 130
    except (ValueError, OSError, ImportError) as exc:
        parser.error(str(exc))
    report = comparison.write()
    print(f"\n{' '.join(comparison.answer())}\n\n{comparison.to_text()}\n\nReport: {report}")
    failed = [record for record in comparison.records if record["error"] is not None]
    if failed:
        print(f"{len(failed)} cells failed; the report names them, and the next run tries them again.")
    return 1 if failed else 0


@contextlib.contextmanager
def _plain_warnings():
    """Show warnings as sentences, without the line of code that they come from."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}", file=sys.stderr)
    try:
        yield
    finally:
        warnings.showwarning = before


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
