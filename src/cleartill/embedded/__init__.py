"""Real parts from wheels for one machine: PostgreSQL, Valkey, a Kafka, a trace agent, and `up`, which runs them all.

Every part is a child process that listens on 127.0.0.1 only, on a port the caller chooses below 32768 (above
begin the ports the kernel hands out by itself), and that ends with its launcher, however that ends (`tied`).
A part is started and stopped by `start()` and `stop()`, or by `with`; `scratch` has free ports and throw-away
directories for tests.
"""
