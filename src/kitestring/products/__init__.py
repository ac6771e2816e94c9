"""What users are handed: tables and the report."""
