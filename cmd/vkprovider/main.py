"""vkprovider as a script, for debuggers: ``python cmd/vkprovider/main.py``."""

from vkprovider.cli import main

if __name__ == "__main__":
    main()
