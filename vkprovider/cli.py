"""The command line. No logic: it reads arguments, calls ``vkprovider.app``, and exits with its code."""
