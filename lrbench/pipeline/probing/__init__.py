"""Has a pair of models anything to teach? Asked before anybody trains."""
