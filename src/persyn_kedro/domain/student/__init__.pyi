"""The student: fine-tuned, and evaluated on the test prompts."""

from .before_after import (
    before_or_after as before_or_after,
    trained as trained,
    untrained as untrained,
)
from .dpo import prefer_job as prefer_job
from .evaluate import accuracy_summary as accuracy_summary, nll_summary as nll_summary
from .library_checks import (
    Training as Training,
    asks_libraries as asks_libraries,
    check_libraries_job as check_libraries_job,
)
from .limit import WithinLimit as WithinLimit
from .pass_rate import pass_rates as pass_rates
from .sft import fits as fits, train_student_job as train_student_job
from .test_set import STUDENT as STUDENT, Exam as Exam, student_recipe as student_recipe
