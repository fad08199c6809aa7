"""``python -m limner`` is the ``limner`` command."""

from limner.cli.main import main

if __name__ == "__main__":
    main()
