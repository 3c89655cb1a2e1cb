"""What a person or the Makefile runs, and the start without Docker."""
