"""A pod on this machine: a program of its own that nothing else imports."""
