"""The application: one thin module for each group of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from kitestring import __version__
from kitestring.cli import catalogues, correlate, demo, describe, predict, session, simulate

app = typer.Typer(
    name="kitestring",
    help="Find where a spacecraft is from the voltages of radio telescopes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
session_app = typer.Typer(help="Make sessions.", no_args_is_help=True)

app.command("correlate")(correlate.correlate)
app.command("demo")(demo.demo)
app.command("describe")(describe.describe_command)
app.command("predict")(predict.predict)
app.command("run")(session.run)
app.command("simulate")(simulate.simulate)
app.command("sources")(catalogues.sources)
app.command("stations")(catalogues.stations)
app.command("status")(session.status)
session_app.command("new")(session.new)
app.add_typer(session_app, name="session")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kitestring {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find where a spacecraft is from the voltages of radio telescopes."""
