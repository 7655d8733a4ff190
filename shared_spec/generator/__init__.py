"""Generates everything that knows the layout from spec.toml and frames.cddl. Standard library only."""
