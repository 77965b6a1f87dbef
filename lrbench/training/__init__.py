"""From samples to a LoRA adapter: batches, the loss, the loop."""
