"""A GGUF file as an ordinary model folder: read, proven, dequantised, written."""
