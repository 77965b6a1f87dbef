"""What ships beside the code: recipes, studies, and a folder to work in that is laid out with them."""
