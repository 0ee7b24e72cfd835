#!/bin/bash
# A Ray cluster of this job's nodes, and `kedro run --env=cluster` on the first of them:
#     sbatch --nodes=4 deploy/slurm_ray.sh
#     PERSYN_ENV=mine sbatch --nodes=4 deploy/slurm_ray.sh --pipelines=label
# What follows the script's name goes to `kedro run`. Killed, or out of time, the job goes on where it was:
# submit the same line again (--requeue does where a node is lost).
#SBATCH --job-name=persyn
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail

cd "${PERSYN_DIRECTORY:-$SLURM_SUBMIT_DIR}"    # conf/, and data/ where it is not at a URL
if [ -f .venv/bin/activate ]; then . .venv/bin/activate; fi    # on a disk that all nodes see

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 20000))    # two jobs may share a node's addresses
export RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
# Others on the network of these nodes could else run code in this cluster, with your rights.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

# Ray's own way on Slurm: the same line on each node; the first starts the head, waits for the
# others, runs what is after the dashes and ends the cluster with it.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
    -- kedro run --env="${PERSYN_ENV:-cluster}" "$@"
