"""Facts and rules, pure: no clock, file, network, thread or shell in here; time and money come in as arguments."""
