"""Lets ``python -m kitestring`` stand for ``kitestring``."""

from kitestring.cli import main

if __name__ == "__main__":
    main()
