"""What completes prompts: transformers or vLLM in this process, or a server that speaks OpenAI's protocol."""
