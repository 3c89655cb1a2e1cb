"""Each page of the tutorial, run as its reader runs it."""
