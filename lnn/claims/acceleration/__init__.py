"""Claims of Arora, Cohen and Hazan (2018), and of the review of the same by Ava (2024)."""
