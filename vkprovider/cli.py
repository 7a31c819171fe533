"""The command line. No logic: it reads arguments, hands them to the module of the command (``app``, ``node_app``,
``webhook_app``), and exits with its code.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

import vkprovider
from vkprovider.errors import OWN_ERROR

LOG_LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40}  # by logging's numbers
INTERRUPTED = 130  # as shells say it of a program that SIGINT has ended


class _Command(click.Command):
    """What cannot be used is wrong usage, whether a flag is misspelt or its value makes no sense to the command."""

    def invoke(self, ctx: click.Context) -> Any:
        from vkprovider.config import ConfigError

        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            raise click.UsageError(str(exc), ctx) from exc


class _Commands(click.Group):
    command_class = _Command


_state_dir = click.option(
    "--state-dir",
    metavar="DIR",
    default="",
    help="Where state is kept (default: /var/lib/vkprovider for root, else below XDG_STATE_HOME).",
)

_forgive = click.option(
    "--forgive",
    type=click.Choice(["all", "marked", "none"]),
    default="all",
    show_default=True,
    help="Whose exit code becomes 0 when it was stopped at the end of its pod.",
)
_sandbox_image = click.option(
    "--sandbox-image", metavar="IMAGE", default="", help="Use this sandbox image, not the built-in one."
)

_kubeconfig = click.option(
    "--kubeconfig",
    metavar="FILE",
    default="",
    help="How to reach the cluster (default: KUBECONFIG, else a pod's service account, else ~/.kube/config).",
)
_context = click.option(
    "--context", metavar="NAME", default="", help="The kubeconfig's context (default: its current)."
)
_log_level = click.option(
    "--log-level",
    type=click.Choice(list(LOG_LEVELS)),
    default="info",
    show_default=True,
    help="Log this, and what is worse.",
)

_destination_label = click.option(
    "--destination-label",
    "destination_labels",
    metavar="K=V",
    multiple=True,
    help="What means virtual nodes, on pods and namespaces (default: alibabacloud.com/eci=true, .../acs=true).",
)


def _only(value: str, reason: str) -> Callable[..., None]:
    """The callback of an option that can say only what is the case anyway."""

    def check(_: click.Context, parameter: click.Parameter, given: str | None) -> None:
        if given is not None and given.lower() != value:
            raise click.BadParameter(f"{given!r}: {reason}", param=parameter)

    return check


def _without_effect(reason: str) -> Callable[..., None]:
    def note(_: click.Context, parameter: click.Parameter, given: object) -> None:
        if given:
            click.echo(f"warning: {parameter.opts[0]} has no effect: {reason}", err=True)

    return note


def _of_virtual_kubelet(command: Callable[..., None]) -> Callable[..., None]:
    """The options that virtual-kubelet's users have in their manifests: taken where they say what is so anyway.

    Source: virtual-kubelet, cmd/virtual-kubelet/internal/commands/root/flag.go.
    """
    hidden: dict[str, Any] = {"hidden": True, "expose_value": False}
    for decorate in (
        click.option("--provider", callback=_only("docker", "vkprovider has no provider but docker"), **hidden),
        click.option("--os", callback=_only("linux", "containers on a Docker engine are Linux's"), **hidden),
        click.option("--pod-sync-workers", callback=_without_effect("every pod has a worker of its own"), **hidden),
        click.option("--full-resync-period", callback=_without_effect("changes are told, not asked for"), **hidden),
        click.option("--authentication-token-webhook", is_flag=True, **hidden),  # is always on
    ):
        command = decorate(command)
    return command


def _resources(command: Callable[..., None]) -> Callable[..., None]:
    """The options about what of the machine is for pods."""
    for decorate in (
        click.option(
            "--nvidia-gpus", metavar="ID,...", default="", help="GPUs for pods, or none (default: all found)."
        ),
        click.option("--device", metavar="NAME=PATH[*N]", multiple=True, help="Offer a device as example.com/name."),
        click.option("--pod-max-pids", metavar="N", type=int, default=0, help="Processes that a pod may have."),
        click.option(
            "--eviction-pressure-transition-period",
            metavar="DURATION",
            default="",
            help="How long a pressure is shown after it has gone (default: 5m).",
        ),
        click.option(
            "--eviction-hard",
            metavar="SIGNAL<Q,...",
            default=None,
            help="When pods must end to make room (as a kubelet).",
        ),
        click.option("--kube-reserved", metavar="R=Q,...", default="", help="The same, added to that."),
        click.option("--system-reserved", metavar="R=Q,...", default="", help="Resources that are kept from pods."),
    ):
        command = decorate(command)
    return command


def _logs(command: Callable[..., None]) -> Callable[..., None]:
    """The options about what pods say."""
    for decorate in (
        click.option("--pod-logs-dir", metavar="DIR", default="", help="Write all pods' logs there, for collectors."),
        click.option(
            "--container-log-max-files", metavar="N", type=int, default=5, show_default=True, help="Keep so many."
        ),
        click.option(
            "--container-log-max-size",
            metavar="SIZE",
            default="10Mi",
            show_default=True,
            help="A container's log is begun anew when it is as large.",
        ),
    ):
        command = decorate(command)
    return command


def _images(command: Callable[..., None]) -> Callable[..., None]:
    """The options about what pods are made from."""
    percent = click.IntRange(0, 100)
    for decorate in (
        click.option("--maximum-image-gc-age", metavar="DURATION", default="", help="Unused for so long, it goes."),
        click.option("--minimum-image-ttl-duration", metavar="DURATION", default="", help="It stays so long (2m)."),
        click.option("--image-gc-low-threshold", type=percent, default=80, show_default=True, help="Down to this."),
        click.option(
            "--image-gc-high-threshold",
            type=percent,
            default=85,
            show_default=True,
            help="With so many percent of the disk taken, unused images that this node has pulled are removed.",
        ),
        click.option(
            "--registry-config",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            default="",
            help="Logins for pulls, tried after those of pods: a config.json as 'docker login' writes it.",
        ),
    ):
        command = decorate(command)
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
@click.option(
    "--timeline",
    metavar="FILE.svg",
    type=click.Path(dir_okay=False, writable=True),
    default="",
    help="Write the timeline as a picture.",
)
@click.option("--keep", is_flag=True, help="Leave the dead containers for inspection; 'vkprovider down' removes them.")
@_forgive
@_sandbox_image
@click.option("-v", "--verbose", is_flag=True, help="Log what vkprovider does, and what the engine's host withholds.")
@_state_dir
def run(**options: Any) -> None:
    """Run Pods, Jobs and Deployments from manifests on Docker, without a cluster; '-' reads standard input.

    Takes Pod, Job, Deployment, ConfigMap, Secret, RuntimeClass, ClusterTrustBundle, SidecarSet and
    SidecarSetResourceBinding, YAML or JSON, several documents to a file. Exits with 0 if every Job completed and
    every Pod succeeded, with the failed app's own exit code if not, with 125 for errors of vkprovider itself. Ctrl-C
    stops the pods in order and ends with 130; a second Ctrl-C kills them.
    """
    from vkprovider import app

    sys.exit(app.run(app.RunOptions(**options)))


@cli.command()
@_state_dir
def down(state_dir: str) -> None:
    """Remove what interrupted runs, and runs with --keep, left in Docker and on disk. Running ones are left alone."""
    from vkprovider import app

    sys.exit(app.down(state_dir))


@cli.command()
@click.option("--nodename", metavar="NAME", default="", help="The node's name (default: vkprovider-HOSTNAME).")
@_kubeconfig
@_context
@click.option("--bootstrap-kubeconfig", metavar="FILE", default="", help="Ask for a node's certificate with this one.")
@click.option("--kind", metavar="[NAME]", default=None, is_flag=False, flag_value="", help="Join a kind cluster.")
@click.option("--namespace", metavar="NS", default="", help="Run pods of this namespace only.")
@click.option("--labels", metavar="K=V,...", multiple=True, help="More labels for the node.")
@click.option("--taint", metavar="K[=V]:EFFECT", default="", help="Instead of virtual-kubelet.io/provider=docker.")
@click.option("--disable-taint", is_flag=True, help="Register without a taint.")
@click.option("--internal-ip", metavar="IP", default="", help="The address the cluster reaches this machine by.")
@click.option("--port", type=int, default=0, help="The kubelet port to register (default: 10250).")
@click.option("--read-only-port", metavar="PORT", type=int, default=0, help="Metrics for this machine, to anybody.")
@click.option(
    "--client-ca-file",
    "--client-verify-ca",
    metavar="FILE",
    default="",
    help="Who signs client certificates (default: ask).",
)
@click.option("--tls-cert-file", metavar="FILE", default="", help="The certificate of the node's API (default: own).")
@click.option("--tls-private-key-file", metavar="FILE", default="", help="Its key.")
@click.option("--max-pods", metavar="N", type=int, default=110, show_default=True, help="Pods that run at a time.")
@_resources
@click.option("--allowed-unsafe-sysctls", metavar="NAME,...", default="", help="Pods may set these too (kernel.msg*).")
@click.option(
    "--daemonsets",
    type=click.Choice(["ignore", "run"]),
    default="ignore",
    show_default=True,
    help="What to do with their pods: most are made for another kind of node.",
)
@click.option("--service-host", metavar="HOST[:PORT]", default="", help="The API server as pods reach it.")
@click.option("--cluster-dns", metavar="IP,...", default="", help="Nameservers for pods (default: the node's own).")
@click.option(
    "--cluster-domain",
    metavar="DOMAIN",
    default="cluster.local",
    show_default=True,
    help="What the names of pods and Services end in.",
)
@_images
@_logs
@click.option("--drain", is_flag=True, help="End all pods, in order, before stopping.")
@click.option("--drain-timeout", metavar="SECONDS", type=int, default=0, help="Cut their grace periods to this.")
@click.option("--startup-timeout", metavar="DURATION", default="", help="Fail if not registered by then (30s, 2m).")
@_log_level
@click.option("--webhook", is_flag=True, help="Serve the cluster's webhook for SidecarSets too (see: webhook).")
@click.option(
    "--webhook-port",
    type=click.IntRange(1, 65535),
    default=10260,
    show_default=True,
    help="Where it is served, with --webhook.",
)
@_destination_label
@_of_virtual_kubelet
@_forgive
@_sandbox_image
@_state_dir
def node(log_level: str, state_dir: str, sandbox_image: str, forgive: str, **flags: Any) -> None:
    """Join a Kubernetes cluster as a node whose pods are containers on the local Docker engine.

    TERM or Ctrl-C ends vkprovider and leaves the pods running, and the next start takes them over; with --drain the
    pods end first, and a second TERM or Ctrl-C does not wait for them.
    """
    from vkprovider import node_app
    from vkprovider.kube.node.settings import NodeFlags
    from vkprovider.kube.webhook.settings import WebhookFlags
    from vkprovider.node.log_setup import set_up_logging

    set_up_logging(LOG_LEVELS[log_level])
    port, labels = flags.pop("webhook_port"), flags.pop("destination_labels")
    webhook = WebhookFlags(port=port, destination_labels=labels) if flags.pop("webhook") else None
    files: dict[str, str] = {"state_dir": state_dir, "sandbox_image": sandbox_image}
    sys.exit(node_app.node(NodeFlags(**flags), **files, forgive=forgive, webhook=webhook))


@cli.command()
@_kubeconfig
@_context
@click.option("--address", metavar="HOST", default="", help="Where the API server reaches it (default: this machine).")
@click.option("--service", metavar="NAMESPACE/NAME", default="", help="In a cluster: the Service that leads to it.")
@click.option("--port", type=click.IntRange(1, 65535), default=10260, show_default=True, help="Where it is served.")
@click.option("--namespace", metavar="NS", default="vkprovider", show_default=True, help="Where its own objects are.")
@click.option("--ca-life", metavar="DURATION", default="", help="How long the authority lasts (default: 8760h).")
@click.option(
    "--taint", metavar="KEY", default="virtual-kubelet.io/provider", show_default=True, help="What to tolerate."
)
@_destination_label
@_log_level
def webhook(log_level: str, kubeconfig: str, context: str, **flags: Any) -> None:
    """Serve the admission webhook that pins pods which are meant for virtual nodes, and injects SidecarSets into them.

    Registers itself as acs-virtual-node, with certificates of its own making. Where OpenKruise is in the cluster it
    leaves the injection to that.
    """
    from vkprovider import webhook_app
    from vkprovider.kube.webhook.settings import WebhookFlags
    from vkprovider.node.log_setup import set_up_logging

    set_up_logging(LOG_LEVELS[log_level])
    sys.exit(webhook_app.webhook(WebhookFlags(**flags), kubeconfig, context))


@cli.command()
@click.option("-o", "--output", type=click.Choice(["json"]), help="For programs.")
def features(output: str | None) -> None:
    """List every field of Pods and Jobs, and what becomes of it: honoured, for placement, warned of, or refused."""
    import msgspec

    from vkprovider.model import supported

    click.echo(msgspec.json.format(msgspec.json.encode(supported.all_fields())) if output else supported.table())


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"vkprovider {vkprovider.__version__}")


def main() -> None:
    """The entry point. Wrong usage exits with 2, as other command lines do; Ctrl-C before anything runs with 130.

    Without the packages that only a cluster needs, its commands end with 125, and say what brings them.
    """
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as exc:
        from vkprovider.config import BRINGS_CLUSTER

        click.echo(f"vkprovider: {exc}: {BRINGS_CLUSTER}", err=True)
        sys.exit(OWN_ERROR)
