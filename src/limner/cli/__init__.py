"""The command line: ``main`` knows all commands and imports only the one that is asked for."""
