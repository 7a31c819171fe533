"""The command line. No logic: it reads arguments, calls ``vkprovider.app``, and exits with its code.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Any

import click

import vkprovider

INTERRUPTED = 130  # as shells say it of a program that SIGINT has ended

_state_dir = click.option(
    "--state-dir",
    metavar="DIR",
    default="",
    help="Where state is kept (default: /var/lib/vkprovider for root, else below XDG_STATE_HOME).",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(vkprovider.__version__, prog_name="vkprovider", message="%(prog)s %(version)s")
def cli() -> None:
    """A virtual kubelet whose pods are containers on the local Docker engine, with sidecars that start first and end
    last.

    Start with:  vkprovider run job.yaml
    """


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--logs", is_flag=True, help="Show the containers' output, each line with its container's name.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Print the final objects with their status.")
@click.option("--timeline", metavar="FILE.svg", default="", help="Write the timeline as a picture.")
@click.option("--keep", is_flag=True, help="Leave the dead containers for inspection; 'vkprovider down' removes them.")
@click.option(
    "--forgive",
    type=click.Choice(["all", "marked", "none"]),
    default="all",
    show_default=True,
    help="Whose exit code becomes 0 when it was stopped at the end of its pod.",
)
@click.option("--sandbox-image", metavar="IMAGE", default="", help="Use this sandbox image, not the built-in one.")
@click.option("-v", "--verbose", is_flag=True, help="Log what vkprovider does, and what the engine's host withholds.")
@_state_dir
def run(**options: Any) -> None:
    """Run Pods and Jobs from manifests on Docker, without a cluster; '-' reads standard input.

    Takes Pod, Job, ConfigMap and Secret, YAML or JSON, several documents to a file. Exits with 0 if every Job
    completed and every Pod succeeded, with the failed app's own exit code if not, with 125 for errors of vkprovider
    itself. Ctrl-C stops the pods in order and ends with 130; a second Ctrl-C kills them.
    """
    from vkprovider import app  # noqa: PLC0415

    sys.exit(app.run(app.RunOptions(**options)))


@cli.command()
@_state_dir
def down(state_dir: str) -> None:
    """Remove what interrupted runs, and runs with --keep, left in Docker and on disk. Running ones are left alone."""
    from vkprovider import app  # noqa: PLC0415

    sys.exit(app.down(state_dir))


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"vkprovider {vkprovider.__version__}")


def main() -> None:
    """The entry point. Wrong usage exits with 2, as other command lines do; Ctrl-C before anything runs with 130."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
