"""What a file of this package holds. Nothing in it is run."""

import os
from pathlib import Path

_START = b'{"__metadata__":{"sha256":"'  # of a file of this package's, behind eight bytes


def check_start(file):
    """Raise where a file does not begin like one of this package's, before torch is loaded to read it."""
    with open(file, "rb") as stream:
        if stream.read(8 + len(_START))[8:] != _START:
            raise ValueError(
                f"FILE must be one that gan-sampler train or save wrote, or a checkpoint; {str(file)!r} is none."
            )


def describe_file(file):
    """Return what a file of a sampler or of an unfinished training says of itself.

    Parameters
    ----------
    file : path-like
        What `GANOverSampler.save` or a training with `checkpoint_dir` wrote.

    Returns
    -------
    found : dict
        In the words of JSON: ``kind`` ("sampler" or "checkpoint"), ``sampler``, ``versions``, ``image_size``,
        ``channels``, ``dtype``, ``classes`` with steps and scores, ``parameters``, ``n_weights`` and ``bytes``.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file, or it is none of these.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"FILE must be an existing file that gan-sampler wrote; got {str(file)!r}.")
    check_start(file)
    from gan_sampler._files import read_file

    tensors, values = read_file(file, argument="FILE")
    found = {
        "file": os.path.abspath(file),
        "bytes": file.stat().st_size,
        "n_weights": sum(tensor.numel() for tensor in tensors.values()),
    }
    try:
        return found | (_of_sampler(values) if "sampler" in values else _of_checkpoint(values))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ValueError(
            f"FILE must be one that this version of gan-sampler can read; {str(file)!r} lacks {exc}."
        ) from exc


def _of_sampler(values):
    from gan_sampler.folders._listing import record_of
    from gan_sampler.samplers._judging import best_record
    from gan_sampler.samplers._persistence import from_json

    labels, histories = from_json(values["labels"]), from_json(values["history"])
    return {
        "kind": "sampler",
        "sampler": values["sampler"],
        "versions": values.get("versions", {}),
        **_of_images(from_json(values["image_format"])),
        "classes": {
            str(label): record_of(history, best_record) for label, history in zip(labels, histories, strict=True)
        },
        "parameters": _plain(values["parameters"]),
    }


def _of_checkpoint(values):
    from gan_sampler.samplers._persistence import from_json

    about, progress = values["about"], values["progress"]
    return {
        "kind": "checkpoint",
        "sampler": about["sampler"].rpartition(".")[2],
        "versions": about["versions"],
        **_of_images(from_json(about["image_format"])),
        "classes": {
            str(about.get("class", "all")): {"steps": progress["step"], "seconds": round(progress["seconds"], 1)}
        },
        "parameters": _plain(about["parameters"]),
    }


def _of_images(image_format):
    return {
        "image_size": [image_format["height"], image_format["width"]],
        "channels": image_format["channels"],
        "dtype": str(image_format["dtype"]),
    }


def _plain(value):
    """Return parameters without the types that stand beside some of them."""
    if isinstance(value, dict):
        if value.keys() == {"type", "value"}:
            return _plain(value["value"])
        return {name: _plain(element) for name, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, list) else value
