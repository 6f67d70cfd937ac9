"""What others see of a run, sent by a process of its own so that the loop never waits for them.

The loop's thread keeps references (`latest`); a thread takes them ten times a second to another
process (`sender`, `wire`), which is of the lowest priority. Whatever costs time or listens to
strangers happens there (`child`): pictures become JPEG, pages and metrics are served, messages are
published. If it hangs or dies, it is started again, and the loop has not noticed.
"""
