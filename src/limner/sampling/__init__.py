"""Drawing tokens: caches that know patterns, the token step, the choice of a token, editing, likelihood, ranking."""
