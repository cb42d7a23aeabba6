"""`python -m roadworthy` is the `roadworthy` command."""

from roadworthy.cli import main

if __name__ == "__main__":
    main()
