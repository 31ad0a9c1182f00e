"""What every HTTP answer of the shop has in common: problems, correlation ids, health, exact JSON, one application."""
