"""Does a response's final answer match the reference: extraction, answer forms, comparison."""
