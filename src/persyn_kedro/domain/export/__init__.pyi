"""The training set and the student for others: files, cards, the hub."""

from .dataset import dataset_card as dataset_card
from .facts import (
    licence_of_all as licence_of_all,
    method_facts as method_facts,
    prompts_facts as prompts_facts,
    student_facts as student_facts,
    teachers_facts as teachers_facts,
    unknown_licences as unknown_licences,
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
