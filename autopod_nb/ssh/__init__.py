"""The line to a pod: keys, connection, tunnel, files."""
