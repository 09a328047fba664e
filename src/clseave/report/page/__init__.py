"""What opens the page and what it shows of the corpus: findings, scenes, judged examples."""
