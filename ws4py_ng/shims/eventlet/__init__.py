"""What stands in for modules of eventlet."""
