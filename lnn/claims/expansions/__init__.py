"""Claims on network expansions of quadratics under noisy gradient descent."""
