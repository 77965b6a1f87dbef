"""From a recipe to artifacts: the plan, the stages, running them."""
