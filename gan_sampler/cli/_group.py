"""What all commands have in common: errors of one line that say what to do, exit statuses, and help."""

import inspect
import os
import re
import sys
import warnings
from types import MappingProxyType

import typer
from typer.core import TyperGroup

FAILED, REFUSED, INTERRUPTED = 1, 2, 130

# typer has a click of its own in its newer versions, and exports this class alone of its errors.
_CommandLineError = typer.BadParameter.__mro__[2]
_EXTRA_OF_MODULE = {
    "distributed": "dask",
    "dask": "dask",
    "medmnist": "medmnist",
    "kagglehub": "kaggle",
    "pydicom": "dicom",
}


class OneLineErrors(TyperGroup):
    """A group of commands whose errors are one line each."""

    def main(self, args=None, prog_name=None, complete_var=None, standalone_mode=True, **extra):
        """Run, and end the process with the exit status; return it without `standalone_mode`."""
        args = sys.argv[1:] if args is None else list(args)
        with warnings.catch_warnings():
            warnings.showwarning = _tell_warning
            status = self._status(args, prog_name, complete_var, **extra)
        if standalone_mode:
            sys.exit(status)
        return status

    def _status(self, args, prog_name, complete_var, **extra):
        try:
            return super().main(args, prog_name, complete_var, standalone_mode=False, obj=args, **extra) or 0
        except _CommandLineError as exc:
            context = getattr(exc, "ctx", None)
            command = context.command_path if context else "gan-sampler"
            tell(f"error: {one_line(exc.format_message()).removesuffix('.')}. See {command} --help.")
        except (typer.Abort, KeyboardInterrupt):
            tell("Interrupted.")
            return INTERRUPTED
        except BrokenPipeError:  # the reader has had enough, as in "gan-sampler status STORE | head"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except (ValueError, OSError, ImportError, MemoryError) as exc:
            if os.environ.get("GAN_SAMPLER_TRACEBACK"):
                raise
            tell(f"error: {explain(exc, self._options(args))}")
        return REFUSED

    def _options(self, args):
        """Return the options of the command that was called, by the names of the arguments in Python."""
        called = next((self.commands[word] for word in args if word in self.commands), None)
        parameters = [] if called is None else called.params
        return {parameter.name: parameter.opts[0] for parameter in parameters if parameter.opts[0].startswith("--")}


def unwrapped(docstring):
    """Return a docstring whose paragraphs are one line each, for typer to wrap; indented lines stay as they are."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(text if "\n  " in text else text.replace("\n", " ") for text in paragraphs)


def printable(text):
    """Return a text in which bytes of file names that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def tell(line):
    """Print a line for people on stderr, in red where it tells of an error."""
    line = printable(line)
    color = {"error": "red", "WARNING": "red", "warning": "yellow"}.get(line.partition(":")[0])
    typer.echo(typer.style(line, fg=color) if color else line, err=True)


def explain(exc, options=MappingProxyType({})):
    """Return in one line what went wrong and what to do.

    Parameters
    ----------
    exc : Exception
        What was raised.
    options : dict of str to str
        Options of the command line by the names of the arguments in Python.
    """
    if isinstance(exc, ModuleNotFoundError) and exc.name is not None:
        module = exc.name.partition(".")[0]
        extra = _EXTRA_OF_MODULE.get(module, "evaluation")
        return f'This needs the package {module}, which is not installed: pip install "gan-sampler[{extra}]"'
    if isinstance(exc, OSError) and exc.strerror:
        return one_line(f"{exc.strerror}: {exc.filename}" if exc.filename else exc.strerror)
    text = one_line(exc) or type(exc).__name__
    text = re.sub(r"^\w+(?= must )", lambda found: options.get(found[0], found[0]), text)
    if "skip_unreadable" in options:
        text = text.replace("load_image_folder(..., on_error='skip')", options["skip_unreadable"])
    return re.sub(
        r"\b(\w+)=(?=['\w])", lambda found: f"{options[found[1]]} " if found[1] in options else found[0], text
    )


def one_line(text):
    """Return a text without line breaks."""
    return " ".join(str(text).split())


def _tell_warning(message, category, filename, lineno, file=None, line=None):
    tell(f"warning: {one_line(message)}")
