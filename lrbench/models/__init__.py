"""Where weights come from: finding, identifying and loading models, the shared vocabulary, the prompt."""
