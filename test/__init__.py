"""The tests. A package, so that its helpers are imported as `test.cases`, not as the standard library's `test`."""
