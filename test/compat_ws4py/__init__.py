"""ws4py's own tests, with `ws4py` answered by `ws4py_ng`."""
