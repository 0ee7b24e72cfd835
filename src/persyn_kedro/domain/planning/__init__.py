"""What a run will take, before a model is loaded or a teacher is paid."""
