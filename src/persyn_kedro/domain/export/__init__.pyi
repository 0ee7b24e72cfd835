"""The training set and the student for others: files, cards, the hub."""

from .dataset import dataset_card as dataset_card
from .facts import (
    IN_PAIRS as IN_PAIRS,
    licence_of_all as licence_of_all,
    method_facts as method_facts,
    preferences_facts as preferences_facts,
    prompts_facts as prompts_facts,
    student_facts as student_facts,
    teachers_facts as teachers_facts,
    unknown_licences as unknown_licences,
)
from .preferences import (
    PREFERENCES_FILE as PREFERENCES_FILE,
    pair_preferences as pair_preferences,
    scores_of_answers as scores_of_answers,
)
from .rows import (
    FILES as FILES,
    PARTS as PARTS,
    llama_factory_info as llama_factory_info,
    splits_of as splits_of,
)
from .student import example_of as example_of, student_card as student_card
from .upload import (
    Upload as Upload,
    check_secrets as check_secrets,
    push as push,
    uploads as uploads,
)
