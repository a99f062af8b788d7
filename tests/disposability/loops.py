"""
A process whose event loop has SIGTERM, with a service in front; run by the tests, one way of holding it back a line.

Says ``ready``, then ``told`` when the loop's own handler ran, and in which state the service was then.
"""

import asyncio
import os
import signal
import sys
import threading

import twelvefactor as tf

service = tf.Service("loops")
how = sys.argv[1]


def say(line):
    os.write(1, line.encode() + b"\n")


async def serve():
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def handler():
        say(f"told {service.lifecycle.state.word}")
        told.set()

    if how != "python handler":
        loop.add_signal_handler(signal.SIGTERM, handler)
    else:
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(handler))
    service.start()
    await service.aready()
    service.serves()
    loop.add_signal_handler(signal.SIGUSR1, lambda: say("usr1"))
    loop.add_signal_handler(signal.SIGUSR2, lambda: service._shutdown.force())
    service._shutdown.sigterm.ensure()
    say("ready")
    await told.wait()
    await service.aclose()


def blocked_main():
    """As granian's WSGI worker: the main thread waits on a lock, and the kernel may pick another thread."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: (say(f"told {service.lifecycle.state.word}"), over.set()))
    service.start()
    service.ready()
    signal.signal(signal.SIGUSR2, lambda *_: None)

    def take_signals():
        threading.Event().wait(30)

    threading.Thread(target=take_signals, daemon=True).start()
    say("ready")
    over.wait()
    service.close()


if how == "blocked main thread":
    blocked_main()
elif how == "uvloop":
    import uvloop

    uvloop.run(serve())
else:
    asyncio.run(serve())
