"""Claims on the rates of gradient descent on the l_p loss, with and without depth."""
