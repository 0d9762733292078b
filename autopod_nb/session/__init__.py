"""The one owner of state and threads."""
