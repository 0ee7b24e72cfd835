"""Pages, plots and the terminal: what a run found, for readers."""

from .choice_samples import compare_choices as compare_choices, with_answers as with_answers
from .constant_answers import constant_notes as constant_notes
from .dropped_figures import dropped_sentences as dropped_sentences
from .focus_figures import focus_sentences as focus_sentences
from .frontier_figures import frontier_plot as frontier_plot
from .interactive import plotly_figure as plotly_figure
from .notes import (
    design_notes as design_notes,
    family_notes as family_notes,
    judge_notes as judge_notes,
    label_notes as label_notes,
    pool_notes as pool_notes,
    tied_notes as tied_notes,
    unsolved_notes as unsolved_notes,
)
from .page import (
    benchmark_page as benchmark_page,
    comparison_page as comparison_page,
    report_page as report_page,
    rounds_page as rounds_page,
)
from .router_plots import calibration_plot as calibration_plot, learning_curve as learning_curve
from .run_plots import (
    learnability_against_quality as learnability_against_quality,
    loss_curve as loss_curve,
    reward_against_length as reward_against_length,
    teacher_allocation as teacher_allocation,
)
from .strategy_plots import (
    score_against_alpha as score_against_alpha,
    score_against_tokens as score_against_tokens,
    teachers_by_kind as teachers_by_kind,
)
from .summary import build_summary as build_summary, several_answers as several_answers
from .terminal import (
    benchmarks_text as benchmarks_text,
    comparison_text as comparison_text,
    export_text as export_text,
    frontier_text as frontier_text,
    judgements_text as judgements_text,
    plan_text as plan_text,
    pool_change_text as pool_change_text,
    rounds_text as rounds_text,
    routers_text as routers_text,
    signal_fit_text as signal_fit_text,
    signals_text as signals_text,
    students_text as students_text,
)
from .terminal_explanation import explanation_text as explanation_text
from .terminal_report import terminal_table as terminal_table
from .terms_figures import terms_summary as terms_summary
