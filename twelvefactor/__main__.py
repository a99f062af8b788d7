"""`python -m twelvefactor` is the command; a probe is answered before the libraries of the command are loaded."""

import sys


def main() -> None:
    """Run the command."""
    if sys.argv[1:2] == ["probe"]:
        from twelvefactor.probe import main as probe

        sys.exit(probe(sys.argv[2:]))
    from twelvefactor.cli import main as command

    command(prog_name="twelvefactor")


if __name__ == "__main__":
    main()
