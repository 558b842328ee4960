"""A Ray cluster of several nodes on this machine: `add` on standard input adds one, the end of input ends them all.

Each node is told on standard output as a line of JSON, with the pid of the process that is the node.
"""

from __future__ import annotations

import json
import socket
import sys

from ray.cluster_utils import Cluster

STORE = 80 << 20
MEMORY = 2 << 30
"""Bytes each node gives out."""


def say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    say(address=cluster.address, client=f"ray://127.0.0.1:{port}")
    for _ in sys.stdin:
        node = cluster.add_node(num_cpus=1, object_store_memory=STORE, memory=MEMORY)
        say(raylet=node.all_processes["raylet"][0].process.pid)
    cluster.shutdown()


main()
