"""Sources at rest: cards, weights, the folder that holds them."""
