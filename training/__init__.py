"""How the shipped model, wordings and coefficients were made; never imported by the product."""
