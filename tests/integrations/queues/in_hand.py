"""What a job of a drill does: the jobs that the drill stops begin at different moments, and are in hand together."""

import time

LATEST = 30.0  # seconds; a worker that begins fewer of them is the test's to find out


def work(book, number, seconds, together):
    """
    Be done after *seconds*; at once where it was begun before.

    Where *together* jobs are to be in hand at SIGTERM, the first that are begun wait for each other, and a later one takes
    a second at most.
    """
    with book.job(number):
        begun = book.begun
        if begun[str(number)] > 1:
            seconds = 0.1
        elif str(number) in list(begun)[:together]:
            book.wait(lambda book: len(book.begun) >= together, LATEST)
        elif together:
            seconds = min(seconds, 1.0)
        time.sleep(seconds)
