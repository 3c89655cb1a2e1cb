"""The command line `aiida-hitl`: thin commands over inbox.py."""
