"""The operator's command line, `trader`."""
