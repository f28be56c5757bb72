"""One host: facts, the plan made from them, the executor that applies it and its journal."""
