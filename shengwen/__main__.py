"""``python -m shengwen`` and the ``shengwen`` command."""

from shengwen.cli import main

if __name__ == "__main__":
    main()
