"""The same models on another engine, over the same rows: equal, or not."""
