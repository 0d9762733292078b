"""What a person types into a cell."""
