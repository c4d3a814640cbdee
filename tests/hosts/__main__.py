"""Hosts to try things with by hand: `python -m tests.hosts up 3`, and `python -m tests.hosts down`."""

import argparse
import tempfile
from pathlib import Path

from tests.hosts.networks import keep, remove_kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="make hosts that stay")
    up.add_argument("count", type=int, nargs="?", default=1)
    verbs.add_parser("down", help="remove all that `up` made")
    asked = parser.parse_args()
    if asked.verb == "up":
        made = keep(Path(tempfile.mkdtemp(prefix="parexec-hosts-")), asked.count)
        for host in made.hosts.values():
            print(f"{host.name}  {host.address}  ends with: kill -9 {host.pid}")
        print(f"reach them with: PATH={made.keys.bin}:$PATH ssh host1")
    else:
        for folder in remove_kept():
            print(f"removed the hosts of {folder}")


if __name__ == "__main__":
    main()
