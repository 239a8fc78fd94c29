r"""Trains, evaluates and samples every system of jaxgen.

Train on bundled data, in minutes on a laptop:

  python launch.py --config=configs/comvae.py --workdir=runs/comvae

The same command again resumes a run that was stopped; a finished run says so.

  --config=PATH[:VARIANT]    a config file and one row of the paper's tables, as comvae.py:vanilla
  --config.KEY=VALUE         overrides one value, as --config.optim.learning_rate=1e-4
  --workdir=DIR              where config.json, metrics.jsonl, checkpoints/, samples/ and evaluation.json go
  --mode=train|evaluate|sample
                             evaluate: every figure of the newest checkpoint into evaluation.json
                             sample: pictures that need no data into samples/
                             both take the config from the workdir: --config may be left out
  --step=N|best              evaluate or sample this saved step instead of the newest
  --wandb=PROJECT            logs for W&B too, into DIR/wandb; nothing is sent (pip install 'jaxgen[wandb]')
  --wandb_mode=offline|online
                             online sends the log as training goes on; offline is the default
  --profile_steps=N          a trace of N steps, when all is compiled, into DIR/profile
  --version                  the version of jaxgen

Several processes: --coordinator=HOST:PORT --num_processes=N --process_id=I on each, or --distributed=auto
where JAX can find the job itself (Slurm, Open MPI, TPU pods, Kubernetes).

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
