"""How good a model is: what it still knows of what it learnt."""
