"""The reaper: a small detached process that guards pods when the process that rented them is gone."""
