"""The stages of the pipeline, each a declared identity and the work that makes its artifact."""
