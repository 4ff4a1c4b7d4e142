"""Programs of other libraries, unedited but for `install`: see `test_applications`."""
