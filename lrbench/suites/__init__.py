"""What is measured and how: suites, which are folders of YAML, and the graders that judge answers."""
