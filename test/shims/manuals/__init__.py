"""What the manuals of other libraries promise, as tests by their names: run on theirs and on ours."""
