"""A detector as a service on this machine: `python main.py serve`."""
