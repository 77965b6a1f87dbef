"""Qwen2.5-Coder-1.5B-Instruct and 0.5B-Instruct without a hub, out of strangers' packages: see README.md."""
