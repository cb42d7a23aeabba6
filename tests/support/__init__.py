"""What the tests need around them: real servers, and a way to look into their databases."""
