"""Stop one of two instances of the real server under load, and say what its clients noticed."""

from __future__ import annotations

import sys

import click

from twelvefactor.exceptions import UsageError

NOTICED = 1


@click.command(short_help="The SIGTERM drill.")
@click.option("--path", "paths", multiple=True, help="What clients ask for; / if not given. Repeat for more.")
@click.option("--stream", "streams", multiple=True, help="A path that answers for a while; cut streams are counted.")
@click.option("--websocket", "sockets", multiple=True, help="A path that echoes messages.")
@click.option(
    "--clients", type=click.IntRange(1), default=50, show_default=True, help="How many, for the paths together."
)
@click.option("--keep-alive", is_flag=True, help="Clients keep their connections.")
@click.option("--ready", default="/readyz", show_default=True, help="The path that the balancer asks.")
@click.option("--drain", type=click.FloatRange(0), default=1.0, show_default=True, help="Drain delay in seconds.")
@click.option("--grace", type=click.FloatRange(1), default=20.0, show_default=True, help="Grace period in seconds.")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="So many drills, and their sum.")
@click.option("--whole-group", is_flag=True, help="Send SIGTERM to every process, as systemd and Heroku do.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def drill(  # noqa: PLR0917 - click's way of passing options
    paths: tuple[str, ...],
    streams: tuple[str, ...],
    sockets: tuple[str, ...],
    clients: int,
    keep_alive: bool,
    ready: str,
    drain: float,
    grace: float,
    runs: int,
    whole_group: bool,
    command: tuple[str, ...],
) -> None:
    """
    Start COMMAND twice behind a balancer that asks for readiness, load both, stop one, and print what was noticed.
    {port} in COMMAND becomes a free port. Exit 1 where anything was.

    \b
    Example:
      $ twelvefactor drill --path /orders -- uvicorn orders.service:app --port {port}
    """
    from twelvefactor.testing.drill import Visitors, told
    from twelvefactor.testing.drill import drill as run

    if not command:
        raise UsageError("name the server's command: twelvefactor drill -- uvicorn orders.service:app --port {port}")
    asked = [*(paths or ("/",))]
    each = max(1, clients // len(asked))
    visitors = [
        *(Visitors(path, each, keep_alive) for path in asked),
        *(Visitors(path, 5, keep_alive, stream=True) for path in streams),
        *(Visitors(path, 4, websocket=True) for path in sockets),
    ]
    results = [
        run(command, visitors=visitors, ready=ready, drain=drain, grace=grace, whole_group=whole_group)
        for _ in range(runs)
    ]
    click.echo("\n".join(told({" ".join(command): results})))
    noticed = [what for result in results for what in result.noticed]
    click.echo(f"noticed: {', '.join(noticed)}" if noticed else "nobody noticed")
    sys.exit(NOTICED if noticed else 0)
