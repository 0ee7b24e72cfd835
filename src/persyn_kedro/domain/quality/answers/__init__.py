"""Is a response's final answer the reference: extraction, forms of answers, comparison."""
