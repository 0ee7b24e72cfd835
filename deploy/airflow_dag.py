"""persyn-kedro on Airflow 3: each step is a task, and a killed task resumes.

Copy it unchanged into Airflow's DAGs folder; docs/deploy.md explains the three variables. The steps
run in the packaged project's Python, so Airflow's own needs none of its packages.
"""

import os
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, chain

STEPS = ("prepare", "label", "train_router", "route", "generate", "sft", "evaluate")

with DAG(
    "persyn_kedro",
    schedule=None,  # by hand; or a cron expression: if nothing is new, all steps are skipped
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
    },
):
    chain(
        *(
            BashOperator(
                task_id=step,
                bash_command=f'"$PERSYN_PYTHON" -m persyn_kedro --pipelines={step}',
                # Contains conf/ and data/, on a disk that all workers see.
                cwd=os.environ["PERSYN_DIRECTORY"],
                env={
                    "PERSYN_PYTHON": os.environ["PERSYN_PYTHON"],
                    "KEDRO_ENV": os.environ.get("PERSYN_ENV", "local"),
                },
                append_env=True,
            )
            for step in STEPS
        )
    )
