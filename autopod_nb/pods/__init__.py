"""Bringing up a pod, its limits, its meter."""
