"""Benchmarks: what a message costs, here and with others. ``make bench``, or ``python -m test.bench --help``.

The figure is the CPU time of the measured process per message, which other load on the machine
hardly moves. Nothing here is run by ``make test`` but `test_costs` and `test_bench`.
"""
