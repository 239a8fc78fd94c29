r"""Trains, evaluates and samples every system of jaxgen.

Train on bundled data, in minutes on a laptop:

  python launch.py --config=configs/comvae.py --workdir=runs/comvae

Running the same command again resumes a run that was stopped; a finished run says so.

  --config=PATH[:VARIANT]    a config file and one row of the paper's tables, as configs/comvae.py:vanilla
  --config.KEY=VALUE         overrides one value, as --config.optim.learning_rate=1e-4
  --workdir=DIR              folder for config.json, metrics.jsonl, checkpoints/, samples/, evaluation.json
  --mode=train|evaluate|sample
                             train is the default
                             evaluate: computes all metrics of the newest checkpoint into evaluation.json
                             sample: draws the pictures that need no data into samples/
                             the last two read the config from the workdir; --config may be omitted
  --step=N|best              evaluates or samples this saved step instead of the newest
  --wandb=PROJECT            also logs for W&B, into DIR/wandb; nothing is sent (pip install 'jaxgen[wandb]')
  --wandb_mode=offline|online
                             online sends the log during training; offline is the default
  --profile_steps=N          writes a profiler trace of N steps, after compilation, into DIR/profile
  --version                  prints the version of jaxgen

Several processes: --coordinator=HOST:PORT --num_processes=N --process_id=I on each, or --distributed=auto
where JAX can detect the job itself (Slurm, Open MPI, TPU pods, Kubernetes).

`jaxgen inspect SYSTEM[:VARIANT]` shows a variant's layers, parameters and FLOPs. `jaxgen --help` has more.
"""

import sys


def main() -> int:
  """Runs the launcher. What it imports takes a moment, in which Ctrl-C is heard already."""
  try:
    from jaxgen.command import exits

    exits.listen()
    from jaxgen.command import launcher

    return launcher.main(sys.argv, doc=__doc__)
  except KeyboardInterrupt:
    return 130


if __name__ == '__main__':
  sys.exit(main())
