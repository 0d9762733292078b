"""What settings must be, and which of their sources counts."""
