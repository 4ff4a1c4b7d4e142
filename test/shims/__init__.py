"""The shims: other libraries' programs and tests on ws4py_ng."""
