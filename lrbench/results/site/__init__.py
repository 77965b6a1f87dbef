"""Results as a folder of web pages that needs no server and asks nobody for anything."""
