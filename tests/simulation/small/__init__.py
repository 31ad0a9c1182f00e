"""Small worlds: one order or two, every order in which things can happen, each duplicate, each crash."""
