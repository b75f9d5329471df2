"""``python -m metering``.

The process that decodes a log imports this module again under a different name, and needs no command line.
"""

if __name__ == "__main__":
    import sys

    from metering.command import main

    sys.exit(main())
