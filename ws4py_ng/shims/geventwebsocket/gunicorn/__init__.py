"""WebSockets under gunicorn."""
