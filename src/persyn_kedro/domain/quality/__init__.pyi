"""Quality: whether an answer is right, or how good a reward model or judge finds it."""

from .checking import (
    check_can_be_judged as check_can_be_judged,
    check_can_be_labelled as check_can_be_labelled,
    check_judged_alone as check_judged_alone,
    check_quality as check_quality,
    check_terms as check_terms,
)
from .code.sandbox import bubblewrap_fault as bubblewrap_fault
from .code_tests import (
    CodeTests as CodeTests,
    check_sandbox as check_sandbox,
    code_checker as code_checker,
)
from .exact_answer import ExactAnswer as ExactAnswer, exact_scorer as exact_scorer
from .imported import check_imported as check_imported
from .judge.judge import Judge as Judge
from .judge.note import judged_of as judged_of
from .judge.own_answers import self_judged as self_judged
from .judge.refusals import check_judge as check_judge
from .judge.rubric import load_rubric as load_rubric
from .kinds import scorer_of as scorer_of
from .own_function import quality_function as quality_function
from .reward_model import reward_model_scores as reward_model_scores
from .scorer import Answer as Answer, Scorer as Scorer
from .verifier import can_judge as can_judge, verifier_of as verifier_of
