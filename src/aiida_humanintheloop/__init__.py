"""Let a person step into a running AiiDA workflow."""
