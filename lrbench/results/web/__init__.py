"""Results as web pages: what the dashboard and the static site show alike."""
