"""The command `gan-sampler`. What takes long to import is imported by the command that needs it, when it runs."""

from importlib.metadata import version
from typing import Annotated

import typer

from gan_sampler.cli import _balance, _compare, _info, _quality, _report, _sample, _status, _train
from gan_sampler.cli._group import OneLineErrors, unwrapped

app = typer.Typer(
    name="gan-sampler",
    cls=OneLineErrors,
    pretty_exceptions_enable=False,  # they would print the values of variables, images among them
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    _balance.balance,
    _train.train,
    _sample.sample,
    _quality.quality,
    _info.info,
    _compare.compare,
    _status.status,
    _report.report,
):
    app.command(help=unwrapped(command.__doc__))(command)


def _print_version(is_asked):
    if is_asked:
        typer.echo(f"gan-sampler {version('gan-sampler')}")
        raise typer.Exit


_HELP = """Over-sampling of images with GANs, and whether it helps.

Exit status of all commands: 0 when all is finished, 1 when cells or a training failed, 2 when the command line, its
input or its output cannot be used, 130 when interrupted. With GAN_SAMPLER_TRACEBACK=1 in the environment, errors come
with their traceback.
"""


@app.callback(invoke_without_command=True, help=unwrapped(_HELP))
def _without_command(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
):
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(argv=None):
    """Run the command line; the entry point `gan-sampler`.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None takes those of the process, and ends it with the exit status.
    """
    app(args=argv, prog_name="gan-sampler")
