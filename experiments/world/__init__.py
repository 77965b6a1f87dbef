"""What the embedded world has to be like, measured on the development tenth before any arm is trained."""
