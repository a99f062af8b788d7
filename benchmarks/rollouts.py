"""
Rolling restarts of two instances under load: each is stopped once another took its place; failures are counted.

python benchmarks/rollouts.py [--rollouts 50] [--clients 20]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from twelvefactor.testing import _http  # noqa: E402 - the checkout, not an installed one
from twelvefactor.testing.servers import Server  # noqa: E402 - the path is set above

COMMAND = (sys.executable, "-m", "uvicorn", "tests.disposability.drilled:asgi", "--port", "{port}")
ENVIRON = {"TWELVEFACTOR_DRAIN_DELAY": "600ms", "TWELVEFACTOR_GRACE_PERIOD": "20s", "LOG_FORMAT": "json"}
POLL = 0.2
BELIEVED = 0.45  # seconds; below the drain delay, so that a look that this process was late with sends nobody


def instance() -> Server:
    return Server(COMMAND, environ=ENVIRON, cwd=ROOT).start()


class Rollouts:
    def __init__(self, clients: int) -> None:
        self.clients = clients
        self.instances: list[Server] = []
        self.ready: dict[Server, float] = {}
        self.answered = self.failed = 0
        self.statuses: set[int] = set()
        self.over = False

    async def watch(self) -> None:
        while not self.over:
            looked = time.monotonic()
            for each in tuple(self.instances):
                ready = await self.is_ready(each)
                self.ready = {server: when for server, when in self.ready.items() if server is not each}
                if ready:
                    self.ready[each] = looked
            await asyncio.sleep(POLL)

    async def is_ready(self, server: Server) -> bool:
        try:
            return (await _http.get(server.port, "/readyz")).status == 200
        except (OSError, EOFError):
            return False

    async def client(self) -> None:
        turn = 0
        while not self.over:
            since, turn = time.monotonic() - BELIEVED, turn + 1
            ready = [each for each, looked in self.ready.items() if looked >= since and each in self.instances]
            if not ready:
                await asyncio.sleep(0.05)
                continue
            try:
                answer = await _http.get(ready[turn % len(ready)].port, "/work")
                self.failed += answer.status != 200
            except (OSError, EOFError):
                self.failed += 1
            self.answered += 1

    async def roll(self, rollouts: int) -> None:
        self.instances = [await asyncio.to_thread(instance) for _ in range(2)]
        tasks = [asyncio.create_task(self.watch()), *(asyncio.create_task(self.client()) for _ in range(self.clients))]
        for number in range(rollouts):
            for index in range(2):
                old, new = self.instances[index], await asyncio.to_thread(instance)
                self.instances.append(new)
                while new not in self.ready:  # noqa: ASYNC110 - readiness is polled, as balancers do
                    await asyncio.sleep(0.02)
                self.statuses.add(await asyncio.to_thread(old.stop))
                self.instances.remove(old)
                self.instances.insert(index, self.instances.pop())
            print(f"rollout {number + 1}: {self.failed} of {self.answered} failed", flush=True)
        self.over = True
        await asyncio.gather(*tasks)
        for each in self.instances:
            await asyncio.to_thread(each.stop)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=50)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    run = Rollouts(options.clients)
    asyncio.run(run.roll(options.rollouts))
    print(f"{options.rollouts} rollouts: {run.failed} of {run.answered} failed; statuses {sorted(run.statuses)}")
    return int(run.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
