"""What carries bytes: one module per concurrency style, imported by whoever needs it."""
