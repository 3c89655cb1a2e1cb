"""The image, as the person has it who runs it: built, started, broken, removed."""
