"""Compare ways of judging answers: do they agree, and what would each have routed?"""

from .agreement import order_agreement as order_agreement
from .compare import compare_judgements as compare_judgements
from .kinds import check_kinds as check_kinds, kinds_of as kinds_of
from .routing import same_choices as same_choices
