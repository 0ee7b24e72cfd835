#!/bin/bash
# Start a Ray cluster on this job's nodes, and `kedro run --env=cluster` on the first one:
#     sbatch --nodes=4 deploy/slurm_ray.sh
#     PERSYN_ENV=mine sbatch --nodes=4 deploy/slurm_ray.sh --pipelines=label
#     PERSYN_ENV=mine sbatch --nodes=4 deploy/slurm_ray.sh --pipelines=sft \
#         --params=cluster.training_on=cluster,cluster.training_processes=32
# The last one trains on the GPUs of all nodes; `workspace` in globals.yml must be on a disk that they share.
# Arguments after the script's name go to `kedro run`. If the job is killed or runs out of time, submit the
# same line again to resume (--requeue does that if a node is lost).
#SBATCH --job-name=persyn
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail

cd "${PERSYN_DIRECTORY:-$SLURM_SUBMIT_DIR}"    # conf/, and data/ unless it is a URL
if [ -f .venv/bin/activate ]; then . .venv/bin/activate; fi    # on a disk that all nodes share

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 20000))    # two jobs may share a node's addresses
export RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
# Otherwise others on these nodes' network could run code in this cluster, with your permissions.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

# Ray's recommended way on Slurm: the same command on each node; the first one starts the head, waits
# for the others, runs the command after the dashes and then stops the cluster.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
    -- kedro run --env="${PERSYN_ENV:-cluster}" "$@"
