"""Puts a release on a machine with Docker beside the one that serves, lets it in, watches it, and takes it back.

Two slots, blue and green, and a proxy that sends everything to one of them (`haproxy.cfg`; which one is on a volume of
the target, so that any operator's machine can go on where another one was killed). What happens, in this order:
image, lease, settings, migrations, API beside the old one, ready, switch, worker, the first minute, drain.
"""
