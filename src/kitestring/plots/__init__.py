"""Pictures, a module for each stage's types."""
