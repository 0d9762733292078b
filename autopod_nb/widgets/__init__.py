"""Panels: pure rendering, and the widgets that show it."""
