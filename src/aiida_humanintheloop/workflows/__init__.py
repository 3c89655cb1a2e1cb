"""The worked examples, one file each."""
