"""Has a pair of models anything to teach? Asked before anybody trains."""

# How many training problems are asked where nothing else is said.
ITEMS = 60
